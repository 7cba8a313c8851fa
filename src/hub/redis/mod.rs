//! Redis, as the hub sees it: one link that subscribes, asks and publishes, and the memory that survives it. Beside
//! it may stand a second one to where Django keeps its sessions.
//!
//! Everything about messages is said on one connection in RESP3, so Redis itself puts our questions' answers and the
//! live messages in one order. [`Redis::hear`] tells the hub what was said; the link remembers for each command what
//! its answer means ([`link::Expected`]), because answers come in the order of commands.

pub(crate) mod answers;
pub(crate) mod canary;
pub(crate) mod link;
pub(crate) mod publishes;
mod sessions;
pub(crate) mod snapshots;
pub(crate) mod subscriptions;

use std::collections::VecDeque;

use bytes::Bytes;

use self::answers::{GivenUp, Heard};
use self::link::{Expected, Link, State, Up};
use self::publishes::{Publish, Publishes};
use self::sessions::Sessions;
use self::snapshots::{Kept, Later};
use self::subscriptions::Subscription;
use super::channels::{ChannelId, Channels};
use crate::channel;
use crate::config::Config;
use crate::limits::Limits;
use crate::peer::{PeerId, RedisOf};
use crate::refusal::{Refusal, Refused};
use crate::tick::Tick;
use crate::wire::resp::Incoming;

/// Channels asked for at once after an outage. Redis holds all answers to a batch in memory until we read
/// them, so a batch is a bound on that.
const CATCH_UP_BATCH: usize = 256;

/// The links and what is owed to Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    /// The one of the messages.
    pub(crate) link: Link,
    sessions: Option<Sessions>,
    pub(crate) publishes: Publishes,
    pub(crate) later: Later,
    pub(crate) kept: Kept,
    /// Why the link is to be given up when all that it said is heard.
    pub(crate) outlived: Option<String>,
    expire: String,
    limits: Limits,
    /// The channel by which the link is proven.
    probe: Bytes,
    /// The control channel, if it is heard.
    control: Option<Bytes>,
    /// Channels still to be subscribed since the link came back, and the answers awaited of the last batch.
    catching_up: VecDeque<ChannelId>,
    awaited: usize,
}

impl Redis {
    pub(crate) fn new(config: &Config, mut random: fastrand::Rng) -> Redis {
        let sessions = config.sessions_redis();
        // Its number tells this gateway's probe from those of others on the same Redis.
        let probe = Bytes::from(channel::probe(&config.prefix, random.u64(..)));
        let control =
            (config.control.is_on()).then(|| Bytes::from(channel::control(&config.prefix)));
        let mut own = vec![(probe.clone(), Expected::Probe)];
        own.extend(control.clone().map(|control| (control, Expected::Control)));
        Redis {
            link: Link::new(
                &config.redis,
                own,
                config.limits.redis_message_bytes_max,
                random.fork(),
            ),
            sessions: sessions.map(|redis| Sessions::new(redis, config, random)),
            publishes: Publishes::default(),
            later: Later::default(),
            kept: Kept::default(),
            outlived: None,
            expire: config.expire.to_string(),
            limits: config.limits.clone(),
            probe,
            control,
            catching_up: VecDeque::new(),
            awaited: 0,
        }
    }

    /// What is said from now on is said as this has it. Where Redis is, and what its link may bring, stays. A link for
    /// Django's sessions is added if it is needed only now; one that is not needed any more may still owe answers.
    pub(crate) fn reload(&mut self, config: &Config, random: fastrand::Rng) {
        self.expire = config.expire.to_string();
        self.limits = config.limits.clone();
        match (&mut self.sessions, config.sessions_redis()) {
            (Some(sessions), _) => sessions.reload(config),
            (none, Some(redis)) => *none = Some(Sessions::new(redis, config, random)),
            (None, None) => {}
        }
    }

    /// A link, if there is that one.
    pub(crate) fn link_of(&self, of: RedisOf) -> Option<&Link> {
        match of {
            RedisOf::Messages => Some(&self.link),
            RedisOf::Sessions => self.sessions.as_ref().map(|sessions| &sessions.link),
        }
    }

    /// A link, if there is that one.
    pub(crate) fn link_mut(&mut self, of: RedisOf) -> Option<&mut Link> {
        match of {
            RedisOf::Messages => Some(&mut self.link),
            RedisOf::Sessions => self.sessions.as_mut().map(|sessions| &mut sessions.link),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        let publishes = self.publishes.deadline(&self.limits);
        let sessions = self.link_of(RedisOf::Sessions);
        [
            self.link.deadline(),
            sessions.and_then(Link::deadline),
            self.later.deadline(),
            self.kept.deadline(),
            publishes,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The link of the messages is lost, and with it all that was said on it.
    pub(crate) fn lost(&mut self) {
        self.publishes.lost();
        self.later.lost();
        self.outlived = None;
        self.catching_up.clear();
        self.awaited = 0;
    }

    /// Begins to subscribe all channels anew.
    pub(crate) fn start(&mut self, now: Tick, channels: &mut Channels) {
        self.catching_up = channels.ids().into();
        self.catch_up(now, channels);
        self.send_publishes();
    }

    /// Asks for the next batch of channels after an outage, once the last one is answered.
    pub(crate) fn catch_up(&mut self, now: Tick, channels: &mut Channels) {
        while self.awaited == 0 && !self.catching_up.is_empty() {
            self.ask_batch(now, channels);
        }
    }

    fn ask_batch(&mut self, now: Tick, channels: &mut Channels) {
        let batch: Vec<ChannelId> = self
            .catching_up
            .drain(..self.catching_up.len().min(CATCH_UP_BATCH))
            .collect();
        let mut anew = Vec::new();
        let mut gets = Vec::new();
        for id in batch {
            let Some(channel) = channels.get_mut(id) else {
                continue;
            };
            if channel.subscription == Subscription::Unasked {
                channel.subscription = Subscription::Asked;
                anew.push((id, channel.name.clone()));
            }
            if channel.snapshot.catch_up(now) {
                gets.push((id, channel.name.clone()));
            }
        }
        let Some(up) = self.link.greeted() else {
            return;
        };
        if !anew.is_empty() {
            let names: Vec<(ChannelId, &[u8])> =
                anew.iter().map(|(id, name)| (*id, name.as_ref())).collect();
            up.subscribe(&names);
        }
        for (id, name) in gets {
            up.send(&[b"GET", &name], Expected::CaughtUp(id));
            self.awaited += 1;
        }
    }

    /// The first member came.
    pub(crate) fn subscribe(&mut self, channel: ChannelId, name: &[u8]) {
        if let Some(up) = self.link.greeted() {
            up.subscribe(&[(channel, name)]);
        }
    }

    /// The last member left a channel of which Redis had heard.
    pub(crate) fn unsubscribe(&mut self, name: &[u8]) {
        if let Some(up) = self.link.greeted() {
            up.send(&[b"UNSUBSCRIBE", name], Expected::Unsubscribed);
        }
    }

    /// Asks for a persisted message.
    pub(crate) fn get(&mut self, channel: ChannelId, name: &[u8]) {
        if let Some(up) = self.link.greeted() {
            up.send(&[b"GET", name], Expected::Value(channel));
        }
    }

    /// Asks for a session of Django, on behalf of a client.
    pub(crate) fn get_session(&mut self, id: PeerId, key: &[u8]) -> Result<(), Refused> {
        if let Some(sessions) = &mut self.sessions {
            return sessions.get(id, key);
        }
        let up = self.link.greeted().ok_or(Refusal::RedisAway)?;
        up.send(&[b"GET", key], Expected::Session(id));
        Ok(())
    }

    /// Sends the publishes that wait, if the link stands.
    pub(crate) fn send_publishes(&mut self) {
        let Some(up) = self.link.greeted() else {
            return;
        };
        while let Some(Publish {
            channel, message, ..
        }) = self.publishes.next_to_send()
        {
            if self.expire == "0" {
                up.send(&[b"PUBLISH", channel, message], Expected::Published);
                continue;
            }
            up.send(&[b"MULTI"], Expected::Ignored);
            up.send(
                &[b"SETEX", channel, self.expire.as_bytes(), message],
                Expected::Queued,
            );
            up.send(&[b"PUBLISH", channel, message], Expected::Queued);
            up.send(&[b"EXEC"], Expected::Published);
        }
    }

    /// What is due on a link itself. (Second looks and old publishes are fetched by the hub.)
    pub(crate) fn elapsed(&mut self, now: Tick, of: RedisOf) -> Result<(), GivenUp> {
        match (of, &mut self.sessions) {
            (RedisOf::Messages, _) => {
                if let Some(nonce) = self.link.elapsed(now)?
                    && let Some(up) = self.link.greeted()
                {
                    let words: [&[u8]; 3] = [b"PUBLISH", &self.probe, nonce.as_bytes()];
                    up.send(&words, Expected::Canary);
                }
                Ok(())
            }
            (RedisOf::Sessions, Some(sessions)) => sessions.elapsed(now),
            (RedisOf::Sessions, None) => Ok(()),
        }
    }

    /// Redis is heard, or could be.
    pub(crate) fn alive(&mut self, now: Tick) {
        self.link.canary.alive(now);
    }

    /// The next thing that was said on a link, until there is no more.
    pub(crate) fn hear(&mut self, now: Tick, of: RedisOf) -> Result<Option<Heard<'_>>, GivenUp> {
        match (of, &mut self.sessions) {
            (RedisOf::Messages, _) => self.hear_messages(now),
            (RedisOf::Sessions, Some(sessions)) => sessions.hear(now),
            (RedisOf::Sessions, None) => Ok(None),
        }
    }

    fn hear_messages(&mut self, now: Tick) -> Result<Option<Heard<'_>>, GivenUp> {
        let Redis {
            link:
                Link {
                    state: State::Up(up),
                    canary,
                    ..
                },
            probe,
            control,
            publishes,
            awaited,
            ..
        } = self
        else {
            return Ok(None);
        };
        let Up {
            reader,
            expected,
            version,
            ..
        } = &mut **up;
        let incoming = match reader.pull() {
            Ok(Some(incoming)) => incoming,
            Ok(None) => return Ok(None),
            Err(malformed) => return Err(answers::no_resp(malformed)),
        };
        let heard = match incoming {
            Incoming::Message { channel, payload } if channel == probe.as_ref() => {
                canary.heard(now, payload);
                Heard::Nothing
            }
            Incoming::Message { channel, payload } if control.as_deref() == Some(channel) => {
                Heard::Order(payload)
            }
            Incoming::Message { channel, payload } => Heard::Message { channel, payload },
            Incoming::OversizePush { bytes } => Heard::Oversize(bytes),
            Incoming::OtherPush => Heard::Nothing,
            Incoming::Subscribed { .. } => match expected.pop_front() {
                Some(Expected::Subscribed { channel, .. }) => Heard::Subscribed(channel),
                Some(Expected::Probe | Expected::Control) => Heard::Nothing,
                other => return Err(answers::unexpected("a confirmation of SUBSCRIBE", other)),
            },
            Incoming::Unsubscribed { .. } => match expected.pop_front() {
                Some(Expected::Unsubscribed) => Heard::Nothing,
                other => return Err(answers::unexpected("a confirmation of UNSUBSCRIBE", other)),
            },
            Incoming::Reply(reply) => {
                let Some(answered) = expected.pop_front() else {
                    return Err(answers::unexpected("an answer", None));
                };
                if matches!(answered, Expected::CaughtUp(_)) {
                    *awaited = awaited.saturating_sub(1);
                }
                match answers::understand(answered, reply, publishes, expected)? {
                    Heard::Version(said) => {
                        *version = said;
                        Heard::Nothing
                    }
                    heard => heard,
                }
            }
        };
        Ok(Some(heard))
    }
}
