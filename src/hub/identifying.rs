//! From a judged request to what its client may: the sources of identity that have to ask somebody.
//!
//! Steps are taken in the order of the sources; the session waits where an answer has to come first. Its deadline is
//! the handshake's: nobody is let in because somebody did not answer.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::Hub;
use super::access::callback::{Question, Ticket};
use super::access::testimony::Testimony;
use super::access::{self, Step, StoredAt, Target};
use super::redis::answers::StoredSession;
use super::session::State;
use crate::peer::PeerId;
use crate::refusal::{Refusal, Refused};
use crate::report::Report;
use crate::tick::Tick;
use crate::wire::http::Upgrade;

/// A session whose client is not known yet.
#[derive(Debug)]
pub(crate) struct Identifying {
    pub(crate) upgrade: Upgrade,
    pub(crate) target: Target,
    /// What the client sent without waiting for the 101.
    pub(crate) early: Vec<u8>,
    /// How many orders there had been on the control channel when the request was read.
    orders: u64,
    /// What is known so far.
    testimony: Testimony,
    left: VecDeque<Step>,
    waits: Waits,
}

/// For what a session waits.
#[derive(Debug)]
enum Waits {
    Not,
    /// For the application's verdict.
    Judged(Ticket),
    /// For the session that Django stored here.
    Stored(StoredAt),
}

impl Identifying {
    pub(crate) fn new(
        upgrade: Upgrade,
        target: Target,
        left: VecDeque<Step>,
        orders: u64,
    ) -> Identifying {
        Identifying {
            upgrade,
            target,
            early: Vec::new(),
            orders,
            testimony: Testimony::default(),
            left,
            waits: Waits::Not,
        }
    }

    fn is_known(&self) -> bool {
        let identity = &self.testimony.identity;
        identity.user.is_some() && identity.session.is_some()
    }

    /// The right to the verdict that it waits for.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        match self.waits {
            Waits::Judged(ticket) => Some(ticket),
            Waits::Not | Waits::Stored(_) => None,
        }
    }

    /// What its client is told if the answer does not come.
    pub(crate) fn unanswered(&self) -> Refusal {
        match self.waits {
            Waits::Not => Refusal::TooLate,
            Waits::Judged(_) => Refusal::CallbackFailed,
            Waits::Stored(_) => Refusal::RedisAway,
        }
    }
}

impl Hub {
    /// Takes the steps that are left, up to one that has to wait.
    pub(super) fn identify(&mut self, now: Tick, id: PeerId) {
        while let Some(identifying) = self.identifying(id) {
            let Some(step) = identifying.left.pop_front() else {
                return self.identified(now, id);
            };
            match step {
                Step::Said(testimony) => identifying.testimony.add(*testimony),
                Step::Unreadable(bad) => self.bad_session(id, bad.to_string()),
                // Nothing that it could say would count.
                Step::Stored(_) if identifying.is_known() => {}
                Step::Ask(question) => return self.ask(now, id, &question),
                Step::Stored(at) => {
                    let redis_key = at.redis_key.clone();
                    identifying.waits = Waits::Stored(at);
                    let asked = self.redis.get_session(id, redis_key.as_bytes());
                    if let Err(refused) = asked {
                        self.refuse(now, id, refused);
                    }
                    return;
                }
            }
        }
    }

    /// Asked always, whoever is known already: the application says who it is and what it may in one.
    fn ask(&mut self, now: Tick, id: PeerId, question: &Question) {
        match self.ask_application(now, id, question) {
            Ok(ticket) => {
                if let Some(identifying) = self.identifying(id) {
                    identifying.waits = Waits::Judged(ticket);
                }
            }
            Err(refused) => self.refuse(now, id, refused),
        }
        self.heed_application(now);
    }

    /// The application lets a client in, on these terms.
    pub(super) fn application_said(&mut self, now: Tick, id: PeerId, testimony: Testimony) {
        if let Some(identifying) = self.identifying(id) {
            identifying.waits = Waits::Not;
            identifying.testimony.add(testimony);
            self.identify(now, id);
        }
    }

    /// Redis answered what a session of Django is.
    pub(super) fn session_stored(&mut self, now: Tick, id: PeerId, stored: StoredSession) {
        let unix = self.unix_at(now);
        let Some(identifying) = self.identifying(id) else {
            return;
        };
        let Waits::Stored(at) = std::mem::replace(&mut identifying.waits, Waits::Not) else {
            return;
        };
        match stored {
            // Logged out, or expired: not even the session is theirs.
            StoredSession::None => {}
            StoredSession::Unreadable(why) => self.bad_session(id, why),
            StoredSession::Untold(why) => {
                let refused = Refused {
                    refusal: Refusal::RedisAway,
                    why: Some(why),
                };
                return self.refuse(now, id, refused);
            }
            StoredSession::Value(raw) => self.read_session(id, at, &raw, unix),
        }
        self.identify(now, id);
    }

    fn read_session(&mut self, id: PeerId, at: StoredAt, raw: &Bytes, unix: Duration) {
        match at.django.read(Some(at.key), raw, unix) {
            Ok(testimony) => {
                if let Some(identifying) = self.identifying(id) {
                    identifying.testimony.add(testimony);
                }
            }
            Err(bad) => self.bad_session(id, bad.to_string()),
        }
    }

    /// A session that cannot be read is nobody's, as for Django itself. What is wrong with it is for the operator.
    fn bad_session(&mut self, id: PeerId, why: String) {
        let Some(from) = self.peers.session(id).map(|session| session.from) else {
            return;
        };
        self.counts.bad_sessions += 1;
        self.reports.push_back(Report::BadSession { from, why });
    }

    /// All is known that there is to know.
    fn identified(&mut self, now: Tick, id: PeerId) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let State::Identifying(identifying) = &mut session.state else {
            return;
        };
        let (target, orders, from) = (identifying.target.clone(), identifying.orders, session.from);
        let testimony = std::mem::take(&mut identifying.testimony);
        let rules = &self.access.rules;
        match access::grant(target, testimony, &self.config, rules, &*self.subscriber) {
            Ok(grant) => {
                if grant.reserved > 0 && self.seldom.reserved.happened(now).is_some() {
                    let count = grant.reserved;
                    self.reports
                        .push_back(Report::ReservedChannels { from, count });
                }
                self.admit(now, id, grant, orders);
            }
            Err(refusal) => self.refuse(now, id, refusal),
        }
    }

    fn identifying(&mut self, id: PeerId) -> Option<&mut Identifying> {
        match &mut self.peers.session_mut(id)?.state {
            State::Identifying(identifying) => Some(identifying),
            _ => None,
        }
    }
}
