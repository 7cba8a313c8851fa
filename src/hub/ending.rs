//! Goodbyes: every way out of every state leads through here, once.

use bytes::Bytes;

use super::Hub;
use super::peers::Peer;
use super::redis::subscriptions::Subscription;
use super::session::State;
use super::{Action, Lost};
use crate::close::Close;
use crate::peer::{Door, PeerId};
use crate::refusal::Refused;
use crate::report::Report;
use crate::tick::Tick;
use crate::wire::http;
use crate::wire::ws::{self, Partial};

impl Hub {
    /// An open session ends. One that is not open any more has its ending already, and keeps it.
    pub(super) fn close(&mut self, now: Tick, id: PeerId, close: Close) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let State::Open(open) = &mut session.state else {
            return;
        };
        self.counts.partial_bytes -= open.partial.as_deref().map_or(0, Partial::bytes) as u64;
        let lasted = now.since(session.since);
        let from = session.from;
        session.state = State::Ending { half_closed: false };
        // A Close frame is no answer to a handshake: the 101 goes before it even if that is still to be sent.
        self.frames.clear(&mut session.outbox, !session.begun);
        self.admitted -= 1;
        self.counts.sessions -= 1;
        self.counts.closes[close.index()] += 1;
        self.reports.push_back(Report::Closed { id, close, lasted });
        self.leave(id);
        self.addresses.leave(from);
        if close == Close::Gone {
            return self.drop_peer(id);
        }
        let reason = match close {
            Close::Client(_) => "",
            _ => close.word(),
        };
        self.say_goodbye(now, id, ws::close(close.code(), reason));
    }

    /// A request is refused.
    pub(super) fn refuse(&mut self, now: Tick, id: PeerId, refused: impl Into<Refused>) {
        let Refused { refusal, why } = refused.into();
        let Some(session) = self.peers.session(id) else {
            return;
        };
        if !session.is_pending() {
            return;
        }
        let from = session.from;
        self.counts.refusals[refusal.index()] += 1;
        self.reports
            .push_back(Report::Refused { from, refusal, why });
        self.answer(now, id, http::refusal(refusal));
    }

    /// A request gets a whole answer, and the connection ends.
    pub(super) fn answer(&mut self, now: Tick, id: PeerId, answer: Bytes) {
        self.end_request(id);
        self.say_goodbye(now, id, answer);
    }

    /// A connection ends before it became a session, and nobody is told.
    pub(super) fn dismiss(&mut self, id: PeerId) {
        self.end_request(id);
        self.drop_peer(id);
    }

    /// The connection is gone, or could not be made.
    pub(super) fn peer_lost(&mut self, now: Tick, id: PeerId, lost: Lost) {
        match self.peers.get(id) {
            None => {}
            Some(Peer::Link(of)) => self.give_up_link(now, *of, lost.to_string()),
            Some(Peer::Application) => self.application_lost(now, id, lost),
            Some(Peer::Backend) => {
                if let Some(embedded) = &mut self.embedded {
                    embedded.lost(id);
                }
                self.drop_peer(id);
            }
            Some(Peer::Session(session)) => match session.state {
                State::Open(_) => self.close(now, id, Close::Gone),
                State::Reading { .. } | State::Identifying(_) | State::Admitting(_) => {
                    self.dismiss(id);
                }
                State::Ending { .. } => self.drop_peer(id),
            },
        }
    }

    /// The reactor wrote all that there was: an ending session's side is closed now.
    pub(super) fn flushed(&mut self, id: PeerId) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        if let State::Ending { half_closed } = &mut session.state
            && !*half_closed
            && session.outbox.is_empty()
        {
            *half_closed = true;
            self.actions.push_back(Action::HalfClose(id));
        }
    }

    /// Forgets a peer for good.
    pub(super) fn drop_peer(&mut self, id: PeerId) {
        if let Some(Peer::Session(mut session)) = self.peers.remove(id) {
            // Nothing partly sent is worth keeping now.
            let waiting = session.outbox.bytes();
            self.frames.advance(&mut session.outbox, waiting);
            match session.door {
                Door::Client => self.counts.clients -= 1,
                Door::Admin => self.counts.admins -= 1,
                Door::Embedded => {}
            }
        }
        self.actions.push_back(Action::Drop(id));
    }

    /// A request that was being read or admitted is over, one way or another.
    fn end_request(&mut self, id: PeerId) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let (from, door) = (session.from, session.door);
        let was = std::mem::replace(&mut session.state, State::Ending { half_closed: false });
        self.frames.clear(&mut session.outbox, false);
        if door == Door::Client {
            self.counts.pending -= 1;
        }
        if let State::Identifying(identifying) = &was
            && let Some(ticket) = identifying.ticket()
        {
            self.forget_question(ticket);
        }
        if matches!(was, State::Admitting(_)) {
            self.admitted -= 1;
            self.leave(id);
            self.addresses.leave(from);
        }
    }

    fn say_goodbye(&mut self, now: Tick, id: PeerId, last: Bytes) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        self.frames.push_own(&mut session.outbox, last);
        let due = now + self.config.limits.close_timeout;
        self.timers.set(id, &mut session.alarm, due);
        self.mark_dirty(id);
    }

    fn leave(&mut self, id: PeerId) {
        self.control.leave(id);
        for channel in self.channels.leave(id.index) {
            if matches!(
                channel.subscription,
                Subscription::Asked | Subscription::Confirmed
            ) {
                self.redis.unsubscribe(&channel.name);
            }
        }
    }
}
