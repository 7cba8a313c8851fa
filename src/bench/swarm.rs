//! The clients: one loop, a record each, and what they hear goes into the ledger.

use std::io;
use std::time::Duration;

use mio::{Events, Poll};

use super::dial;
use super::frames::{self, Kind};
use super::ledger::{Heard, Ledger};
use super::message::{Messages, Stamp};
use super::plan::{Plan, Work, fill};
use super::source;
use crate::net::clock::Clock;
use crate::net::socket::{Readable, Socket, Taken};
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::ws::accept;

const HEAD_BYTES_MAX: usize = 16 << 10;
const SCRATCH_BYTES: usize = 256 << 10;
/// RFC 6455 1.3's example: it has to be random for the sake of caches, and there is none here.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// All clients.
pub(super) struct Swarm {
    pub(super) poll: Poll,
    pub(super) ledger: Ledger,
    pub(super) messages: Messages,
    pub(super) scratch: Vec<u8>,
    /// Clients that are open.
    pub(super) open: u32,
    /// Clients that are being opened.
    pub(super) opening: u32,
    /// Handshakes that came about.
    pub(super) handshakes: u64,
    /// Why the first of those that broke did.
    pub(super) trouble: Option<String>,
    /// They hang up at once when they are open.
    pub(super) churn: bool,
    /// Whose own message has come back: they may send the next one.
    pub(super) answered: Vec<u32>,
    /// They say nothing more.
    pub(super) silent: bool,
    clock: Clock,
    plan: Plan,
    accept: String,
    connections: Vec<Option<Connection>>,
    generation: u32,
}

struct Connection {
    socket: Socket,
    channel: u32,
    state: State,
    /// Bytes of an unfinished head or frame.
    held: Vec<u8>,
    /// What could not be written yet.
    out: Vec<u8>,
}

enum State {
    Connecting {
        since: u64,
    },
    Upgrading {
        since: u64,
    },
    Open(Heard),
    /// It reads nothing.
    Deaf,
}

impl Swarm {
    pub(super) fn new(plan: &Plan) -> io::Result<Swarm> {
        let channels = match plan.work {
            Work::Publish { .. } => plan.connections,
            _ => plan.channels,
        };
        Ok(Swarm {
            poll: Poll::new()?,
            ledger: Ledger::new(channels),
            messages: Messages::new(plan.size, fastrand::u32(..)),
            scratch: vec![0; SCRATCH_BYTES],
            open: 0,
            opening: 0,
            handshakes: 0,
            trouble: None,
            churn: false,
            answered: Vec::new(),
            silent: false,
            clock: Clock::start(),
            plan: plan.clone(),
            accept: accept(KEY.as_bytes()),
            connections: Vec::new(),
            generation: 0,
        })
    }

    /// Microseconds since it was made.
    pub(super) fn now(&self) -> u64 {
        self.clock.now().since(Tick::ZERO).as_micros() as u64
    }

    /// Waits for events, at most so long, and deals with them. Those of publishers are left to the caller.
    pub(super) fn turn(
        &mut self,
        events: &mut Events,
        timeout: Duration,
        mut publisher: impl FnMut(&mut Swarm, u32) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in events.iter() {
            let id = PeerId {
                index: event.token().0 as u32,
                generation: (event.token().0 >> 32) as u32,
            };
            if id.index >= source::FIRST {
                publisher(self, id.index)?;
            } else {
                self.happened(id);
            }
        }
        Ok(())
    }

    /// Begins to open one client more; `deaf` ones will not read once they are open.
    pub(super) fn begin(&mut self, deaf: bool) -> io::Result<()> {
        let index = match self.connections.iter().position(Option::is_none) {
            Some(index) if self.churn => index,
            _ => {
                self.connections.push(None);
                self.connections.len() - 1
            }
        };
        self.begin_at(index, deaf)
    }

    fn begin_at(&mut self, index: usize, deaf: bool) -> io::Result<()> {
        let number = index as u32;
        self.generation = self.generation.wrapping_add(1);
        let id = PeerId {
            index: number,
            generation: self.generation,
        };
        let stream = dial::connect(&self.plan.target.address, number, self.churn, deaf)?;
        let since = self.now();
        let socket = Socket::connecting(id, stream, self.poll.registry())?;
        self.opening += 1;
        let channels = match self.plan.work {
            Work::Publish { .. } => self.plan.connections,
            _ => self.plan.channels,
        };
        if let Some(place) = self.connections.get_mut(index) {
            *place = Some(Connection {
                socket,
                channel: number % channels.max(1),
                state: State::Connecting { since },
                held: Vec::new(),
                out: Vec::new(),
            });
        }
        Ok(())
    }

    fn happened(&mut self, id: PeerId) {
        let index = id.index as usize;
        // Taken out while it is worked on: the ledger and the scratch buffer are this struct's, too.
        let Some(mut connection) = self.connections.get_mut(index).and_then(Option::take) else {
            return;
        };
        if connection.socket.id != id {
            self.put_back(index, connection);
            return;
        }
        match self.work(&mut connection) {
            Ok(true) => self.put_back(index, connection),
            Ok(false) => {
                drop(connection);
                self.come_again(index);
            }
            Err(error) => {
                match connection.state {
                    State::Open(heard) => {
                        self.open -= 1;
                        self.ledger.left(connection.channel, heard);
                    }
                    State::Deaf => self.open -= 1,
                    State::Connecting { .. } | State::Upgrading { .. } => self.opening -= 1,
                }
                // A client that does not read may be closed for that; that is what one measures.
                if !matches!(connection.state, State::Deaf) {
                    self.break_off(error.to_string());
                }
                drop(connection);
                if self.churn {
                    self.come_again(index);
                }
            }
        }
    }

    fn come_again(&mut self, index: usize) {
        if let Err(error) = self.begin_at(index, false) {
            self.break_off(error.to_string());
        }
    }

    fn put_back(&mut self, index: usize, connection: Connection) {
        if let Some(place) = self.connections.get_mut(index) {
            *place = Some(connection);
        }
    }

    fn break_off(&mut self, why: String) {
        self.ledger.sums.broken += 1;
        self.trouble.get_or_insert(why);
    }

    /// Does what can be done on a connection; `false` if it has served its purpose.
    fn work(&mut self, connection: &mut Connection) -> io::Result<bool> {
        if let State::Connecting { since } = connection.state {
            match connection.socket.connected() {
                None => return Ok(true),
                Some(stands) => stands?,
            }
            connection.state = State::Upgrading { since };
            let request = format!(
                "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
                fill(&self.plan.target.path, connection.channel),
                self.plan.target.host,
            );
            connection.out.extend_from_slice(request.as_bytes());
        }
        if connection.socket.blocked {
            connection.socket.unblock(self.poll.registry())?;
        }
        self.flush(connection)?;
        connection.socket.readable = Readable::Ready;
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = self.read(connection, &mut scratch);
        self.scratch = scratch;
        read
    }

    fn flush(&self, connection: &mut Connection) -> io::Result<()> {
        if connection.out.is_empty() || connection.socket.blocked {
            return Ok(());
        }
        let written = connection
            .socket
            .put(&connection.out, self.poll.registry())?;
        if written == connection.out.len() {
            connection.out = Vec::new();
        } else {
            connection.out.drain(..written);
        }
        Ok(())
    }

    fn read(&mut self, connection: &mut Connection, scratch: &mut [u8]) -> io::Result<bool> {
        while !matches!(connection.state, State::Deaf) {
            match connection.socket.take(scratch)? {
                Taken::Nothing => break,
                Taken::End => return Err(io::Error::other("the gateway closed the connection")),
                Taken::Bytes { n, more } => {
                    let bytes = scratch.get(..n).unwrap_or_default();
                    match connection.state {
                        State::Open(_) => self.hear(connection, bytes)?,
                        _ => {
                            if !self.upgrade(connection, bytes)? {
                                return Ok(false);
                            }
                        }
                    }
                    if !more {
                        break;
                    }
                }
            }
        }
        Ok(true)
    }

    /// Reads the answer to the handshake; `false` if that was all that was wanted.
    fn upgrade(&mut self, connection: &mut Connection, bytes: &[u8]) -> io::Result<bool> {
        let State::Upgrading { since } = connection.state else {
            return Ok(true);
        };
        connection.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut connection.held);
        let Some(end) = held.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            if held.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the answer to the handshake does not end"));
            }
            connection.held = held;
            return Ok(true);
        };
        let (head, rest) = held.split_at(end + 4);
        let head = String::from_utf8_lossy(head);
        let first = head.lines().next().unwrap_or_default();
        if first.split(' ').nth(1) != Some("101") || !head.contains(&self.accept) {
            return Err(io::Error::other(format!(
                "the handshake is answered with {first:?}"
            )));
        }
        self.handshakes += 1;
        self.opening -= 1;
        if self.churn {
            let took = self.now().saturating_sub(since);
            self.ledger.each.saturating_record(took);
            return Ok(false);
        }
        self.open += 1;
        if let Some(hello) = &self.plan.hello {
            let hello = fill(hello, connection.channel);
            frames::masked(&mut connection.out, 0x81, hello.as_bytes());
            self.flush(connection)?;
        }
        if connection.socket.id.index >= self.plan.connections {
            connection.state = State::Deaf;
            return Ok(true);
        }
        connection.state = State::Open(self.ledger.joined(connection.channel));
        self.hear(connection, rest)?;
        Ok(true)
    }

    fn hear(&mut self, connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
        let now = self.now();
        let Connection {
            state: State::Open(heard),
            channel,
            held,
            out,
            socket,
        } = connection
        else {
            return Ok(());
        };
        let (ledger, messages) = (&mut self.ledger, &self.messages);
        let own = matches!(self.plan.work, Work::Publish { .. });
        let mut closed = false;
        frames::each(held, bytes, |kind, payload| match kind {
            Kind::Message => match messages.recognise(payload) {
                Some(Ok(stamp)) if stamp.channel == *channel => {
                    ledger.heard(heard, stamp, now);
                    if own {
                        self.answered.push(socket.id.index);
                    }
                }
                Some(_) => ledger.sums.corrupt += 1,
                // A heartbeat, or what a gateway says of itself.
                None => {}
            },
            Kind::Ping => frames::masked(out, 0x8a, payload),
            Kind::Pong => {}
            Kind::Close => closed = true,
        })
        .map_err(io::Error::other)?;
        if closed {
            return Err(io::Error::other("the gateway said Close"));
        }
        self.flush(connection)
    }

    /// A client says its next message.
    pub(super) fn say(&mut self, index: u32) {
        let Some(mut connection) = self
            .connections
            .get_mut(index as usize)
            .and_then(Option::take)
        else {
            return;
        };
        let now = self.now();
        if let State::Open(_) = connection.state {
            let stamp: Stamp = self.ledger.publish(connection.channel, now);
            let mut message = Vec::with_capacity(self.messages.size());
            self.messages.compose(&mut message, stamp);
            frames::masked(&mut connection.out, 0x81, &message);
            // What went wrong the next event of this connection tells.
            let _ = self.flush(&mut connection);
        }
        self.put_back(index as usize, connection);
    }

    /// What has not come by now is lost.
    pub(super) fn settle(&mut self) {
        for connection in self.connections.iter_mut().flatten() {
            if let State::Open(heard) = &mut connection.state {
                self.ledger.settle(connection.channel, heard);
            }
        }
    }
}
