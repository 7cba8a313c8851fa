//! The link to one Redis: down → connecting → up, and down again. What all links do stands here: greet, prove that
//! they live, back off. What else is said on one is its owner's.
//!
//! What is sent and what is expected in answer live in [`Up`] and die with it, so nothing of a lost link
//! can be mistaken for the next one's.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::answers::GivenUp;
use super::canary::{Canary, Verdict};
use crate::config::Redis as Credentials;
use crate::hub::channels::ChannelId;
use crate::hub::outage::Told;
use crate::limits::{REPLY_DEPTH_MAX, REPLY_ELEMENTS_MAX};
use crate::peer::PeerId;
use crate::report::LinkTally;
use crate::tick::Tick;
use crate::wire::resp::{self, ReplyLimits, ReplyReader};

/// The first and shortest wait between two tries.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest: a Redis that is back is noticed within this.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// From the try to connect until Redis has greeted.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// A link, and what outlives its connections.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) state: State,
    pub(super) canary: Canary,
    credentials: Credentials,
    /// The gateway's own channels, and what the confirmation of each is.
    own: Vec<(Bytes, Expected)>,
    bulk_bytes_max: usize,
    random: fastrand::Rng,
    losses: u64,
    /// Commands of connections that are lost.
    commands: u64,
    pub(crate) told: Told,
}

/// The link's life.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing, until the next try.
    Down { retry_at: Tick, tries: u32 },
    /// The reactor connects.
    Connecting { id: PeerId, until: Tick, tries: u32 },
    /// Connected.
    Up(Box<Up>),
}

/// A connected link.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) id: PeerId,
    pub(crate) reader: ReplyReader,
    /// Answers that Redis owes us, oldest first.
    pub(crate) expected: VecDeque<Expected>,
    pub(crate) greeting: Greeting,
    /// Redis' version, as it says.
    pub(crate) version: String,
    out: Vec<u8>,
    sent: usize,
    dirty: bool,
    tries: u32,
    commands: u64,
}

/// The first exchange on a link: HELLO, SELECT, SUBSCRIBE to the gateway's own channels, CLIENT SETNAME. Nothing else
/// is said before all are answered: it might be said to the wrong database, or with each try anew to a Redis that keeps
/// those channels from us; and clients would be let in while orders are not heard.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Greeting {
    /// It must be over by then.
    Until(Tick),
    /// It was over then.
    Over(Tick),
}

/// What the next answer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// HELLO.
    Hello,
    /// SELECT.
    Select,
    /// CLIENT SETNAME, the last of the greeting.
    Named,
    /// An answer that does not matter.
    Ignored,
    /// A confirmation of SUBSCRIBE; the command has `more` further channels.
    Subscribed { channel: ChannelId, more: u16 },
    /// A confirmation of UNSUBSCRIBE.
    Unsubscribed,
    /// The confirmation of the probe channel.
    Probe,
    /// The confirmation of the control channel.
    Control,
    /// PUBLISH of a nonce.
    Canary,
    /// PING with a nonce.
    Ping,
    /// GET.
    Value(ChannelId),
    /// GET, of a session of Django, for this client.
    Session(PeerId),
    /// GET, in a batch after an outage.
    CaughtUp(ChannelId),
    /// QUEUED, within MULTI.
    Queued,
    /// EXEC, or a lone PUBLISH: the oldest publish is done.
    Published,
}

impl Link {
    /// A link that is to be tried at once. `bulk_bytes_max` bounds the values that are read on it.
    pub(crate) fn new(
        redis: &Credentials,
        own: Vec<(Bytes, Expected)>,
        bulk_bytes_max: usize,
        random: fastrand::Rng,
    ) -> Link {
        Link {
            state: State::Down {
                retry_at: Tick::ZERO,
                tries: 0,
            },
            canary: Canary::default(),
            credentials: redis.clone(),
            own,
            bulk_bytes_max,
            random,
            losses: 0,
            commands: 0,
            told: Told::default(),
        }
    }

    pub(crate) fn id(&self) -> Option<PeerId> {
        match &self.state {
            State::Down { .. } => None,
            State::Connecting { id, .. } => Some(*id),
            State::Up(up) => Some(up.id),
        }
    }

    /// The clients that wait for an answer about themselves.
    pub(crate) fn awaited_by(&self) -> Vec<PeerId> {
        let expected = self.up().into_iter().flat_map(|up| &up.expected);
        let session = |expected: &Expected| match expected {
            Expected::Session(id) => Some(*id),
            _ => None,
        };
        expected.filter_map(session).collect()
    }

    /// Connected.
    pub(crate) fn up(&self) -> Option<&Up> {
        match &self.state {
            State::Up(up) => Some(up),
            _ => None,
        }
    }

    /// Connected.
    pub(crate) fn up_mut(&mut self) -> Option<&mut Up> {
        match &mut self.state {
            State::Up(up) => Some(up),
            _ => None,
        }
    }

    /// Connected and greeted.
    pub(crate) fn greeted(&mut self) -> Option<&mut Up> {
        self.up_mut().filter(|up| up.is_greeted())
    }

    pub(crate) fn is_greeted(&self) -> bool {
        self.up().is_some_and(Up::is_greeted)
    }

    /// Has a nonce gone through it and come back?
    pub(crate) fn is_proven(&self) -> bool {
        self.canary.is_proven()
    }

    pub(crate) fn tally(&self) -> LinkTally {
        LinkTally {
            ready: self.is_proven(),
            losses: self.losses,
            canary_delay: self.canary.delay(),
            commands: self.commands + self.up().map_or(0, |up| up.commands),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        match &self.state {
            State::Down { retry_at, .. } => Some(*retry_at),
            State::Connecting { until, .. } => Some(*until),
            State::Up(up) => match up.greeting {
                Greeting::Until(until) => Some(until),
                Greeting::Over(_) => self.canary.deadline(),
            },
        }
    }

    /// Is it time for the next try?
    pub(crate) fn is_due(&self, now: Tick) -> bool {
        matches!(self.state, State::Down { retry_at, .. } if retry_at <= now)
    }

    /// The reactor was asked to connect.
    pub(crate) fn connecting(&mut self, now: Tick, id: PeerId) {
        self.state = State::Connecting {
            id,
            until: now + GREETING_TIMEOUT,
            tries: self.tries(),
        };
    }

    /// It did: greet.
    pub(crate) fn connected(&mut self, now: Tick) {
        let State::Connecting { id, tries, .. } = self.state else {
            return;
        };
        let limits = ReplyLimits {
            bulk_bytes_max: self.bulk_bytes_max,
            depth_max: REPLY_DEPTH_MAX,
            elements_max: REPLY_ELEMENTS_MAX,
        };
        let mut up = Box::new(Up {
            id,
            reader: ReplyReader::new(limits),
            expected: VecDeque::new(),
            greeting: Greeting::Until(now + GREETING_TIMEOUT),
            version: String::new(),
            out: Vec::new(),
            sent: 0,
            dirty: false,
            tries,
            commands: 0,
        });
        up.greet(&self.credentials, &self.own);
        self.state = State::Up(up);
    }

    /// The greeting is over. Returns Redis' version, as it says.
    pub(crate) fn begin(&mut self, now: Tick) -> Option<String> {
        let up = self.up_mut()?;
        up.greeting = Greeting::Over(now);
        let version = std::mem::take(&mut up.version);
        self.canary.start(now);
        Some(version)
    }

    /// What is due: a nonce to send, if there is one.
    pub(crate) fn elapsed(&mut self, now: Tick) -> Result<Option<String>, GivenUp> {
        match &self.state {
            State::Connecting { until, .. } if *until <= now => {
                return Err(GivenUp(
                    "no connection within 2 s; is the address right?".into(),
                ));
            }
            State::Up(up) if matches!(up.greeting, Greeting::Until(until) if until <= now) => {
                return Err(GivenUp(
                    "it accepts connections but does not answer; is it stuck?".into(),
                ));
            }
            _ => {}
        }
        match self.canary.elapsed(now) {
            Verdict::Wait => Ok(None),
            Verdict::Send(nonce) => Ok(Some(nonce)),
            Verdict::Dead => Err(GivenUp("two probes did not come back within 1 s".into())),
        }
    }

    /// Takes the bytes that came.
    pub(crate) fn feed(&mut self, now: Tick, bytes: &[u8]) {
        self.canary.alive(now);
        if let State::Up(up) = &mut self.state {
            up.reader.feed(bytes);
        }
    }

    /// It is lost. Waits between half of the backoff and all of it. Returns the wait.
    pub(crate) fn lost(&mut self, now: Tick) -> Duration {
        // One that greets and then fails, as a replica does to which we want to write, is no reason to hurry.
        let tries = match &self.state {
            State::Up(up) if up.has_stood(now) => 0,
            _ => self.tries(),
        };
        self.commands += self.up().map_or(0, |up| up.commands);
        self.losses += 1;
        self.canary.stop();
        let backoff = BACKOFF_MIN.saturating_mul(1 << tries.min(10));
        let part = 0.5 + self.random.f64() / 2.0;
        let wait = backoff.min(BACKOFF_MAX).mul_f64(part);
        self.state = State::Down {
            retry_at: now + wait,
            tries: tries.saturating_add(1),
        };
        wait
    }

    fn tries(&self) -> u32 {
        match &self.state {
            State::Down { tries, .. } | State::Connecting { tries, .. } => *tries,
            State::Up(up) => up.tries,
        }
    }
}

impl Up {
    fn greet(&mut self, redis: &Credentials, own: &[(Bytes, Expected)]) {
        match &redis.password {
            Some(password) => {
                let user = redis.username.as_deref().unwrap_or("default");
                let (user, password) = (user.as_bytes(), password.reveal().as_bytes());
                self.send(&[b"HELLO", b"3", b"AUTH", user, password], Expected::Hello);
            }
            None => self.send(&[b"HELLO", b"3"], Expected::Hello),
        }
        if redis.db != 0 {
            let db = redis.db.to_string();
            self.send(&[b"SELECT", db.as_bytes()], Expected::Select);
        }
        for (channel, confirmation) in own {
            self.send(&[b"SUBSCRIBE", channel], *confirmation);
        }
        self.send(&[b"CLIENT", b"SETNAME", b"ws4redis"], Expected::Named);
    }

    fn is_greeted(&self) -> bool {
        matches!(self.greeting, Greeting::Over(_))
    }

    /// Did it stand so long that its loss begins with the shortest wait again?
    fn has_stood(&self, now: Tick) -> bool {
        matches!(self.greeting, Greeting::Over(since) if now.since(since) >= BACKOFF_MAX)
    }

    /// Sends a command; `expected` says what its answer means.
    pub(crate) fn send(&mut self, words: &[&[u8]], expected: Expected) {
        resp::command(&mut self.out, words);
        self.dirty = true;
        self.commands += 1;
        self.expected.push_back(expected);
    }

    /// Sends SUBSCRIBE for all of these at once.
    pub(crate) fn subscribe(&mut self, channels: &[(ChannelId, &[u8])]) {
        let mut words: Vec<&[u8]> = vec![b"SUBSCRIBE"];
        words.extend(channels.iter().map(|(_, name)| name));
        resp::command(&mut self.out, &words);
        self.dirty = true;
        self.commands += 1;
        for (at, (channel, _)) in channels.iter().enumerate() {
            let more = u16::try_from(channels.len() - 1 - at).unwrap_or(u16::MAX);
            self.expected.push_back(Expected::Subscribed {
                channel: *channel,
                more,
            });
        }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Was anything said since the last time it was asked?
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Bytes to write now.
    pub(crate) fn pending(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// `n` of them were written.
    pub(crate) fn advance(&mut self, n: usize) {
        /// A burst's buffer is not kept for ever.
        const KEPT: usize = 64 << 10;
        self.sent += n;
        if self.sent >= self.out.len() {
            self.out.clear();
            self.out.shrink_to(KEPT);
            self.sent = 0;
        } else if self.sent > KEPT {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }
}
