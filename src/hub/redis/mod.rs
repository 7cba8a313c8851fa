//! Redis, as the hub sees it: one link that subscribes, asks and publishes, and the memory that survives it.
//!
//! Everything is said on one connection in RESP3, so Redis itself puts our questions' answers and the live
//! messages in one order. [`Redis::hear`] tells the hub what was said; the link remembers for each command what its
//! answer means ([`link::Expected`]), because answers come in the order of commands.

pub(crate) mod answers;
pub(crate) mod canary;
pub(crate) mod link;
pub(crate) mod publishes;
pub(crate) mod snapshots;
pub(crate) mod subscriptions;

use std::collections::VecDeque;
use std::time::Duration;

use self::answers::{GivenUp, Heard};
use self::canary::{Canary, Verdict};
use self::link::{Expected, Greeting, Link, Up};
use self::publishes::{Publish, Publishes};
use self::snapshots::{Kept, Later};
use self::subscriptions::Subscription;
use super::channels::{ChannelId, Channels};

use crate::config::{Config, Redis as Credentials};
use crate::limits::Limits;
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::resp::Incoming;

/// Channels asked for at once after an outage. Redis holds all answers to a batch in memory until we read
/// them, so a batch is a bound on that.
const CATCH_UP_BATCH: usize = 256;

/// The link and what is owed to Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) link: Link,
    pub(crate) publishes: Publishes,
    pub(crate) later: Later,
    pub(crate) kept: Kept,
    /// Why the link is to be given up when all that it said is heard.
    pub(crate) outlived: Option<String>,
    credentials: Credentials,
    expire: String,
    limits: Limits,
    canary: Canary,
    proven: bool,
    /// Channels still to be subscribed since the link came back, and the answers awaited of the last batch.
    catching_up: VecDeque<ChannelId>,
    awaited: usize,
    random: fastrand::Rng,
    commands: u64,
}

impl Redis {
    pub(crate) fn new(config: &Config, mut random: fastrand::Rng) -> Redis {
        Redis {
            link: Link::new(),
            publishes: Publishes::default(),
            later: Later::default(),
            kept: Kept::default(),
            outlived: None,
            credentials: config.redis.clone(),
            expire: config.expire.to_string(),
            limits: config.limits.clone(),
            canary: Canary::new(&config.prefix, random.u64(..)),
            proven: false,
            catching_up: VecDeque::new(),
            awaited: 0,
            random,
            commands: 0,
        }
    }

    /// What is said from now on is said as this has it. Where Redis is, and what its link may bring, stays.
    pub(crate) fn reload(&mut self, config: &Config) {
        self.expire = config.expire.to_string();
        self.limits = config.limits.clone();
    }

    /// Has a nonce gone through this link and come back?
    pub(crate) fn is_proven(&self) -> bool {
        self.proven
    }

    /// Commands sent so far.
    pub(crate) fn commands(&self) -> u64 {
        self.commands
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        let publishes = self.publishes.deadline(&self.limits);
        [
            self.link.deadline(),
            self.canary.deadline(),
            self.later.deadline(),
            self.kept.deadline(),
            publishes,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The connection stands: greet.
    pub(crate) fn connected(&mut self, now: Tick) {
        let Some(up) = self
            .link
            .connected(now, self.limits.redis_message_bytes_max)
        else {
            return;
        };
        let Credentials {
            username,
            password,
            db,
            ..
        } = &self.credentials;
        match password {
            Some(password) => {
                let user = username.as_deref().unwrap_or("default");
                let words: [&[u8]; 5] = [
                    b"HELLO",
                    b"3",
                    b"AUTH",
                    user.as_bytes(),
                    password.reveal().as_bytes(),
                ];
                up.send(&words, Expected::Hello);
            }
            None => up.send(&[b"HELLO", b"3"], Expected::Hello),
        }
        if *db != 0 {
            up.send(&[b"SELECT", db.to_string().as_bytes()], Expected::Select);
        }
        up.send(&[b"CLIENT", b"SETNAME", b"ws4redis"], Expected::Named);
        self.commands += if *db == 0 { 2 } else { 3 };
    }

    /// The link is lost; returns the wait until the next try.
    pub(crate) fn lost(&mut self, now: Tick) -> Duration {
        self.proven = false;
        self.canary.stop();
        self.publishes.lost();
        self.later.lost();
        self.outlived = None;
        self.catching_up.clear();
        self.awaited = 0;
        let jitter = self.random.f64();
        self.link.lost(now, jitter)
    }

    /// Asks for the probe channel and sends the first nonce; begins to subscribe all channels anew.
    pub(crate) fn start(&mut self, now: Tick, channels: &mut Channels) {
        let Some(up) = self.link.greeted() else {
            return;
        };
        up.send(&[b"SUBSCRIBE", self.canary.channel()], Expected::Probe);
        self.commands += 1;
        self.canary.start(now);
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
            self.commands += 1;
        }
        for (id, name) in gets {
            up.send(&[b"GET", &name], Expected::CaughtUp(id));
            self.commands += 1;
            self.awaited += 1;
        }
    }

    /// The first member came.
    pub(crate) fn subscribe(&mut self, channel: ChannelId, name: &[u8]) {
        if let Some(up) = self.link.greeted() {
            up.subscribe(&[(channel, name)]);
            self.commands += 1;
        }
    }

    /// The last member left a channel of which Redis had heard.
    pub(crate) fn unsubscribe(&mut self, name: &[u8]) {
        if let Some(up) = self.link.greeted() {
            up.send(&[b"UNSUBSCRIBE", name], Expected::Unsubscribed);
            self.commands += 1;
        }
    }

    /// Asks for a persisted message.
    pub(crate) fn get(&mut self, channel: ChannelId, name: &[u8]) {
        if let Some(up) = self.link.greeted() {
            up.send(&[b"GET", name], Expected::Value(channel));
            self.commands += 1;
        }
    }

    /// Asks for a session of Django, on behalf of a client; `false` if Redis is away.
    pub(crate) fn get_session(&mut self, id: PeerId, key: &[u8]) -> bool {
        let Some(up) = self.link.greeted() else {
            return false;
        };
        up.send(&[b"GET", key], Expected::Session(id));
        self.commands += 1;
        true
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
                self.commands += 1;
                continue;
            }
            up.send(&[b"MULTI"], Expected::Ignored);
            up.send(
                &[b"SETEX", channel, self.expire.as_bytes(), message],
                Expected::Queued,
            );
            up.send(&[b"PUBLISH", channel, message], Expected::Queued);
            up.send(&[b"EXEC"], Expected::Published);
            self.commands += 4;
        }
    }

    /// What is due on the link itself. (Second looks and old publishes are fetched by the hub.)
    pub(crate) fn elapsed(&mut self, now: Tick) -> Result<(), GivenUp> {
        match &self.link {
            Link::Connecting { until, .. } if *until <= now => {
                return Err(GivenUp(
                    "no connection within 2 s; is the address right?".into(),
                ));
            }
            Link::Up(up) if matches!(up.greeting, Greeting::Until(until) if until <= now) => {
                return Err(GivenUp(
                    "it accepts connections but does not answer; is it stuck?".into(),
                ));
            }
            _ => {}
        }
        match self.canary.elapsed(now) {
            Verdict::Wait => Ok(()),
            Verdict::Dead => Err(GivenUp("two probes did not come back within 1 s".into())),
            Verdict::Publish(nonce) => {
                if let Some(up) = self.link.greeted() {
                    let words: [&[u8]; 3] = [b"PUBLISH", self.canary.channel(), nonce.as_bytes()];
                    up.send(&words, Expected::Canary);
                    self.commands += 1;
                }
                Ok(())
            }
        }
    }

    /// Takes the bytes that came.
    pub(crate) fn feed(&mut self, now: Tick, bytes: &[u8]) {
        self.alive(now);
        if let Link::Up(up) = &mut self.link {
            up.reader.feed(bytes);
        }
    }

    /// Redis is heard, or could be.
    pub(crate) fn alive(&mut self, now: Tick) {
        self.canary.alive(now);
    }

    /// The next thing that was said, until there is no more.
    pub(crate) fn hear(&mut self, now: Tick) -> Result<Option<Heard<'_>>, GivenUp> {
        let Redis {
            link: Link::Up(up),
            canary,
            publishes,
            proven,
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
            Err(malformed) => return Err(GivenUp(format!("it does not speak RESP: {malformed}"))),
        };
        let heard = match incoming {
            Incoming::Message { channel, payload } if channel == canary.channel().as_ref() => {
                match canary.heard(now, payload) {
                    Some(delay) => {
                        *proven = true;
                        Heard::Canary(delay)
                    }
                    None => Heard::Nothing,
                }
            }
            Incoming::Message { channel, payload } => Heard::Message { channel, payload },
            Incoming::OversizePush { bytes } => Heard::Oversize(bytes),
            Incoming::OtherPush => Heard::Nothing,
            Incoming::Subscribed { .. } => match expected.pop_front() {
                Some(Expected::Subscribed { channel, .. }) => Heard::Subscribed(channel),
                Some(Expected::Probe) => Heard::Nothing,
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
