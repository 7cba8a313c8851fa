//! The clients: one loop, a record each, and what they hear goes into the ledger.

use std::io;
use std::time::Duration;

use mio::{Events, Poll};

use super::dial;
use super::frames::{self, Inbox, Kind};
use super::handshake;
use super::ledger::{Ears, Ledger};
use super::message::{Messages, Stamp};
use super::plan::{Dealt, Plan, Work, fill};
use super::source;
use crate::net::clock::Clock;
use crate::net::socket::{Readable, Socket, Taken};
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::ws::accept;

const SCRATCH_BYTES: usize = 256 << 10;

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
    /// Whose own messages have come back, and how many: they may send as many more.
    pub(super) answered: Vec<(u32, u32)>,
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
    dealt: Dealt,
    state: State,
    /// Of the answer to the handshake, while it is not whole.
    head: Vec<u8>,
    inbox: Inbox,
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
    Open(Ears),
    /// It reads nothing.
    Deaf,
}

impl Swarm {
    pub(super) fn new(plan: &Plan) -> io::Result<Swarm> {
        Ok(Swarm {
            poll: Poll::new()?,
            ledger: Ledger::new(plan.channels()),
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
            accept: accept(handshake::KEY.as_bytes()),
            connections: Vec::new(),
            generation: 0,
        })
    }

    /// Microseconds since it was made.
    pub(super) fn now(&self) -> u64 {
        self.clock.now().since(Tick::ZERO).as_micros() as u64
    }

    /// Waits for events, at most so long, and deals with them; were there any? Those of publishers are left to the
    /// caller.
    pub(super) fn turn(
        &mut self,
        events: &mut Events,
        timeout: Duration,
        mut publisher: impl FnMut(&mut Swarm, u32, Readable),
    ) -> io::Result<bool> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            other => other?,
        }
        for event in events.iter() {
            let id = PeerId {
                index: event.token().0 as u32,
                generation: (event.token().0 >> 32) as u32,
            };
            // An end that comes with the last bytes is no event of its own.
            let readable = match event.is_read_closed() {
                true => Readable::Closed,
                false => Readable::Ready,
            };
            if id.index >= source::FIRST {
                publisher(self, id.index, readable);
            } else {
                self.happened(id, readable);
            }
        }
        Ok(!events.is_empty())
    }

    /// Begins to open one client more; `deaf` ones will not read once they are open.
    pub(super) fn begin(&mut self, deaf: bool) -> io::Result<()> {
        self.connections.push(None);
        let begun = self.begin_at(self.connections.len() - 1, deaf);
        if begun.is_err() {
            self.connections.pop();
        }
        begun
    }

    fn begin_at(&mut self, index: usize, deaf: bool) -> io::Result<()> {
        let number = index as u32;
        self.generation = self.generation.wrapping_add(1);
        let id = PeerId {
            index: number,
            generation: self.generation,
        };
        let stream = dial::connect(&self.plan, number, self.churn, deaf)?;
        let since = self.now();
        let socket = Socket::connecting(id, stream, self.poll.registry())?;
        self.opening += 1;
        if let Some(place) = self.connections.get_mut(index) {
            *place = Some(Connection {
                socket,
                dealt: self.plan.channels_of(number),
                state: State::Connecting { since },
                head: Vec::new(),
                inbox: Inbox::default(),
                out: Vec::new(),
            });
        }
        Ok(())
    }

    fn happened(&mut self, id: PeerId, readable: Readable) {
        let index = id.index as usize;
        // Taken out while it is worked on: the ledger and the scratch buffer are this struct's, too.
        let Some(mut connection) = self.connections.get_mut(index).and_then(Option::take) else {
            return;
        };
        if connection.socket.id != id {
            self.put_back(index, connection);
            return;
        }
        connection.socket.readable = readable;
        match self.work(&mut connection) {
            Ok(true) => self.put_back(index, connection),
            Ok(false) => {
                drop(connection);
                self.come_again(index);
            }
            Err(error) => {
                // A client that does not read may be closed for that; that is what one measures.
                if !matches!(connection.state, State::Deaf) {
                    self.break_off(error.to_string());
                }
                match connection.state {
                    State::Open(ears) => {
                        self.open -= 1;
                        self.ledger.left(ears);
                    }
                    State::Deaf => self.open -= 1,
                    State::Connecting { .. } | State::Upgrading { .. } => self.opening -= 1,
                }
                drop(connection.socket);
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
            let request = handshake::request(&self.plan, connection.dealt);
            connection.out.extend_from_slice(request.as_bytes());
        }
        if connection.socket.blocked {
            connection.socket.unblock(self.poll.registry())?;
        }
        self.flush(connection)?;
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
            let taken = connection.socket.take(scratch);
            match taken.map_err(in_words)? {
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
        connection.head.extend_from_slice(bytes);
        let head = std::mem::take(&mut connection.head);
        let Some(end) = handshake::judge(&head, &self.accept).map_err(io::Error::other)? else {
            connection.head = head;
            return Ok(true);
        };
        self.handshakes += 1;
        self.opening -= 1;
        if self.churn {
            let took = self.now().saturating_sub(since);
            self.ledger.each.saturating_record(took);
            return Ok(false);
        }
        self.open += 1;
        if let Some(hello) = &self.plan.hello {
            let hello = fill(hello, connection.dealt);
            frames::masked(&mut connection.out, 0x81, hello.as_bytes());
            self.flush(connection)?;
        }
        if connection.socket.id.index >= self.plan.connections {
            connection.state = State::Deaf;
            return Ok(true);
        }
        connection.state = State::Open(self.ledger.joined(connection.dealt));
        self.hear(connection, head.get(end..).unwrap_or_default())?;
        Ok(true)
    }

    fn hear(&mut self, connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
        let now = self.now();
        let Connection {
            state: State::Open(ears),
            inbox,
            out,
            socket,
            ..
        } = connection
        else {
            return Ok(());
        };
        let (ledger, messages) = (&mut self.ledger, &self.messages);
        let own = matches!(self.plan.work, Work::Publish { .. });
        let (mut closed, mut answered) = (None, 0);
        let whole = inbox.take(bytes, |kind, payload| match kind {
            Kind::Message => match messages.recognise(payload) {
                Some(Ok(stamp)) => answered += u32::from(ledger.heard(ears, stamp, now)),
                Some(Err(_)) => ledger.sums.corrupt += 1,
                // A heartbeat, or what a gateway says of itself.
                None => {}
            },
            Kind::Ping => frames::masked(out, 0x8a, payload),
            Kind::Pong => {}
            Kind::Close => closed = Some(frames::close_in_words(payload)),
        });
        whole.map_err(io::Error::other)?;
        if let Some(why) = closed {
            return Err(io::Error::other(why));
        }
        if own && answered > 0 {
            self.answered.push((socket.id.index, answered));
        }
        self.flush(connection)
    }

    /// A client says its next messages, so many of them at once.
    pub(super) fn say(&mut self, index: u32, messages: u32) {
        let Some(mut connection) = self
            .connections
            .get_mut(index as usize)
            .and_then(Option::take)
        else {
            return;
        };
        let now = self.now();
        if let State::Open(_) = connection.state {
            let mut message = Vec::with_capacity(self.messages.size());
            for _ in 0..messages {
                let stamp: Stamp = self.ledger.publish(connection.dealt.first, now);
                message.clear();
                self.messages.compose(&mut message, stamp);
                frames::masked(&mut connection.out, 0x81, &message);
            }
            // What went wrong the next event of this connection tells.
            let _ = self.flush(&mut connection);
        }
        self.put_back(index as usize, connection);
    }

    /// What has not come by now is lost.
    pub(super) fn settle(&mut self) {
        for connection in self.connections.iter_mut().flatten() {
            if let State::Open(ears) = &mut connection.state {
                self.ledger.settle(ears);
            }
        }
    }
}

/// A reset is the gateway's doing, and has to say so.
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionReset => io::Error::other("the gateway reset the connection"),
        _ => error,
    }
}
