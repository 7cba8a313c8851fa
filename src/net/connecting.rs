//! The turn's steps that bring the connection to Redis about.

use std::fs::File;
use std::io;

use super::reactor::{Reactor, at};
use super::socket::{Readable, Socket, Stream};
use crate::hub::Lost;
use crate::peer::PeerId;
use crate::tick::Tick;

impl Reactor {
    /// The hub wants a connection.
    pub(super) fn begin_connect(&mut self, now: Tick, id: PeerId) {
        // Whoever took the last descriptor: the way to Redis has one.
        self.spare = None;
        match self.connector.begin(id) {
            Ok(None) => {}
            Ok(Some(stream)) => self.connect(now, id, Ok(stream)),
            Err(error) => self.connect(now, id, Err(error)),
        }
        self.spare = File::open("/dev/null").ok();
    }

    pub(super) fn connect(&mut self, now: Tick, id: PeerId, stream: io::Result<Stream>) {
        let socket = stream.and_then(|stream| Socket::connecting(id, stream, self.poll.registry()));
        match socket {
            Ok(socket) => {
                self.put(socket);
                self.connecting = Some(id);
                // A unix socket is connected at once and may send no event for it.
                self.try_connected(now, id);
            }
            Err(error) => self.connect_next(now, id, &error),
        }
    }

    fn connect_next(&mut self, now: Tick, id: PeerId, error: &io::Error) {
        match self.connector.try_next(id) {
            Some(stream) => self.connect(now, id, stream),
            None => self.hub.lost(now, id, Lost::Failed(error.to_string())),
        }
    }

    pub(super) fn try_connected(&mut self, now: Tick, id: PeerId) {
        let Some(socket) = at(&mut self.sockets, id) else {
            return;
        };
        match socket.connected() {
            None => {}
            Some(Err(error)) => self.connect_next(now, id, &error),
            Some(Ok(())) => {
                socket.readable = Readable::Ready;
                self.connecting = None;
                self.link = Some(id);
                self.unblock(now, id);
                self.hub.connected(now, id);
                self.list(id);
            }
        }
    }
}
