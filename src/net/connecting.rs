//! The turn's steps that bring connections to Redis and to the application about.

use std::fs::File;
use std::io;

use super::reactor::{Reactor, at};
use super::socket::{Readable, Socket, Stream};
use crate::hub::{Lost, To};
use crate::peer::{PeerId, RedisOf};
use crate::tick::Tick;

impl Reactor {
    /// The hub wants a connection.
    pub(super) fn begin_connect(&mut self, now: Tick, id: PeerId, to: To) {
        // Whoever took the last descriptor: the way to Redis has one.
        self.spare = None;
        match self.connectors.to(to).map(|connector| connector.begin(id)) {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(stream))) => self.connect(now, id, to, Ok(stream)),
            Some(Err(error)) => self.connect(now, id, to, Err(error)),
        }
        self.spare = File::open("/dev/null").ok();
    }

    pub(super) fn connect(&mut self, now: Tick, id: PeerId, to: To, stream: io::Result<Stream>) {
        let socket = stream.and_then(|stream| Socket::connecting(id, stream, self.poll.registry()));
        match socket {
            Ok(socket) => {
                self.put(socket);
                self.connecting.retain(|(connecting, _)| *connecting != id);
                self.connecting.push((id, to));
                // A unix socket is connected at once and may send no event for it.
                self.try_connected(now, id, to);
            }
            Err(error) => self.connect_next(now, id, to, &error),
        }
    }

    /// Is this peer still being connected?
    pub(super) fn connecting_to(&self, id: PeerId) -> Option<To> {
        let mut connecting = self.connecting.iter();
        connecting
            .find(|(connecting, _)| *connecting == id)
            .map(|(_, to)| *to)
    }

    fn connect_next(&mut self, now: Tick, id: PeerId, to: To, error: &io::Error) {
        let next = self
            .connectors
            .to(to)
            .and_then(|connector| connector.try_next(id));
        match next {
            Some(stream) => self.connect(now, id, to, stream),
            None => self.hub.lost(now, id, Lost::Failed(error.to_string())),
        }
    }

    pub(super) fn try_connected(&mut self, now: Tick, id: PeerId, to: To) {
        let Some(socket) = at(&mut self.sockets, id) else {
            return;
        };
        match socket.connected() {
            None => {}
            Some(Err(error)) => self.connect_next(now, id, to, &error),
            Some(Ok(())) => {
                socket.readable = Readable::Ready;
                self.connecting.retain(|(connecting, _)| *connecting != id);
                if to == To::Redis(RedisOf::Messages) {
                    self.link = Some(id);
                }
                self.unblock(now, id);
                self.hub.connected(now, id);
                self.list(id);
            }
        }
    }
}
