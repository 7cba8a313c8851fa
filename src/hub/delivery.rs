//! From Redis to clients: live messages, snapshots, and what differs after an outage.

use bytes::Bytes;

use super::Hub;
use super::channels::{Channel, ChannelId};
use super::redis::answers::{GivenUp, Heard};
use super::redis::snapshots::{Differs, Value};
use super::redis::subscriptions::Subscription;
use super::session::{Delivered, Session, State};
use crate::close::Close;
use crate::peer::{PeerId, RedisOf};
use crate::refusal::Refusal;
use crate::report::Report;
use crate::tick::Tick;
use crate::wire::ws;

/// Bytes that may be held for the sake of a Close when the budget is used up.
const WORTH_A_GOODBYE: usize = 4 << 10;

impl Hub {
    /// Bytes came from a Redis.
    pub(super) fn redis_spoke(&mut self, now: Tick, of: RedisOf, bytes: &[u8]) {
        if let Some(link) = self.redis.link_mut(of) {
            link.feed(now, bytes);
        }
        loop {
            match self.hear(now, of) {
                Ok(true) => {}
                Ok(false) => break,
                Err(GivenUp(why)) => return self.give_up_link(now, of, why),
            }
        }
        if let Some(why) = self.redis.outlived.take() {
            self.give_up_link(now, of, why);
        }
    }

    /// What Redis said is not all read yet: a nonce that is late may be among it.
    pub fn fell_behind(&mut self, now: Tick) {
        self.redis.alive(now);
    }

    /// Takes one thing that a Redis said; `false` if there is no more.
    fn hear(&mut self, now: Tick, of: RedisOf) -> Result<bool, GivenUp> {
        match self.redis.hear(now, of)? {
            None => return Ok(false),
            Some(Heard::Nothing | Heard::Version(_)) => {}
            Some(Heard::Message { channel, payload }) => {
                self.counts.messages_in += 1;
                self.counts.messages_in_bytes += payload.len() as u64;
                if let Some(id) = self.channels.find(channel)
                    && !payload.is_empty()
                {
                    let fingerprint = self.fingerprints.of(payload);
                    let frame = ws::message(payload);
                    self.live(now, id, Value { frame, fingerprint });
                }
            }
            Some(Heard::Order(payload)) => {
                let unix = self.unix + now.since(Tick::ZERO);
                let orders = self.access.orders.as_ref();
                match orders.map(|orders| orders.read(payload, unix)) {
                    Some(Ok(order)) => self.obey(now, &order),
                    Some(Err(refused)) => self.disobey(now, refused),
                    None => {}
                }
            }
            Some(Heard::Value { channel, value }) => self.answered(now, channel, value),
            Some(Heard::Session { id, stored }) => self.session_stored(now, id, stored),
            Some(Heard::Outlived(why)) => {
                self.redis.outlived.get_or_insert(why);
            }
            Some(Heard::ValueRefused { channel, error }) => self.value_refused(now, channel, error),
            Some(Heard::Subscribed(channel)) => {
                if let Some(channel) = self.channels.get_mut(channel) {
                    channel.subscription = Subscription::Confirmed;
                    channel.snapshot.subscribed(now);
                }
            }
            Some(Heard::SubscribeRefused { channels, error }) => {
                self.subscribe_refused(now, &channels, error);
            }
            Some(Heard::Greeted) => self.link_greeted(now, of),
            Some(Heard::Published) => self.counts.published += 1,
            Some(Heard::PublishRefused { publish, error }) => {
                self.counts.publishes_failed += 1;
                if self.seldom.publishes.happened(now).is_some() {
                    self.reports.push_back(Report::PublishRefused { error });
                }
                self.close(now, publish.from, Close::PublishRefused);
            }
            Some(Heard::Oversize(bytes)) => {
                self.counts.oversize += 1;
                self.reports.push_back(Report::Oversize { bytes });
            }
        }
        Ok(true)
    }

    /// A live message goes to all members of its channel.
    fn live(&mut self, now: Tick, id: ChannelId, message: Value) {
        let Some(channel) = self.channels.get_mut(id) else {
            return;
        };
        if channel.subscription != Subscription::Confirmed {
            return;
        }
        channel.snapshot.live(now, message.fingerprint);
        self.relieve(now, message.frame.len());
        self.fan_out(now, id, message);
    }

    /// Queues a message to all members. Whoever is too slow is noted and closed afterwards: closing changes
    /// the table that is being walked.
    fn fan_out(&mut self, now: Tick, id: ChannelId, message: Value) {
        let Hub {
            channels,
            peers,
            frames,
            dirty,
            counts,
            config,
            ..
        } = self;
        let Some(channel) = channels.get(id) else {
            return;
        };
        let bytes_max = config.limits.queue_bytes_max;
        let frame = frames.add(message.frame);
        let mut doomed = Vec::new();
        for index in channel.members() {
            let Some((peer, session)) = peers.session_at(index) else {
                continue;
            };
            match session.deliver(frames, frame, message.fingerprint, bytes_max) {
                Delivered::Queued => {
                    counts.deliveries += 1;
                    if !session.dirty && session.is_writable() {
                        session.dirty = true;
                        dirty.push_back(peer);
                    }
                }
                Delivered::Withheld => {}
                Delivered::Full => doomed.push(peer),
            }
        }
        frames.release(frame);
        for peer in doomed {
            self.too_slow(now, peer);
        }
    }

    /// A persisted message that is news for these.
    fn renew(&mut self, now: Tick, peers: &[PeerId], value: &Value) {
        let bytes_max = self.config.limits.queue_bytes_max;
        let frame = self.frames.add_shared(&value.frame);
        for peer in peers {
            let Some(session) = self.peers.session_mut(*peer) else {
                continue;
            };
            // Its snapshot is still to be sent. If that is not settled, it looks again for itself.
            if matches!(session.state, State::Admitting(_)) {
                continue;
            }
            match session.deliver(&mut self.frames, frame, value.fingerprint, bytes_max) {
                Delivered::Queued => {
                    self.counts.snapshots += 1;
                    self.mark_dirty(*peer);
                }
                Delivered::Withheld => {}
                Delivered::Full => self.too_slow(now, *peer),
            }
        }
        self.frames.release(frame);
    }

    pub(super) fn too_slow(&mut self, now: Tick, peer: PeerId) {
        match self.peers.session(peer).map(|session| &session.state) {
            Some(State::Admitting(_)) => self.refuse(now, peer, Refusal::Full),
            _ => self.close(now, peer, Close::Slow),
        }
    }

    /// A GET was answered: joining sessions wait for it, a second look or catching up asked for it.
    fn answered(&mut self, now: Tick, id: ChannelId, value: Option<Bytes>) {
        self.give(now, id, value);
        self.redis.catch_up(now, &mut self.channels);
    }

    fn give(&mut self, now: Tick, id: ChannelId, value: Option<Bytes>) {
        let Some(channel) = self.channels.get_mut(id) else {
            return;
        };
        if channel.subscription != Subscription::Confirmed {
            channel.snapshot.ask_again(now);
            return self.redis.get(id, &channel.name);
        }
        let value = value.map(|message| Value {
            frame: ws::message(&message),
            fingerprint: self.fingerprints.of(&message),
        });
        let bytes = channel.name.len() + value.as_ref().map_or(0, |value| value.frame.len());
        let kept_bytes_max = self.config.limits.kept_bytes_max();
        let keep = self.redis.kept.note(now, id, bytes, kept_bytes_max);
        let answered = channel.snapshot.answered(now, value.as_ref(), keep);
        if let Some(due) = answered.look_at {
            self.redis.later.note(due, id);
        }
        if let Some(value) = &value {
            let peers = match answered.differs_for {
                Differs::EverybodyBut(mut having) => {
                    having.sort_unstable();
                    let mut members = self.members(id);
                    members.retain(|member| having.binary_search(member).is_err());
                    members
                }
                Differs::Sessions(peers) => peers,
            };
            self.renew(now, &peers, value);
        }
        for peer in answered.waiting {
            let session = self.peers.session_mut(peer);
            if let Some(State::Admitting(admitting)) = session.map(|session| &mut session.state) {
                admitting.answered(id, value.as_ref(), answered.settled);
            }
            self.open_if_answered(now, peer);
        }
    }

    /// Redis will not let us read what is persisted. Who joins would get nothing where something may be, and never
    /// know: so it does not join.
    fn value_refused(&mut self, now: Tick, id: ChannelId, error: String) {
        if let Some(channel) = self.channels.get_mut(id) {
            let (waiting, look_at) = channel.snapshot.refused(now);
            if let Some(due) = look_at {
                self.redis.later.note(due, id);
            }
            for peer in waiting {
                self.refuse(now, peer, Refusal::RedisAway);
            }
        }
        if self.seldom.reads.happened(now).is_some() {
            self.reports.push_back(Report::ReadRefused { error });
        }
        self.redis.catch_up(now, &mut self.channels);
    }

    /// Redis will not let us hear these channels. One that is denied spoils the command for all that it names, so
    /// several are asked for one by one; and who can hear nothing is told so, or it would wait for ever.
    fn subscribe_refused(&mut self, now: Tick, channels: &[ChannelId], error: String) {
        if let [id] = channels {
            let members = self.members(*id);
            if let Some(channel) = self.channels.get_mut(*id) {
                channel.subscription = Subscription::Unasked;
            }
            for peer in members {
                self.refuse(now, peer, Refusal::RedisAway);
                self.close(now, peer, Close::SubscribeRefused);
            }
            if self.seldom.subscribes.happened(now).is_some() {
                self.reports.push_back(Report::SubscribeRefused { error });
            }
            return;
        }
        for id in channels {
            if let Some(channel) = self.channels.get(*id) {
                self.redis.subscribe(*id, &channel.name);
            }
        }
    }

    fn members(&mut self, id: ChannelId) -> Vec<PeerId> {
        let Hub {
            channels, peers, ..
        } = self;
        let members = channels.get(id).into_iter().flat_map(Channel::members);
        members
            .filter_map(|index| peers.session_at(index).map(|(peer, _)| peer))
            .collect()
    }

    /// Second looks that are due, and values that were kept long enough.
    pub(super) fn look_again(&mut self, now: Tick) {
        while let Some(id) = self.redis.kept.pop(now) {
            if let Some(channel) = self.channels.get_mut(id) {
                channel.snapshot.forget(now);
            }
        }
        while let Some(id) = self.redis.later.pop(now) {
            if let Some(channel) = self.channels.get_mut(id)
                && channel.snapshot.look(now)
            {
                self.redis.get(id, &channel.name);
            }
        }
    }

    /// Does so much wait that some should be written before more is fetched?
    pub fn is_crowded(&self) -> bool {
        self.frames.bytes() > self.config.limits.queues_bytes_max() / 4
    }

    /// Makes room in the byte budget for a frame, at the cost of those whose queues are longest: they are
    /// the reason why it is used up, because a queue that is read empties every turn.
    pub(super) fn relieve(&mut self, now: Tick, bytes: usize) {
        let budget = self.config.limits.queues_bytes_max();
        if self.frames.bytes() + bytes <= budget {
            return;
        }
        let mut closed = 0;
        while self.frames.bytes() + bytes > budget / 4 * 3 {
            let queue = |session: &Session| match session.state {
                State::Open(_) => session.outbox.bytes(),
                _ => 0,
            };
            let most = self
                .peers
                .sessions()
                .map(|(_, session)| queue(session))
                .max()
                .unwrap_or(0);
            if most == 0 {
                break;
            }
            let slow: Vec<PeerId> = self
                .peers
                .sessions()
                .filter(|(_, session)| queue(session) * 2 >= most)
                .map(|(id, _)| id)
                .collect();
            closed += slow.len();
            for id in slow {
                self.close(now, id, Close::Slow);
                self.drop_if_stuck(id);
            }
        }
        if closed > 0 {
            self.reports.push_back(Report::BudgetReached { closed });
        }
    }

    /// A Close has to follow the rest of a frame that is partly sent. Where that is large, to say goodbye would hold
    /// for the whole of `close_timeout` just what had to be freed.
    fn drop_if_stuck(&mut self, id: PeerId) {
        let session = self.peers.session(id);
        if session.is_some_and(|session| session.outbox.bytes() > WORTH_A_GOODBYE) {
            self.drop_peer(id);
        }
    }
}
