//! The connections to the application: as many as there are calls, up to a bound, and each used again while
//! both sides keep it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::calls::CallId;
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::http_client::{ResponseLimits, ResponseReader};

/// How long a connection is kept without a call. A worker of the application may be waiting on it.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// From a connection that could not be made to the next try.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// Invariant: at most one connection carries a given call.
pub(super) struct Pool {
    connections: Vec<Connection>,
    connections_max: usize,
    reach: Reach,
    /// To be closed.
    dropped: VecDeque<PeerId>,
    /// With a new request to write.
    dirty: VecDeque<PeerId>,
}

struct Connection {
    id: PeerId,
    state: State,
}

/// What a connection is doing.
pub(super) enum State {
    Connecting {
        until: Tick,
    },
    /// `is_used`: it has carried a call before.
    Idle {
        until: Tick,
        is_used: bool,
    },
    Calling(Box<Exchange>),
}

/// A call on its way.
pub(super) struct Exchange {
    pub(super) call: CallId,
    pub(super) reader: ResponseReader,
    pub(super) request: Bytes,
    pub(super) sent: usize,
    /// The connection has carried a call before, so the application may have closed it since.
    pub(super) is_on_used: bool,
}

/// Does the application take connections? If not, it is tried again by one, not by all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Good,
    Away { retry_at: Tick },
    Trying,
}

impl Exchange {
    /// What of the request is not written yet.
    pub(super) fn pending(&self) -> &[u8] {
        self.request.get(self.sent..).unwrap_or_default()
    }
}

impl Pool {
    pub(super) fn new(connections_max: usize) -> Pool {
        Pool {
            connections: Vec::new(),
            connections_max,
            reach: Reach::Good,
            dropped: VecDeque::new(),
            dirty: VecDeque::new(),
        }
    }

    /// A connection to be closed.
    pub(super) fn next_dropped(&mut self) -> Option<PeerId> {
        self.dropped.pop_front()
    }

    /// Should there be one more connection under way, for so many calls that wait?
    pub(super) fn wants_another(&self, waiting: usize) -> bool {
        let is_connecting = |c: &&Connection| matches!(c.state, State::Connecting { .. });
        let connecting = self.connections.iter().filter(is_connecting).count();
        let connecting_max = match self.reach {
            Reach::Good => waiting,
            Reach::Away { .. } => 0,
            Reach::Trying => waiting.min(1),
        };
        connecting < connecting_max && self.connections.len() < self.connections_max
    }

    pub(super) fn connecting(&mut self, id: PeerId, until: Tick) {
        let state = State::Connecting { until };
        self.connections.push(Connection { id, state });
    }

    /// It stands.
    pub(super) fn connected(&mut self, now: Tick, id: PeerId) {
        if let Some(connection) = self.find(id)
            && matches!(connection.state, State::Connecting { .. })
        {
            connection.state = State::Idle {
                until: now + IDLE_MAX,
                is_used: false,
            };
            self.reach = Reach::Good;
        }
    }

    /// Is there a connection for another call?
    pub(super) fn has_idle(&self) -> bool {
        let mut states = self.connections.iter().map(|connection| &connection.state);
        states.any(|state| matches!(state, State::Idle { .. }))
    }

    /// Puts a call on the connection that was used last: it is the least likely to have been closed, and those
    /// that are not needed get the rest that ends them.
    pub(super) fn begin(&mut self, call: CallId, request: Bytes, limits: ResponseLimits) {
        let last_used = self
            .connections
            .iter_mut()
            .filter_map(|connection| match connection.state {
                State::Idle { until, is_used } => Some((until, is_used, connection)),
                _ => None,
            })
            .max_by_key(|(until, ..)| *until);
        if let Some((_, is_on_used, connection)) = last_used {
            connection.state = State::Calling(Box::new(Exchange {
                call,
                reader: ResponseReader::new(limits),
                request,
                sent: 0,
                is_on_used,
            }));
            self.dirty.push_back(connection.id);
        }
    }

    /// A connection has done its call well.
    pub(super) fn rest(&mut self, now: Tick, id: PeerId) {
        if let Some(connection) = self.find(id) {
            connection.state = State::Idle {
                until: now + IDLE_MAX,
                is_used: true,
            };
        }
    }

    pub(super) fn state(&mut self, id: PeerId) -> Option<&mut State> {
        self.find(id).map(|connection| &mut connection.state)
    }

    pub(super) fn exchange(&mut self, id: PeerId) -> Option<&mut Exchange> {
        match self.state(id)? {
            State::Calling(exchange) => Some(exchange),
            _ => None,
        }
    }

    /// The connection that carries a call.
    pub(super) fn carrier(&self, call: CallId) -> Option<PeerId> {
        let carries =
            |c: &&Connection| matches!(&c.state, State::Calling(exchange) if exchange.call == call);
        self.connections.iter().find(carries).map(|found| found.id)
    }

    /// A connection is gone: what it was doing.
    pub(super) fn remove(&mut self, id: PeerId) -> Option<State> {
        let at = self.connections.iter().position(|c| c.id == id)?;
        Some(self.connections.swap_remove(at).state)
    }

    /// A connection is to be closed: what it was doing.
    pub(super) fn drop(&mut self, id: PeerId) -> Option<State> {
        let state = self.remove(id)?;
        self.dropped.push_back(id);
        Some(state)
    }

    /// The application closes connections that idle: those that still seem to stand may be closed as well.
    pub(super) fn drop_idle(&mut self) {
        while let Some(id) = self.id_of(|state| matches!(state, State::Idle { .. })) {
            self.drop(id);
        }
    }

    /// A connection that has idled, or been connecting, for too long.
    pub(super) fn expired(&self, now: Tick) -> Option<PeerId> {
        self.id_of(|state| match state {
            State::Connecting { until } | State::Idle { until, .. } => *until <= now,
            State::Calling(_) => false,
        })
    }

    /// A connection could not be made. Is the application out of reach, then, or are there others?
    pub(super) fn missed(&mut self, now: Tick) -> bool {
        self.reach = Reach::Away {
            retry_at: now + RETRY_WAIT,
        };
        self.connections.is_empty()
    }

    /// Time has passed.
    pub(super) fn elapsed(&mut self, now: Tick) {
        if let Reach::Away { retry_at } = self.reach
            && retry_at <= now
        {
            self.reach = Reach::Trying;
        }
    }

    /// `waiting`: so many calls want a connection.
    pub(super) fn deadline(&self, waiting: usize) -> Option<Tick> {
        let retry_at = match self.reach {
            Reach::Away { retry_at } if waiting > 0 => Some(retry_at),
            _ => None,
        };
        let untils = self.connections.iter().filter_map(|c| match c.state {
            State::Connecting { until } | State::Idle { until, .. } => Some(until),
            State::Calling(_) => None,
        });
        untils.chain(retry_at).min()
    }

    pub(super) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// A connection with a new request to write; each once.
    pub(super) fn next_dirty(&mut self) -> Option<PeerId> {
        while let Some(id) = self.dirty.pop_front() {
            if self.exchange(id).is_some() {
                return Some(id);
            }
        }
        None
    }

    /// What is to be written to a connection.
    pub(super) fn pending(&self, id: PeerId) -> &[u8] {
        let found = self
            .connections
            .iter()
            .find(|connection| connection.id == id);
        match found.map(|connection| &connection.state) {
            Some(State::Calling(exchange)) => exchange.pending(),
            _ => &[],
        }
    }

    /// How many connections carry a call.
    pub(super) fn calling(&self) -> usize {
        let is_calling = |c: &&Connection| matches!(c.state, State::Calling(_));
        self.connections.iter().filter(is_calling).count()
    }

    /// How many connections there are, those under way included.
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn check(&self) {
        assert!(self.connections.len() <= self.connections_max);
        for connection in &self.connections {
            assert!(!self.dropped.contains(&connection.id));
            if let State::Calling(exchange) = &connection.state {
                assert_eq!(self.carrier(exchange.call), Some(connection.id));
                assert!(exchange.sent <= exchange.request.len());
            }
        }
    }

    fn find(&mut self, id: PeerId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|c| c.id == id)
    }

    fn id_of(&self, fits: impl Fn(&State) -> bool) -> Option<PeerId> {
        let found = self.connections.iter().find(|c| fits(&c.state));
        found.map(|connection| connection.id)
    }
}
