//! The turn: sleep, note, read, elapse, act, write, accept, tell.
//!
//! An event is noted, not handled: it sets a bit of its socket. Everything else happens at this loop's own
//! pace, each step with a budget, so that no socket starves another. What is left over keeps its bit, and the next
//! turn does not sleep. `reading` says when Redis is read, which is before everybody else.
//!
//! Writing is cut into slices of [`WRITE_SLICE`] sockets, with a look at the events between them, so that nobody is
//! kept waiting by a long fan-out. What Redis says meanwhile goes out together: that is batching without a timer.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::ServeError;
use super::clock::Clock;
use super::connect::Connectors;
use super::crew::{Crew, Post, SLEEP_MAX};
use super::fit::Fit;
use super::handle::Handle;
use super::listener::Listener;
use super::reading::READ_BYTES;
use super::reloading::Loader;
use super::signals::Signals;
use super::socket::{Readable, Socket};
use super::tell::tell;
use crate::hub::{Action, Cork, Hub, Lost, To};
use crate::peer::PeerId;
use crate::report::Report;
use crate::tick::Tick;

/// Sockets written between two looks at the events.
const WRITE_SLICE: usize = 256;
/// Bytes written between two looks at the events: some milliseconds' worth.
const SLICE_BYTES: usize = 8 << 20;
/// Bytes written to one socket in one turn: a fast reader of large messages may not starve the others. It is more
/// than what Redis can bring in one turn: the queue of a client that hears all of it must not grow for that alone.
const WRITE_BYTES: usize = 1 << 20;
/// Not a peer: signals, the waker, listeners.
const SPECIAL: usize = u32::MAX as usize;
const SIGNAL: Token = Token(SPECIAL);
pub(super) const WAKER: Token = Token(SPECIAL | 1 << 32);
const FIRST_LISTENER: usize = 2;

/// The loop and all that has a descriptor.
pub(super) struct Reactor {
    pub(super) hub: Hub,
    pub(super) poll: Poll,
    pub(super) clock: Clock,
    pub(super) listeners: Vec<Listener>,
    pub(super) signals: Option<Signals>,
    pub(super) connectors: Connectors,
    pub(super) handle: Handle,
    /// The other workers, if this is the first of several.
    pub(super) crew: Crew,
    /// The way to the first, if this is a further one.
    pub(super) post: Option<Post>,
    pub(super) loader: Option<Loader>,
    pub(super) fit: Fit,
    pub(super) sockets: Vec<Option<Socket>>,
    /// Sockets with something to read, each once.
    pub(super) readable: VecDeque<PeerId>,
    /// Sockets with more to write than one turn's budget.
    unwritten: VecDeque<PeerId>,
    /// Redis and the application, while they are being connected.
    pub(super) connecting: Vec<(PeerId, To)>,
    /// The Redis of the messages.
    pub(super) link: Option<PeerId>,
    /// When Redis was read last.
    pub(super) redis_read_at: Tick,
    pub(super) scratch: Box<[u8]>,
    cork: Cork,
    /// Held so that there is one to give up when there is none left.
    pub(super) spare: Option<File>,
    pub(super) accept_again_at: Option<Tick>,
    /// From this number on, descriptors are not for clients.
    pub(super) client_descriptors: u64,
}

/// What an event is about.
enum Source {
    Signal,
    Waker,
    Listener(usize),
    Peer(PeerId),
}

impl From<Token> for Source {
    fn from(token: Token) -> Source {
        let (low, high) = (token.0 & SPECIAL, token.0 >> 32);
        match (low, high) {
            (SPECIAL, 0) => Source::Signal,
            (SPECIAL, 1) => Source::Waker,
            (SPECIAL, listener) => Source::Listener(listener - FIRST_LISTENER),
            (index, generation) => Source::Peer(PeerId {
                index: index as u32,
                generation: generation as u32,
            }),
        }
    }
}

impl Reactor {
    pub(super) fn new(
        hub: Hub,
        clock: Clock,
        poll: Poll,
        handle: Handle,
        mut listeners: Vec<Listener>,
        connectors: Connectors,
        fit: Fit,
    ) -> io::Result<Reactor> {
        for (at, listener) in listeners.iter_mut().enumerate() {
            listener.register(
                poll.registry(),
                Token(SPECIAL | (at + FIRST_LISTENER) << 32),
            )?;
        }
        Ok(Reactor {
            hub,
            poll,
            clock,
            listeners,
            signals: None,
            connectors,
            handle,
            crew: Crew::default(),
            post: None,
            loader: None,
            sockets: Vec::new(),
            readable: VecDeque::new(),
            unwritten: VecDeque::new(),
            connecting: Vec::new(),
            link: None,
            redis_read_at: Tick::ZERO,
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            cork: Cork::default(),
            spare: File::open("/dev/null").ok(),
            accept_again_at: None,
            client_descriptors: fit.client_descriptors(),
            fit,
        })
    }

    pub(super) fn watch_signals(&mut self) -> io::Result<()> {
        self.signals = Some(Signals::watch(
            self.poll.registry(),
            SIGNAL,
            self.loader.is_some(),
        )?);
        Ok(())
    }

    /// Turns until all workers are drained.
    pub(super) fn run(&mut self) -> Result<(), ServeError> {
        let mut events = Events::with_capacity(1_024);
        while !self.is_over() {
            self.turn(&mut events)?;
            self.crew.check()?;
        }
        self.crew.end(self.clock.now())
    }

    fn is_over(&self) -> bool {
        match &self.post {
            Some(post) => post.is_dismissed(),
            None => self.hub.is_drained() && self.crew.is_drained(self.clock.now()),
        }
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        self.sleep(events)?;
        let now = self.clock.now();
        if let Some(unix) = self.clock.unix_now_and_then(now) {
            self.hub.dated(now, unix);
        }
        self.note(now, events);
        if !self.crew.is_empty() && self.hub.is_asked() {
            self.hub.others(self.crew.standings(now));
        }
        self.read(now);
        if self.hub.deadline().is_some_and(|deadline| deadline <= now) {
            self.hub.elapsed(now);
        }
        self.act(now);
        let slice_full = self.write(now);
        self.accept(now, slice_full);
        self.act(now);
        while let Some(report) = self.hub.next_report() {
            // All workers are given the same configuration, and make the same of it.
            if self.post.is_none() || !matches!(report, Report::Reload(_)) {
                tell(&report);
            }
        }
        if let Some(post) = &self.post {
            post.lay_out(now, &self.hub);
        }
        Ok(())
    }

    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        let busy = !self.readable.is_empty()
            || !self.unwritten.is_empty()
            || self.hub.has_writes()
            || self.accept_again_at.is_none()
                && self.listeners.iter().any(|listener| listener.ready);
        let timeout = if busy {
            Some(Duration::ZERO)
        } else {
            let now = self.clock.now();
            let is_alone = self.crew.is_empty() && self.post.is_none();
            let deadline = [
                self.hub.deadline(),
                self.accept_again_at,
                (!is_alone).then_some(now + SLEEP_MAX),
            ];
            let deadline = deadline.into_iter().flatten().min();
            // epoll counts whole milliseconds; rounded down, the last one would be spent spinning.
            deadline.map(|due| match due.since(now) {
                Duration::ZERO => Duration::ZERO,
                wait => wait + Duration::from_micros(999),
            })
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn note(&mut self, now: Tick, events: &Events) {
        for event in events {
            match Source::from(event.token()) {
                Source::Signal => self.heed_signals(now),
                Source::Waker => self.woken(now),
                Source::Listener(at) => {
                    if let Some(listener) = self.listeners.get_mut(at) {
                        listener.ready = true;
                    }
                }
                Source::Peer(id) => match self.connecting_to(id) {
                    Some(to) => self.try_connected(now, id, to),
                    None => self.note_peer(now, id, event),
                },
            }
        }
    }

    fn note_peer(&mut self, now: Tick, id: PeerId, event: &Event) {
        let Some(socket) = at(&mut self.sockets, id) else {
            return;
        };
        if event.is_read_closed() || event.is_error() {
            socket.readable = Readable::Closed;
            self.list(id);
        } else if event.is_readable() {
            socket.readable = Readable::Ready;
            self.list(id);
        }
        if event.is_writable() {
            self.unblock(now, id);
        }
    }

    pub(super) fn unblock(&mut self, now: Tick, id: PeerId) {
        let Some(socket) = at(&mut self.sockets, id).filter(|socket| socket.blocked) else {
            return;
        };
        match socket.unblock(self.poll.registry()) {
            Ok(()) => self.unwritten.push_back(id),
            Err(error) => self.hub.lost(now, id, Lost::Failed(error.to_string())),
        }
    }

    fn act(&mut self, now: Tick) {
        while let Some(action) = self.hub.next_action() {
            match action {
                Action::Connect(id, to) => self.begin_connect(now, id, to),
                Action::HalfClose(id) => {
                    if let Some(socket) = at(&mut self.sockets, id) {
                        socket.half_close();
                    }
                }
                Action::Drop(id) => {
                    if let Some(slot) = self.sockets.get_mut(id.index as usize)
                        && slot.as_ref().is_some_and(|socket| socket.id == id)
                    {
                        *slot = None;
                    }
                    self.connectors.forget(id);
                    self.connecting.retain(|(connecting, _)| *connecting != id);
                    self.link = self.link.filter(|link| *link != id);
                }
            }
        }
    }

    /// Writes to those who have something to read, a slice of them; says whether there are more.
    fn write(&mut self, now: Tick) -> bool {
        let mut written = 0;
        for _ in 0..self.unwritten.len() {
            match self.unwritten.pop_front() {
                Some(id) if written < SLICE_BYTES => written += self.write_to(now, id),
                Some(id) => self.unwritten.push_back(id),
                None => break,
            }
        }
        written = 0;
        for _ in 0..WRITE_SLICE {
            match self.hub.next_write() {
                Some(id) => written += self.write_to(now, id),
                None => return false,
            }
            if written >= SLICE_BYTES {
                break;
            }
        }
        true
    }

    /// Writes to one, and says how many bytes.
    fn write_to(&mut self, now: Tick, id: PeerId) -> usize {
        let mut written = 0;
        while let Some(socket) = at(&mut self.sockets, id)
            && !socket.blocked
        {
            let bytes = self.hub.pending(id, &mut self.cork);
            if bytes.is_empty() {
                break;
            }
            if written >= WRITE_BYTES {
                self.unwritten.push_back(id);
                break;
            }
            match socket.put(bytes, self.poll.registry()) {
                Ok(n) => {
                    written += n;
                    self.hub.sent(id, n);
                }
                Err(error) => {
                    self.hub.lost(now, id, Lost::Failed(error.to_string()));
                    break;
                }
            }
        }
        written
    }

    pub(super) fn put(&mut self, socket: Socket) {
        let index = socket.id.index as usize;
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.sockets.get_mut(index) {
            *slot = Some(socket);
        }
    }

    fn woken(&mut self, now: Tick) {
        if self.handle.wants_drain() {
            self.drain(now);
        }
        if self.handle.wants_reload() {
            self.reload(now);
        }
        self.heed_first(now);
        while let Some((id, to, stream)) = self.connectors.looked_up() {
            self.connect(now, id, to, stream);
        }
    }
}

pub(super) fn at(sockets: &mut [Option<Socket>], id: PeerId) -> Option<&mut Socket> {
    sockets
        .get_mut(id.index as usize)?
        .as_mut()
        .filter(|socket| socket.id == id)
}
