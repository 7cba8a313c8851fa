//! Going down without a stampede: clients are told to come back (1012), so many a second.
//!
//! The pace rises if at the set one the deadline would pass.

use std::time::Duration;

use super::pace::{Pace, STEP};
use super::session::State;
use super::{Hub, Lost};
use crate::close::Close;
use crate::peer::{Door, PeerId};
use crate::report::Report;
use crate::tick::Tick;

/// How long a new connection may be silent while draining.
const SILENCE: Duration = Duration::from_secs(1);

/// A drain under way.
#[derive(Debug)]
pub(crate) struct Drain {
    until: Tick,
    pace: Pace,
    finished: bool,
}

impl Drain {
    pub(crate) fn deadline(&self) -> Option<Tick> {
        (!self.finished).then_some(self.pace.next().min(self.until))
    }
}

impl Hub {
    /// Stops taking sessions and begins to close those there are. A second call changes nothing.
    pub fn drain(&mut self, now: Tick) {
        if self.drain.is_some() {
            return;
        }
        self.control.drain();
        let limits = &self.config.limits;
        // The last ones need time for their Close, too.
        let time = limits
            .drain_timeout
            .saturating_sub(limits.close_timeout)
            .max(STEP);
        let needed = self.counts.sessions as f64 / time.as_secs_f64();
        self.drain = Some(Drain {
            until: now + limits.drain_timeout,
            pace: Pace::new(now, needed.max(f64::from(limits.drain_per_second))),
            finished: false,
        });
        self.reports.push_back(Report::Draining {
            sessions: self.counts.sessions as usize,
        });
    }

    /// Has it begun to drain?
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Ends a drain at once, as at its deadline.
    pub fn stop(&mut self, now: Tick) {
        if self.is_draining() && !self.is_drained() {
            self.end_drain(now);
        }
    }

    /// Is the drain over? Then the process may end.
    pub fn is_drained(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.finished)
    }

    pub(super) fn drain_elapsed(&mut self, now: Tick) {
        let Some(drain) = &mut self.drain else { return };
        if drain.deadline().is_none_or(|due| due > now) {
            return;
        }
        let batch = drain.pace.batch(now);
        let over = now >= drain.until;
        let sessions = self
            .peers
            .sessions()
            .filter(|(_, session)| session.door == Door::Client);
        let open = sessions.filter(|(_, session)| matches!(session.state, State::Open(_)));
        let batch: Vec<PeerId> = open.map(|(id, _)| id).take(batch).collect();
        for id in batch {
            self.close(now, id, Close::Drain);
        }
        self.dismiss_silent(now);
        if over {
            self.end_drain(now);
        } else if self.counts.clients == 0 {
            self.finish_drain(0);
        }
    }

    /// Browsers connect ahead of need; nobody waits for a request that may never come. One that has begun is read,
    /// and refused.
    fn dismiss_silent(&mut self, now: Tick) {
        let silent = self.peers.sessions().filter(|(_, session)| {
            let State::Reading { head } = &session.state else {
                return false;
            };
            session.door == Door::Client && head.is_empty() && now.since(session.since) >= SILENCE
        });
        let silent: Vec<PeerId> = silent.map(|(id, _)| id).collect();
        for id in silent {
            self.dismiss(id);
        }
    }

    /// The deadline: whoever is left is dropped.
    fn end_drain(&mut self, now: Tick) {
        let clients = self
            .peers
            .sessions()
            .filter(|(_, session)| session.door == Door::Client);
        let left: Vec<PeerId> = clients.map(|(id, _)| id).collect();
        let count = left.len();
        for id in left {
            self.close(now, id, Close::Drain);
            self.peer_lost(now, id, Lost::Ended);
        }
        self.finish_drain(count);
    }

    fn finish_drain(&mut self, left: usize) {
        if let Some(drain) = &mut self.drain {
            drain.finished = true;
        }
        self.reports.push_back(Report::Drained { left });
    }
}
