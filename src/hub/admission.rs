//! From accept to 101: read the head, judge it, join the channels, wait for Redis, open.
//!
//! The session is a member of its channels from the moment of its request. Live messages queue behind the 101
//! that is not sent yet, and each channel's snapshot is dropped if a live message of that channel overtook it.

use bytes::Bytes;

use super::Hub;
use super::access::{self, Grant, forwarded};
use super::channels::Joined;
use super::identifying::Identifying;
use super::outbox::Outbox;
use super::redis::snapshots::Told;
use super::redis::subscriptions::Subscription;
use super::session::{Admitting, Open, SnapshotAsk, State};
use crate::peer::{Door, From, PeerId};
use crate::refusal::{Refusal, Refused};
use crate::report::Report;
use crate::tick::Tick;
use crate::wire::http;

/// What a request head asks for.
enum Asked {
    Session(Box<Identifying>),
    /// An answer is all it gets: the playground page, or an admin page.
    Answer(Bytes),
}

impl Hub {
    /// More of a request head came.
    pub(super) fn read_head(&mut self, now: Tick, id: PeerId, bytes: &[u8]) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let State::Reading { head } = &mut session.state else {
            return;
        };
        // A head that comes whole, as nearly all do, is parsed where it lies.
        let mut earlier = std::mem::take(head);
        let bytes = if earlier.is_empty() {
            bytes
        } else {
            earlier.extend_from_slice(bytes);
            &earlier
        };
        let (from, door) = (session.from, session.door);
        let read = http::with_head(bytes, self.config.limits.head_bytes_max, |head, length| {
            (self.asked(now, id, head, from, door), length)
        });
        match read {
            Ok(None) => {
                let head = bytes.to_vec();
                if let Some(session) = self.peers.session_mut(id) {
                    session.state = State::Reading { head };
                }
            }
            Ok(Some((Ok(Asked::Session(mut identifying)), length))) => {
                let early = bytes.get(length..).unwrap_or_default().to_vec();
                if early.len() > self.config.limits.head_bytes_max {
                    return self.refuse(now, id, Refusal::HeadTooLarge);
                }
                identifying.early = early;
                if let Some(session) = self.peers.session_mut(id) {
                    session.state = State::Identifying(identifying);
                }
                self.identify(now, id);
            }
            Ok(Some((Ok(Asked::Answer(answer)), _))) => self.answer(now, id, answer),
            Ok(Some((Err(refused), _))) => self.refuse(now, id, refused),
            Err(refusal) => self.refuse(now, id, refusal),
        }
    }

    /// A client sends before it has the 101. Few do; it may be one frame's worth, not a flood.
    pub(super) fn read_early(&mut self, now: Tick, id: PeerId, bytes: &[u8]) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let early = match &mut session.state {
            State::Identifying(identifying) => &mut identifying.early,
            State::Admitting(admitting) => &mut admitting.early,
            _ => return,
        };
        if early.len() + bytes.len() > self.config.limits.head_bytes_max {
            return self.refuse(now, id, Refusal::HeadTooLarge);
        }
        early.extend_from_slice(bytes);
    }

    /// A request did not become a session in time.
    pub(super) fn handshake_due(&mut self, now: Tick, id: PeerId) {
        match self.peers.session(id).map(|session| &session.state) {
            // Browsers connect ahead of need. Who said nothing waits for no answer.
            Some(State::Reading { head }) if head.is_empty() => self.dismiss(id),
            Some(State::Identifying(identifying)) => {
                let refusal = identifying.unanswered();
                self.refuse(now, id, refusal);
            }
            Some(State::Admitting(_)) => self.refuse(now, id, Refusal::RedisAway),
            _ => self.refuse(now, id, Refusal::TooLate),
        }
    }

    /// What does the head ask for? `from` is the peer, which decides what is believed; from here on the session is
    /// its client's.
    fn asked(
        &mut self,
        now: Tick,
        id: PeerId,
        head: &http::Head<'_>,
        from: From,
        door: Door,
    ) -> Result<Asked, Refused> {
        if door == Door::Admin {
            return Ok(Asked::Answer(self.answer_operator(head)?));
        }
        let trusted = access::is_trusted(from, &self.config);
        let client = forwarded::client_address(head, from, trusted, self.config.forwarded_hops);
        if let Some(session) = self.peers.session_mut(id) {
            session.from = client;
        }
        if let Some(page) = &self.page
            && head.split_target().0 == "/"
            && !head.has_token("Upgrade", "websocket")
        {
            return match head.method {
                "GET" => Ok(Asked::Answer(page.clone())),
                _ => Err(Refusal::Method.into()),
            };
        }
        // Before anything that costs more: this is against those who make us judge all day.
        self.addresses.knock(now, client, &self.config)?;
        let unix = self.unix_at(now);
        let (upgrade, target, steps) = self.access.judge(head, trusted, &self.config, unix)?;
        let identifying = Identifying::new(upgrade, target, steps, self.control.orders());
        Ok(Asked::Session(Box::new(identifying)))
    }

    /// The request, which was read after so many `orders`, is a good one: is it still, is there room, and is Redis
    /// there?
    pub(super) fn admit(&mut self, now: Tick, id: PeerId, grant: Grant, orders: u64) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let from = session.from;
        let room = if self.drain.is_some() {
            Err(Refusal::Draining)
        } else if !self.redis.link.is_greeted() {
            Err(Refusal::RedisAway)
        } else if self.admitted >= self.config.limits.sessions_max {
            Err(Refusal::Full)
        } else if self.is_overtaken(&grant.identity, orders) {
            Err(Refusal::Recheck)
        } else {
            self.addresses.enter(from, &self.config)
        };
        if let Err(refusal) = room {
            return self.refuse(now, id, refusal);
        }
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let state = std::mem::replace(&mut session.state, State::Reading { head: Vec::new() });
        let State::Identifying(identifying) = state else {
            return;
        };
        let Identifying { upgrade, early, .. } = *identifying;
        self.admitted += 1;
        self.control.enter(id, &grant.identity, &self.fingerprints);
        let limits = &self.config.limits;
        let mut open = Open::new(now, limits, self.heartbeat.is_some(), self.random.f64());
        open.expires = grant.expires.map_or(Tick::NEVER, |expires| {
            Tick::new(expires.saturating_sub(self.unix))
        });
        open.publish = (!grant.publish.is_empty()).then(|| Box::new(grant.publish));
        open.echo = grant.echo;
        session.state = State::Admitting(Box::new(Admitting {
            upgrade,
            facility: grant.facility,
            open,
            asks: Vec::with_capacity(grant.subscribe.len()),
            awaited: 0,
            early,
        }));
        for name in &grant.subscribe {
            self.join(now, id, name);
        }
        self.open_if_answered(now, id);
    }

    fn join(&mut self, now: Tick, id: PeerId, name: &Bytes) {
        let channel_id = match self.channels.join(id.index, name) {
            Joined::Already => return,
            Joined::First(channel) | Joined::Further(channel) => channel,
        };
        let Some(channel) = self.channels.get_mut(channel_id) else {
            return;
        };
        // Unasked also after an outage, when catching up has not come to this channel yet.
        if channel.subscription == Subscription::Unasked {
            channel.subscription = Subscription::Asked;
            self.redis.subscribe(channel_id, name);
        }
        let lives = channel.snapshot.lives();
        let told = channel.snapshot.joined(now, id);
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let State::Admitting(admitting) = &mut session.state else {
            return;
        };
        let (value, settled) = match told {
            Told::Known { value, settled } => (value, settled),
            Told::Wait { get } => {
                admitting.awaited += 1;
                if get {
                    self.redis.get(channel_id, name);
                }
                (None, true)
            }
        };
        admitting.asks.push(SnapshotAsk {
            channel: channel_id,
            lives,
            value,
            settled,
        });
    }

    /// Opens a session for which nothing is awaited any more: 101, snapshots, then what came meanwhile.
    pub(super) fn open_if_answered(&mut self, now: Tick, id: PeerId) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let State::Admitting(admitting) = &session.state else {
            return;
        };
        if admitting.awaited > 0 {
            return;
        }
        let values = admitting.asks.iter().filter_map(|ask| ask.value.as_ref());
        let bytes = values.map(|value| self.frames.cost(&value.frame)).sum();
        // While it is not open yet: what is closed for this is not this session.
        self.relieve(now, bytes);
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let state = std::mem::replace(&mut session.state, State::Reading { head: Vec::new() });
        let State::Admitting(admitting) = state else {
            return;
        };
        let Admitting {
            upgrade,
            facility,
            open,
            asks,
            early,
            ..
        } = *admitting;
        let deadline = open.deadline();
        session.state = State::Open(open);
        session.since = now;
        let from = session.from;

        let mut first = Outbox::default();
        self.frames.push_own(&mut first, upgrade.response());
        for ask in asks {
            self.give_snapshot(id, ask, &mut first);
        }
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        self.frames.prepend(first, &mut session.outbox);
        self.timers.set(id, &mut session.alarm, deadline);
        self.mark_dirty(id);
        self.counts.pending -= 1;
        self.counts.sessions += 1;
        self.counts.opened += 1;
        let channels = self.channels.heard_by(id.index);
        self.reports.push_back(Report::Opened {
            id,
            from,
            facility,
            channels,
        });
        if !early.is_empty() {
            let mut early = early;
            self.client_spoke(now, id, &mut early);
        }
    }

    fn give_snapshot(&mut self, id: PeerId, ask: SnapshotAsk, first: &mut Outbox) {
        let Some(channel) = self.channels.get_mut(ask.channel) else {
            return;
        };
        if channel.snapshot.lives() != ask.lives {
            return;
        }
        let got = ask.value.as_ref().map(|value| value.fingerprint);
        let alone = channel.is_alone();
        channel.snapshot.gave(got, alone);
        if !ask.settled
            && let Some(due) = channel.snapshot.look_later(id, got)
        {
            self.redis.later.note(due, ask.channel);
        }
        if let Some(value) = ask.value {
            self.frames.push_shared(first, &value.frame);
            self.counts.snapshots += 1;
        }
    }
}
