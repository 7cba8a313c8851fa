//! The turn's step that takes new connections, a bounded number of them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use tracing::warn;

use super::reactor::Reactor;
use super::socket::{Socket, Stream};
use crate::hub::Lost;
use crate::peer::{Door, From, PeerId};
use crate::tick::Tick;

/// Connections accepted from one listener in one turn.
const ACCEPT_BATCH: usize = 64;
/// The same, while others wait to be written to. Not none: under a load that never lets up, nobody would get in any
/// more, and the operator's question whether the loop turns would stay without an answer.
const ACCEPT_FEW: usize = 4;
/// How long to wait when the process has no descriptor left.
const DESCRIPTOR_WAIT: Duration = Duration::from_millis(100);

impl Reactor {
    pub(super) fn accept(&mut self, now: Tick, busy: bool) {
        if self.accept_again_at.is_some_and(|again| again > now) {
            return;
        }
        self.accept_again_at = None;
        let batch = if busy { ACCEPT_FEW } else { ACCEPT_BATCH };
        for at in 0..self.listeners.len() {
            for _ in 0..batch {
                let Some(listener) = self.listeners.get_mut(at).filter(|listener| listener.ready)
                else {
                    break;
                };
                let door = listener.door;
                match listener.accept() {
                    Ok(None) => break,
                    Ok(Some((stream, from)))
                        if door == Door::Client && self.is_reserved(&stream) =>
                    {
                        say_and_close(stream, &self.hub.full(from));
                    }
                    Ok(Some((stream, from))) => {
                        if let Some(stream) = self.crew.deal(stream) {
                            self.enter(now, door, from, stream);
                        }
                    }
                    Err(error) => {
                        self.cannot_accept(now, at, &error);
                        break;
                    }
                }
            }
        }
    }

    /// Out of descriptors, most likely. The waiting connection would be an event no more and wait for ever; so
    /// one is accepted on the spare descriptor to be told so, and the rest is looked at again soon.
    fn cannot_accept(&mut self, now: Tick, at: usize, error: &io::Error) {
        warn!(%error, "cannot accept a connection; raise the limit of open files (ulimit -n)");
        self.accept_again_at = Some(now + DESCRIPTOR_WAIT);
        self.spare = None;
        if let Some(listener) = self.listeners.get_mut(at)
            && let Ok(Some((stream, from))) = listener.accept()
        {
            listener.ready = true;
            say_and_close(stream, &self.hub.full(from));
        }
        self.spare = File::open("/dev/null").ok();
    }

    /// A new descriptor is the lowest that is free: one so high means that few are left, and those are for the way
    /// to Redis, to a name server and to the operator. Clients may not take them, however many come.
    fn is_reserved(&self, stream: &Stream) -> bool {
        stream.as_fd().as_raw_fd() as u64 >= self.client_descriptors
    }

    /// Lets a connection in, if there is room.
    pub(super) fn enter(&mut self, now: Tick, door: Door, from: From, stream: Stream) {
        match self.hub.accepted(now, door, from) {
            Ok(id) => self.open(now, id, stream),
            Err(answer) => say_and_close(stream, &answer),
        }
    }

    fn open(&mut self, now: Tick, id: PeerId, stream: Stream) {
        match Socket::open(id, stream, self.poll.registry()) {
            Ok(socket) => {
                self.put(socket);
                self.list(id);
            }
            Err(error) => self.hub.lost(now, id, Lost::Failed(error.to_string())),
        }
    }
}

/// Says one thing to somebody for whom there is no room, if it can be said at once.
fn say_and_close(stream: Stream, answer: &[u8]) {
    let _ = stream.say(answer);
}
