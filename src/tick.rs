//! Time as the gateway counts it: microseconds since the process started.
//!
//! The reactor reads the clock once a turn and hands the result down; nobody below it can ask what time
//! it is. So a test moves time by adding to a number, and a run can be replayed from its seed. Eight
//! bytes, where `Instant` takes sixteen: a session stores two of them.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A moment, in microseconds since the process started. Never goes backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(u64);

impl Tick {
    /// The start of the process.
    pub const ZERO: Tick = Tick(0);
    /// Later than anything that will happen (584,000 years): the deadline of who has none.
    pub const NEVER: Tick = Tick(u64::MAX);

    /// The moment `since_start` after the start of the process.
    pub fn new(since_start: Duration) -> Tick {
        Tick(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The first multiple of `step` that is not earlier than this. `step` is a microsecond at least.
    pub fn ceil(self, step: Duration) -> Tick {
        let step = Tick::new(step).0.max(1);
        Tick(self.0.checked_next_multiple_of(step).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for Tick {
    type Output = Tick;

    fn add(self, later: Duration) -> Tick {
        Tick(self.0.saturating_add(Tick::new(later).0))
    }
}

impl AddAssign<Duration> for Tick {
    fn add_assign(&mut self, later: Duration) {
        *self = *self + later;
    }
}

impl Sub<Duration> for Tick {
    type Output = Tick;

    fn sub(self, earlier: Duration) -> Tick {
        Tick(self.0.saturating_sub(Tick::new(earlier).0))
    }
}
