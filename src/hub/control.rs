//! Orders on the control channel, and sessions that have been open so long: who must go, and who must come anew.
//!
//! To judge an open session again one would need its request, and to keep that would triple the memory of an idle
//! connection. So who is to be judged anew is closed with 1012, at the pace of a drain, and the handshake with which it
//! comes back is the judgement.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::quality::FixedState;

use super::Hub;
use super::fingerprint::Fingerprints;
use super::pace::Pace;
use super::roster::{Known, Meant, Roster};
use super::session::State;
use crate::channel::Identity;
use crate::close::Close;
use crate::config::ControlConfig;
use crate::peer::{Door, PeerId};
use crate::refusal::Refusal;
use crate::report::{ControlReport, Report};
use crate::tick::Tick;
use crate::wire::order::{Action, Order, OrderRefused};

/// What is remembered for the sake of orders and age.
#[derive(Debug)]
pub(crate) struct Control {
    /// Who is known how; nothing where no orders are heard.
    roster: Option<Roster>,
    /// Sessions that are to be closed when their turn comes, and the pace.
    rechecks: BTreeSet<PeerId>,
    pace: Option<Pace>,
    aging: Option<Aging>,
}

/// For how long a session may be open.
#[derive(Debug)]
struct Aging {
    after: Duration,
    /// When all are looked at again.
    next: Tick,
    /// A tenth more or less, by chance: who came in one moment, as after a restart, must not go in one.
    chance: FixedState,
}

impl Aging {
    fn new(config: &ControlConfig, random: &mut fastrand::Rng) -> Option<Aging> {
        let after = Duration::from_secs(config.recheck_after.into());
        (!after.is_zero()).then(|| Aging {
            after,
            next: Tick::ZERO,
            chance: FixedState::with_seed(random.u64(..)),
        })
    }

    /// Now and then: a hundredth is exact enough, and a look at everybody costs.
    fn step(&self) -> Duration {
        (self.after / 100).clamp(Duration::from_secs(1), Duration::from_secs(60))
    }

    fn is_over(&self, now: Tick, id: PeerId, since: Tick) -> bool {
        let chance = self.chance.hash_one(id) as f64 / u64::MAX as f64;
        now.since(since) >= self.after.mul_f64(0.9 + chance / 5.0)
    }
}

impl Control {
    pub(crate) fn new(config: &ControlConfig, random: &mut fastrand::Rng) -> Control {
        Control {
            roster: config.is_on().then(Roster::default),
            rechecks: BTreeSet::new(),
            pace: None,
            aging: Aging::new(config, random),
        }
    }

    /// How many orders there have been: what a request remembers when it is read.
    pub(crate) fn orders(&self) -> u64 {
        self.roster.as_ref().map_or(0, Roster::orders)
    }

    /// A client is about to be admitted, and can be met by orders from now on.
    pub(crate) fn enter(&mut self, id: PeerId, identity: &Identity, fingerprints: &Fingerprints) {
        if let Some(roster) = &mut self.roster {
            roster.enter(id.index, Known::new(identity, fingerprints));
        }
    }

    /// A session is gone.
    pub(crate) fn leave(&mut self, id: PeerId) {
        if let Some(roster) = &mut self.roster {
            roster.leave(id.index);
        }
        self.rechecks.remove(&id);
    }

    /// Another pace: also for those who wait for their turn.
    pub(crate) fn reload(&mut self, now: Tick, per_second: u32) {
        if let Some(pace) = &mut self.pace {
            *pace = Pace::new(now, per_second.into());
        }
    }

    /// A drain begins, and closes all that would come back at a pace of its own.
    pub(crate) fn drain(&mut self) {
        self.rechecks.clear();
        self.pace = None;
        self.aging = None;
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        let pace = self.pace.as_ref().map(Pace::next);
        let aging = self.aging.as_ref().map(|aging| aging.next);
        pace.into_iter().chain(aging).min()
    }

    /// The places of the table in which somebody is known.
    pub(crate) fn places(&self) -> impl Iterator<Item = u32> {
        self.roster.iter().flat_map(Roster::places)
    }
}

impl Hub {
    /// Has an order that means this client come since its request was read, after so many orders?
    pub(super) fn is_overtaken(&self, identity: &Identity, orders: u64) -> bool {
        let roster = self.control.roster.as_ref();
        let Some(roster) = roster.filter(|roster| roster.orders() > orders) else {
            return false;
        };
        Known::new(identity, &self.fingerprints)
            .is_some_and(|known| roster.is_meant_since(orders, &known))
    }

    /// The link is back, and what was ordered meanwhile nobody told us: a handshake that was under way all the time
    /// must not be let in by what was found out before.
    pub(super) fn orders_missed(&mut self) {
        if let Some(roster) = &mut self.control.roster {
            roster.missed();
            self.close_calls_to_others();
        }
    }

    /// An order is obeyed.
    pub(super) fn obey(&mut self, now: Tick, order: &Order) {
        let Some(roster) = &mut self.control.roster else {
            return;
        };
        let meant = Meant::new(order, &self.fingerprints);
        let met = roster.order(now, meant, self.config.limits.handshake_timeout);
        self.close_calls_to_others();
        let (mut sessions, mut handshakes) = (0, 0);
        for index in met {
            let Some((id, session)) = self.peers.session_at(index) else {
                continue;
            };
            if !matches!(session.state, State::Open(_)) {
                handshakes += 1;
                self.refuse(now, id, Refusal::Recheck);
                continue;
            }
            sessions += 1;
            match order.action {
                Action::Disconnect => self.close(now, id, Close::Revoked),
                Action::Recheck => self.recheck(now, id),
            }
        }
        self.counts.orders += 1;
        self.reports
            .push_back(Report::Control(ControlReport::Obeyed {
                action: order.action.word(),
                by: order.by(),
                sessions,
                handshakes,
            }));
    }

    /// What was said on the control channel is no order.
    pub(super) fn disobey(&mut self, now: Tick, refused: OrderRefused) {
        self.counts.orders_refused += 1;
        if let Some(count) = self.seldom.orders.happened(now) {
            let why = refused.to_string();
            self.reports
                .push_back(Report::Control(ControlReport::Refused { why, count }));
        }
    }

    /// Closes those whose turn it is, and looks whose time is over.
    pub(super) fn control_elapsed(&mut self, now: Tick) {
        self.look_at_age(now);
        let control = &mut self.control;
        let Some(pace) = control.pace.as_mut().filter(|pace| pace.next() <= now) else {
            return;
        };
        // Not together with the last one: orders that each mean a few would else have no pace at all.
        if control.rechecks.is_empty() {
            control.pace = None;
            return;
        }
        for _ in 0..pace.batch(now) {
            let Some(id) = self.control.rechecks.pop_first() else {
                break;
            };
            self.close(now, id, Close::Recheck);
        }
    }

    /// What the application says to a question of before an order is not to be heard by who asks after it.
    fn close_calls_to_others(&mut self) {
        if let Some(application) = &mut self.application {
            application.calls.close_to_others();
        }
    }

    fn recheck(&mut self, now: Tick, id: PeerId) {
        if self.is_draining() {
            return;
        }
        let per_second = self.config.limits.drain_per_second.into();
        self.control
            .pace
            .get_or_insert_with(|| Pace::new(now, per_second));
        self.control.rechecks.insert(id);
    }

    /// Not while others wait for their turn: these would only wait behind them. Nor while they could not come back in:
    /// they would lose what they have for nothing.
    fn look_at_age(&mut self, now: Tick) {
        let is_ready = self.ready().is_ok();
        let Some(aging) = &mut self.control.aging else {
            return;
        };
        if now < aging.next {
            return;
        }
        aging.next = now + aging.step();
        if !self.control.rechecks.is_empty() || !is_ready {
            return;
        }
        let old = self.peers.sessions().filter(|(id, session)| {
            let is_open = matches!(session.state, State::Open(_)) && session.door == Door::Client;
            is_open && aging.is_over(now, *id, session.since)
        });
        let old: Vec<PeerId> = old.map(|(id, _)| id).collect();
        for id in old {
            self.recheck(now, id);
        }
    }
}
