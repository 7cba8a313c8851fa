//! The persisted message of a channel: who waits for it, who has what, and when to look again.
//!
//! Redis puts the answer to our GET and the live messages in one order, so against a publisher that
//! persists and publishes atomically the rule is short: **a live message since the join stands, else the
//! snapshot does**. A publisher of the original says PUBLISH and then SETEX, and our GET may fall between: the
//! message was published before we listened and is not persisted yet. So whoever got a value that was asked for
//! while its channel was *hot* (subscribed, or spoken on, in the last [`SETTLING`]) is looked after once more, when
//! it has cooled down: one GET then serves all who joined meanwhile.
//!
//! The second look sends only where no live message came since the join. If one came, the client has
//! something newer than anything published before the join; what the second GET reads may then be an older
//! publisher's late SETEX, and sending it would turn time back.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::hub::channels::ChannelId;
use crate::hub::fingerprint::Fingerprint;
use crate::peer::PeerId;
use crate::tick::Tick;

/// How long after PUBLISH a publisher of the original may need for its SETEX.
const SETTLING: Duration = Duration::from_millis(250);
/// How long to wait where Redis would not let us read, for those who have what may be older.
const REFUSED: Duration = Duration::from_secs(1);
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
    /// All of them are still being admitted.
    #[default]
    Pending,
    /// This, or nothing at all.
    Same(Option<Fingerprint>),
    /// Some joined since the last live message and got something else than the others.
    Mixed,
}

/// What is known of one channel's persisted message.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// A GET is on its way, since then.
    asked_at: Option<Tick>,
    /// Sessions that wait for it with their 101.
    waiting: Vec<PeerId>,
    /// Looks that it serves.
    looks: Vec<Look>,
    /// Looks that wait until the channel is no longer hot.
    later: Vec<Look>,
    cached: Option<Cached>,
    last: Last,
    /// Live messages so far, wrapping: equal counts mean that none came between.
    lives: u32,
    /// Until then a publisher may still persist what it published before we listened, or just now.
    hot_until: Tick,
    /// The same of live messages only: until then the key may hold less than what members have heard.
    behind_until: Tick,
}

#[derive(Debug)]
struct Cached {
    value: Option<Value>,
    read_at: Tick,
    settled: bool,
}

/// Whom a GET is for that no joining session waits for.
#[derive(Debug, Clone, Copy)]
struct Look {
    who: Who,
    /// The channel's count of live messages when it began to count.
    lives: u32,
}

impl Look {
    fn is_for_all(&self) -> bool {
        matches!(self.who, Who::All)
    }
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
    /// When those who looked must look again.
    pub(crate) look_at: Option<Tick>,
}

/// For whom a value is news.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Differs {
    /// For some, or none.
    Sessions(Vec<PeerId>),
    /// For all members but these, who joined in time to get it as their snapshot.
    EverybodyBut(Vec<PeerId>),
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
                Told::Wait { get: self.ask(now) }
            }
        }
    }

    /// SUBSCRIBE is confirmed: nothing that was published earlier was heard.
    pub(crate) fn subscribed(&mut self, now: Tick) {
        self.hot_until = now + SETTLING;
    }

    /// A live message came.
    pub(crate) fn live(&mut self, now: Tick, fingerprint: Fingerprint) {
        self.lives = self.lives.wrapping_add(1);
        self.cached = None;
        self.last = Last::Same(Some(fingerprint));
        self.hot_until = now + SETTLING;
        self.behind_until = self.hot_until;
        // Whoever would have looked again has something newer now.
        self.later.clear();
    }

    /// A session got this as its snapshot. `alone`: it is the channel's only member.
    pub(crate) fn gave(&mut self, got: Option<Fingerprint>, alone: bool) {
        let got = Last::Same(got);
        self.last = match self.last {
            Last::Pending => got,
            last if alone || last == got => got,
            _ => Last::Mixed,
        };
    }

    /// What a session got as its snapshot is not settled: look again. Returns when, if that is news.
    pub(crate) fn look_later(&mut self, id: PeerId, got: Option<Fingerprint>) -> Option<Tick> {
        let is_news = self.later.is_empty();
        self.later.push(Look {
            who: Who::One(id, got),
            lives: self.lives,
        });
        is_news.then_some(self.hot_until)
    }

    /// The time for second looks has come, perhaps. Must a GET be sent for them?
    pub(crate) fn look(&mut self, now: Tick) -> bool {
        if self.later.is_empty() || now < self.hot_until {
            return false;
        }
        self.looks.append(&mut self.later);
        self.ask(now)
    }

    /// The link is back and the channel subscribed anew: a look on behalf of all members. Must a GET be sent?
    pub(crate) fn catch_up(&mut self, now: Tick) -> bool {
        self.looks.push(Look {
            who: Who::All,
            lives: self.lives,
        });
        self.ask(now)
    }

    /// A GET was answered before SUBSCRIBE was: it must be asked again, and all go on waiting for it.
    pub(crate) fn ask_again(&mut self, now: Tick) {
        self.asked_at = Some(now);
    }

    /// The link is gone, and with it every GET on its way. Returns who waited.
    pub(crate) fn lost(&mut self) -> Vec<PeerId> {
        self.asked_at = None;
        self.cached = None;
        self.looks = Vec::new();
        self.later = Vec::new();
        std::mem::take(&mut self.waiting)
    }

    /// A GET was answered. `keep`: there is room to keep the value for those who join next.
    pub(crate) fn answered(&mut self, now: Tick, value: Option<&Value>, keep: bool) -> Answered {
        // Not by when the answer came: what counts is that Redis read the key after every SETEX that was due.
        let asked_at = self.asked_at.take().unwrap_or(Tick::ZERO);
        let settled = asked_at >= self.hot_until;
        self.cached = keep.then(|| Cached {
            value: value.cloned(),
            read_at: now,
            settled,
        });
        let mut looks = std::mem::take(&mut self.looks);
        looks.retain(|look| look.lives == self.lives);
        let differs_for = match value {
            // All members heard the last live message, and the link broke before its publisher had persisted it: what
            // the key holds is older. They look again when it has had its time.
            Some(_) if asked_at < self.behind_until && looks.iter().any(Look::is_for_all) => {
                Differs::Sessions(Vec::new())
            }
            Some(value) => self.news(value.fingerprint, &mut looks),
            None => Differs::Sessions(Vec::new()),
        };
        let look_at = (!settled && !looks.is_empty()).then_some(self.hot_until);
        if look_at.is_some() {
            self.later.append(&mut looks);
        }
        Answered {
            waiting: std::mem::take(&mut self.waiting),
            differs_for,
            settled,
            look_at,
        }
    }

    /// Redis will not say what is persisted. Returns who waited for it with their 101, and when those who have theirs
    /// look again, if that is news.
    pub(crate) fn refused(&mut self, now: Tick) -> (Vec<PeerId>, Option<Tick>) {
        self.asked_at = None;
        let is_news = self.later.is_empty() && !self.looks.is_empty();
        self.later.append(&mut self.looks);
        if !self.later.is_empty() {
            self.hot_until = self.hot_until.max(now + REFUSED);
        }
        let look_at = is_news.then_some(self.hot_until);
        (std::mem::take(&mut self.waiting), look_at)
    }

    /// Time is up for the value that was kept, unless it is a newer one.
    pub(crate) fn forget(&mut self, now: Tick) {
        self.cached = self
            .cached
            .take()
            .filter(|cached| now.since(cached.read_at) < CACHED);
    }

    /// For whom is this value news? Remembers that they get it.
    fn news(&mut self, value: Fingerprint, looks: &mut [Look]) -> Differs {
        let same = Last::Same(Some(value));
        let for_all = looks.iter().any(Look::is_for_all);
        if for_all && self.last != same {
            self.last = same;
            // Those who joined meanwhile may look for themselves a little later; this serves them, too.
            let singles = looks.iter_mut().chain(&mut self.later);
            return Differs::EverybodyBut(partition(value, singles).1);
        }
        let (lacking, _) = partition(value, looks.iter_mut());
        if !lacking.is_empty() && self.last != same {
            self.last = Last::Mixed;
        }
        Differs::Sessions(lacking)
    }

    fn ask(&mut self, now: Tick) -> bool {
        let is_first = self.asked_at.is_none();
        self.asked_at.get_or_insert(now);
        is_first
    }
}

/// Which sessions lack the value, and which have it. All have it afterwards.
fn partition<'a>(
    value: Fingerprint,
    looks: impl Iterator<Item = &'a mut Look>,
) -> (Vec<PeerId>, Vec<PeerId>) {
    let (mut lacking, mut having) = (Vec::new(), Vec::new());
    for look in looks {
        if let Who::One(id, got) = &mut look.who {
            match got.replace(value) == Some(value) {
                true => having.push(*id),
                false => lacking.push(*id),
            }
        }
    }
    (lacking, having)
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

/// When to look at which channel again.
#[derive(Debug, Default)]
pub(crate) struct Later {
    heap: BinaryHeap<Reverse<(Tick, ChannelId)>>,
}

impl Later {
    pub(crate) fn note(&mut self, due: Tick, channel: ChannelId) {
        self.heap.push(Reverse((due, channel)));
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    pub(crate) fn pop(&mut self, now: Tick) -> Option<ChannelId> {
        self.deadline().filter(|due| *due <= now)?;
        self.heap.pop().map(|Reverse((_, channel))| channel)
    }

    /// The link is gone: catching up will look at every channel.
    pub(crate) fn lost(&mut self) {
        self.heap = BinaryHeap::new();
    }
}
