//! The persisted message of a channel: who waits for it, who has what, and when to look again.
//!
//! Redis puts the answer to our GET and the live messages in one order, so against a publisher that
//! persists and publishes atomically the rule is short: **a live message since the join stands, else the
//! snapshot does**. A publisher of the original says PUBLISH and then SETEX, and our GET may fall between: the
//! message was published before we listened and is not persisted yet. So whoever got a value that was read
//! while its channel was *hot* (subscribed, or spoken on, in the last [`SETTLING`]) is looked after once more.
//!
//! The second look sends only where no live message came since the join. If one came, the client has
//! something newer than anything published before the join; what the second GET reads may then be an older
//! publisher's late SETEX, and sending it would turn time back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::hub::channels::ChannelId;
use crate::hub::fingerprint::Fingerprint;
use crate::peer::PeerId;
use crate::tick::Tick;

/// How long after PUBLISH a publisher of the original may need for its SETEX.
const SETTLING: Duration = Duration::from_millis(250);
/// How long a value that was read serves those who join next, unless a live message comes.
const CACHED: Duration = Duration::from_secs(1);

/// A persisted message, encoded as a frame once for everybody who gets it.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) frame: Bytes,
    pub(crate) fingerprint: Fingerprint,
}

/// What all members of a channel last got on it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Same(Fingerprint),
    /// Some joined since the last live message and got something else than the others.
    Mixed,
}

/// What is known of one channel's persisted message.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// A GET is on its way.
    asked: bool,
    /// Sessions that wait for it with their 101.
    waiting: Vec<PeerId>,
    /// Second looks that it serves.
    looks: Vec<Look>,
    cached: Option<Cached>,
    last: Last,
    /// Live messages so far, wrapping: equal counts mean that none came between.
    lives: u32,
    hot_until: Tick,
}

#[derive(Debug)]
struct Cached {
    value: Option<Value>,
    read_at: Tick,
    settled: bool,
}

/// Whom a later GET is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    who: Who,
    /// The channel's count of live messages when it began to count.
    lives: u32,
}

#[derive(Debug, Clone, Copy)]
enum Who {
    /// One session, and what it got as snapshot.
    One(PeerId, Option<Fingerprint>),
    /// All members, after an outage.
    All,
}

/// What a joining session is told of a channel.
#[derive(Debug)]
pub(crate) enum Told {
    /// The value, read so recently that it stands.
    Known { value: Option<Value>, settled: bool },
    /// Wait: it is in the list. `get` says whether a GET must be sent for it.
    Wait { get: bool },
}

/// What a GET's answer means.
#[derive(Debug)]
pub(crate) struct Answered {
    /// These wait for it.
    pub(crate) waiting: Vec<PeerId>,
    /// It differs from what these have.
    pub(crate) differs_for: Differs,
    /// Need nobody look again?
    pub(crate) settled: bool,
}

/// For whom a value is news.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Differs {
    /// For some, or none.
    Sessions(Vec<PeerId>),
    /// For all members.
    Everybody,
}

impl Snapshot {
    /// The count of live messages, to be compared with itself later.
    pub(crate) fn lives(&self) -> u32 {
        self.lives
    }

    /// A session joins.
    pub(crate) fn joined(&mut self, now: Tick, id: PeerId) -> Told {
        match &self.cached {
            Some(cached) if now.since(cached.read_at) < CACHED => Told::Known {
                value: cached.value.clone(),
                settled: cached.settled,
            },
            _ => {
                self.cached = None;
                self.waiting.push(id);
                Told::Wait { get: self.ask() }
            }
        }
    }

    /// SUBSCRIBE was just sent.
    pub(crate) fn subscribed(&mut self, now: Tick) {
        self.hot_until = now + SETTLING;
    }

    /// A live message came.
    pub(crate) fn live(&mut self, now: Tick, fingerprint: Fingerprint) {
        self.lives = self.lives.wrapping_add(1);
        self.cached = None;
        self.last = Last::Same(fingerprint);
        self.hot_until = now + SETTLING;
    }

    /// A session got this as its snapshot. `alone`: it is the channel's only member.
    pub(crate) fn gave(&mut self, got: Option<Fingerprint>, alone: bool) {
        let got = got.map_or(Last::Nothing, Last::Same);
        self.last = if alone || self.last == got {
            got
        } else {
            Last::Mixed
        };
    }

    /// A second look is due. Must a GET be sent for it?
    pub(crate) fn look(&mut self, look: Look) -> bool {
        self.looks.push(look);
        self.ask()
    }

    /// The link is back and the channel subscribed anew: a look on behalf of all members.
    pub(crate) fn catch_up(&mut self) -> (Look, bool) {
        let look = Look {
            who: Who::All,
            lives: self.lives,
        };
        (look, self.look(look))
    }

    /// The link is gone, and with it every GET on its way. Returns who waited.
    pub(crate) fn lost(&mut self) -> Vec<PeerId> {
        self.asked = false;
        self.cached = None;
        self.looks = Vec::new();
        std::mem::take(&mut self.waiting)
    }

    /// A GET was answered. `keep`: there is room to keep the value for those who join next.
    pub(crate) fn answered(&mut self, now: Tick, value: Option<&Value>, keep: bool) -> Answered {
        self.asked = false;
        let settled = now >= self.hot_until;
        self.cached = keep.then(|| Cached {
            value: value.cloned(),
            read_at: now,
            settled,
        });
        let looks = std::mem::take(&mut self.looks);
        let differs_for = match value {
            Some(value) => self.news(value.fingerprint, &looks),
            None => Differs::Sessions(Vec::new()),
        };
        Answered {
            waiting: std::mem::take(&mut self.waiting),
            differs_for,
            settled,
        }
    }

    /// Time is up for the value that was kept, unless it is a newer one.
    pub(crate) fn forget(&mut self, now: Tick) {
        self.cached = self
            .cached
            .take()
            .filter(|cached| now.since(cached.read_at) < CACHED);
    }

    /// For whom is this value news? Remembers that they get it.
    fn news(&mut self, value: Fingerprint, looks: &[Look]) -> Differs {
        let due = looks.iter().filter(|look| look.lives == self.lives);
        let mut sessions = Vec::new();
        for look in due {
            match look.who {
                Who::All if self.last != Last::Same(value) => {
                    self.last = Last::Same(value);
                    return Differs::Everybody;
                }
                Who::One(id, got) if got != Some(value) => sessions.push(id),
                _ => {}
            }
        }
        if !sessions.is_empty() && self.last != Last::Same(value) {
            self.last = Last::Mixed;
        }
        Differs::Sessions(sessions)
    }

    fn ask(&mut self) -> bool {
        !std::mem::replace(&mut self.asked, true)
    }
}

/// The values that are kept, so that they are forgotten in time and have a bound together.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    queue: VecDeque<(Tick, ChannelId, usize)>,
    bytes: usize,
}

impl Kept {
    /// Notes that a value of so many bytes is kept from now on; `false` if there is no room for it.
    pub(crate) fn note(
        &mut self,
        now: Tick,
        channel: ChannelId,
        bytes: usize,
        bytes_max: usize,
    ) -> bool {
        if self.bytes + bytes > bytes_max {
            return false;
        }
        self.bytes += bytes;
        self.queue.push_back((now + CACHED, channel, bytes));
        true
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        self.queue.front().map(|(due, ..)| *due)
    }

    /// The next channel whose value is to be forgotten.
    pub(crate) fn pop(&mut self, now: Tick) -> Option<ChannelId> {
        let (_, channel, bytes) = self.queue.pop_front_if(|(due, ..)| *due <= now)?;
        self.bytes -= bytes;
        Some(channel)
    }
}

/// Second looks that are not due yet, in the order of their times: each is due [`SETTLING`] after it was noted.
#[derive(Debug, Default)]
pub(crate) struct Later {
    queue: VecDeque<(Tick, ChannelId, Look)>,
}

impl Later {
    /// Look again on behalf of one session, which got `got` and has heard `lives` messages.
    pub(crate) fn note(
        &mut self,
        now: Tick,
        channel: ChannelId,
        id: PeerId,
        got: Option<Fingerprint>,
        lives: u32,
    ) {
        self.queue.push_back((
            now + SETTLING,
            channel,
            Look {
                who: Who::One(id, got),
                lives,
            },
        ));
    }

    /// Look again on behalf of all members.
    pub(crate) fn note_all(&mut self, now: Tick, channel: ChannelId, look: Look) {
        self.queue.push_back((now + SETTLING, channel, look));
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        self.queue.front().map(|(due, ..)| *due)
    }

    pub(crate) fn pop(&mut self, now: Tick) -> Option<(ChannelId, Look)> {
        self.queue
            .pop_front_if(|(due, ..)| *due <= now)
            .map(|(_, channel, look)| (channel, look))
    }

    /// The link is gone: catching up will look at every channel.
    pub(crate) fn lost(&mut self) {
        self.queue = VecDeque::new();
    }
}
