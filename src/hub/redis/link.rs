//! One connection to Redis, from the try to connect until it is lost: down → connecting → up.
//!
//! What is sent and what is expected in answer live in [`Up`] and die with it, so nothing of a lost link
//! can be mistaken for the next one's.

use std::collections::VecDeque;
use std::time::Duration;

use crate::hub::channels::ChannelId;
use crate::limits::{REPLY_DEPTH_MAX, REPLY_ELEMENTS_MAX};
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::resp::{self, ReplyLimits, ReplyReader};

/// The first and shortest wait between two tries.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest: a Redis that is back is noticed within this.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// From the try to connect until Redis has greeted.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// The link's life.
#[derive(Debug)]
pub(crate) enum Link {
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
}

/// The first exchange on a link: HELLO, SELECT, CLIENT SETNAME. Nothing else is said before all are answered, or it
/// might be said to the wrong database.
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
    /// A link that is to be tried at once.
    pub(crate) fn new() -> Link {
        Link::Down {
            retry_at: Tick::ZERO,
            tries: 0,
        }
    }

    pub(crate) fn id(&self) -> Option<PeerId> {
        match self {
            Link::Down { .. } => None,
            Link::Connecting { id, .. } => Some(*id),
            Link::Up(up) => Some(up.id),
        }
    }

    /// The clients that wait for an answer about themselves.
    pub(crate) fn awaited_by(&self) -> Vec<PeerId> {
        let expected = match self {
            Link::Up(up) => up.expected.iter(),
            _ => return Vec::new(),
        };
        let sessions = expected.filter_map(|expected| match expected {
            Expected::Session(id) => Some(*id),
            _ => None,
        });
        sessions.collect()
    }

    /// Connected and greeted.
    pub(crate) fn greeted(&mut self) -> Option<&mut Up> {
        match self {
            Link::Up(up) if up.is_greeted() => Some(up),
            _ => None,
        }
    }

    pub(crate) fn is_greeted(&self) -> bool {
        matches!(self, Link::Up(up) if up.is_greeted())
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        match self {
            Link::Down { retry_at, .. } => Some(*retry_at),
            Link::Connecting { until, .. } => Some(*until),
            Link::Up(up) => match up.greeting {
                Greeting::Until(until) => Some(until),
                Greeting::Over(_) => None,
            },
        }
    }

    /// The reactor was asked to connect.
    pub(crate) fn connecting(&mut self, now: Tick, id: PeerId) {
        *self = Link::Connecting {
            id,
            until: now + GREETING_TIMEOUT,
            tries: self.tries(),
        };
    }

    /// It did.
    pub(crate) fn connected(&mut self, now: Tick, bulk_bytes_max: usize) -> Option<&mut Up> {
        let Link::Connecting { id, tries, .. } = *self else {
            return None;
        };
        let limits = ReplyLimits {
            bulk_bytes_max,
            depth_max: REPLY_DEPTH_MAX,
            elements_max: REPLY_ELEMENTS_MAX,
        };
        *self = Link::Up(Box::new(Up {
            id,
            reader: ReplyReader::new(limits),
            expected: VecDeque::new(),
            greeting: Greeting::Until(now + GREETING_TIMEOUT),
            version: String::new(),
            out: Vec::new(),
            sent: 0,
            dirty: false,
            tries,
        }));
        match self {
            Link::Up(up) => Some(up),
            _ => None,
        }
    }

    /// It is lost. Waits between half of the backoff and all of it; `jitter` is in 0..1. Returns the wait.
    pub(crate) fn lost(&mut self, now: Tick, jitter: f64) -> Duration {
        // One that greets and then fails, as a replica does to which we want to write, is no reason to hurry.
        let tries = match self {
            Link::Up(up) if up.has_stood(now) => 0,
            _ => self.tries(),
        };
        let backoff = BACKOFF_MIN
            .saturating_mul(1 << tries.min(10))
            .min(BACKOFF_MAX);
        let wait = backoff.mul_f64(0.5 + jitter / 2.0);
        *self = Link::Down {
            retry_at: now + wait,
            tries: tries.saturating_add(1),
        };
        wait
    }

    fn tries(&self) -> u32 {
        match self {
            Link::Down { tries, .. } | Link::Connecting { tries, .. } => *tries,
            Link::Up(up) => up.tries,
        }
    }
}

impl Up {
    /// The greeting is over.
    pub(crate) fn greeted(&mut self, now: Tick) {
        self.greeting = Greeting::Over(now);
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
        self.expected.push_back(expected);
    }

    /// Sends SUBSCRIBE for all of these at once.
    pub(crate) fn subscribe(&mut self, channels: &[(ChannelId, &[u8])]) {
        let mut words: Vec<&[u8]> = vec![b"SUBSCRIBE"];
        words.extend(channels.iter().map(|(_, name)| name));
        resp::command(&mut self.out, &words);
        self.dirty = true;
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
