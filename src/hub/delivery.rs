//! From Redis to clients: live messages, snapshots, and what differs after an outage.

use bytes::Bytes;

use super::Hub;
use super::channels::ChannelId;
use super::redis::answers::{GivenUp, Heard};
use super::redis::snapshots::{Differs, Value};
use super::redis::subscriptions::Subscription;
use super::session::{Delivered, Session, State};
use crate::close::Close;
use crate::peer::PeerId;
use crate::refusal::Refusal;
use crate::report::Report;
use crate::tick::Tick;
use crate::wire::ws::{self, Partial};

/// Bytes that may be held for the sake of a Close when the budget is used up.
const WORTH_A_GOODBYE: usize = 4 << 10;

impl Hub {
    /// Bytes came from Redis.
    pub(super) fn redis_spoke(&mut self, now: Tick, bytes: &[u8]) {
        self.redis.feed(now, bytes);
        loop {
            match self.hear(now) {
                Ok(true) => {}
                Ok(false) => return,
                Err(GivenUp(why)) => return self.give_up_link(now, why),
            }
        }
    }

    /// What Redis said is not all read yet: a nonce that is late may be among it.
    pub fn fell_behind(&mut self, now: Tick) {
        self.redis.alive(now);
    }

    /// Takes one thing that Redis said; `false` if there is no more.
    fn hear(&mut self, now: Tick) -> Result<bool, GivenUp> {
        match self.redis.hear(now)? {
            None => return Ok(false),
            Some(Heard::Nothing) => {}
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
            Some(Heard::Value { channel, value }) => self.answered(now, channel, value),
            Some(Heard::Subscribed(channel)) => {
                if let Some(channel) = self.channels.get_mut(channel) {
                    channel.subscription = Subscription::Confirmed;
                }
            }
            Some(Heard::SubscribeRefused { channels, error }) => {
                for channel in channels {
                    if let Some(channel) = self.channels.get_mut(channel) {
                        channel.subscription = Subscription::Refused;
                    }
                }
                self.reports.push_back(Report::SubscribeRefused { error });
            }
            Some(Heard::Greeted { version }) => self.link_greeted(now, version),
            Some(Heard::Canary(delay)) => self.link_proven(delay),
            Some(Heard::Published) => self.counts.published += 1,
            Some(Heard::PublishRefused { publish, error }) => {
                self.counts.publishes_failed += 1;
                self.reports.push_back(Report::PublishRefused { error });
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

    /// A message for one session, whose members' table already counts it.
    fn deliver_one(&mut self, now: Tick, peer: PeerId, value: &Value) {
        let Some(session) = self.peers.session_mut(peer) else {
            return;
        };
        if !matches!(session.state, State::Open(_)) {
            return;
        }
        let frame = self.frames.add(value.frame.clone());
        let pushed = self.frames.push(
            &mut session.outbox,
            frame,
            self.config.limits.queue_bytes_max,
        );
        self.frames.release(frame);
        match pushed {
            Ok(()) => {
                self.counts.snapshots += 1;
                self.mark_dirty(peer);
            }
            Err(_) => self.too_slow(now, peer),
        }
    }

    pub(super) fn too_slow(&mut self, now: Tick, peer: PeerId) {
        match self.peers.session(peer).map(|session| &session.state) {
            Some(State::Admitting(_)) => self.refuse(now, peer, Refusal::Full),
            _ => self.close(now, peer, Close::Slow),
        }
    }

    /// A GET was answered: joining sessions wait for it, a second look or catching up asked for it.
    fn answered(&mut self, now: Tick, id: ChannelId, value: Option<Bytes>) {
        let value = value.map(|message| Value {
            frame: ws::message(&message),
            fingerprint: self.fingerprints.of(&message),
        });
        if let Some(channel) = self.channels.get_mut(id) {
            let refused = channel.subscription == Subscription::Refused;
            let answered = channel.snapshot.answered(now, value.as_ref());
            if let Some(value) = &value {
                match answered.differs_for {
                    Differs::Everybody => {
                        self.counts.snapshots += 1;
                        self.fan_out(now, id, value.clone());
                    }
                    Differs::Sessions(peers) => {
                        for peer in peers {
                            self.deliver_one(now, peer, value);
                        }
                    }
                }
            }
            for peer in answered.waiting {
                if refused {
                    self.refuse(now, peer, Refusal::RedisAway);
                    continue;
                }
                if let Some(State::Admitting(admitting)) = self
                    .peers
                    .session_mut(peer)
                    .map(|session| &mut session.state)
                {
                    admitting.answered(id, value.as_ref(), answered.settled);
                }
                self.open_if_answered(now, peer);
            }
        }
        self.redis.catch_up(now, &mut self.channels);
    }

    /// Second looks that are due.
    pub(super) fn look_again(&mut self, now: Tick) {
        while let Some((id, look)) = self.redis.later.pop(now) {
            let Some(channel) = self.channels.get_mut(id) else {
                continue;
            };
            if channel.snapshot.look(look) {
                let name = channel.name.clone();
                self.redis.get(id, &name);
            }
        }
    }

    /// Does so much wait that some should be written before more is fetched?
    pub fn is_crowded(&self) -> bool {
        self.held_bytes() > self.config.limits.budget_bytes_max / 4
    }

    /// Makes room in the byte budget for a frame, at the cost of those who hold most of it: a queue that is read
    /// empties every turn. Messages that were begun and not ended count too: else whoever begins thousands of them
    /// would have everybody else's queues closed.
    fn relieve(&mut self, now: Tick, bytes: usize) {
        let budget = self.config.limits.budget_bytes_max;
        if self.held_bytes() + bytes <= budget {
            return;
        }
        let mut closed = 0;
        while self.held_bytes() + bytes > budget / 4 * 3 {
            let held = |session: &Session| match &session.state {
                State::Open(open) => {
                    session.outbox.bytes() + open.partial.as_deref().map_or(0, Partial::bytes)
                }
                _ => 0,
            };
            let most = self
                .peers
                .sessions()
                .map(|(_, session)| held(session))
                .max()
                .unwrap_or(0);
            if most == 0 {
                break;
            }
            let slow: Vec<PeerId> = self
                .peers
                .sessions()
                .filter(|(_, session)| held(session) * 2 >= most)
                .map(|(id, _)| id)
                .collect();
            closed += slow.len();
            for id in slow {
                self.close(now, id, Close::Slow);
                self.drop_if_stuck(id);
            }
        }
        self.reports.push_back(Report::BudgetReached { closed });
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
