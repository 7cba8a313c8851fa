//! So many a second, in small batches: how sessions are closed that are to come back.
//!
//! All at once they would all be at the next gateway's door in the same second.

use std::time::Duration;

use crate::tick::Tick;

/// Between two batches: small enough to look steady, large enough not to be a busy loop.
pub(crate) const STEP: Duration = Duration::from_millis(20);

/// A pace that began once.
#[derive(Debug)]
pub(crate) struct Pace {
    began: Tick,
    next: Tick,
    per_second: f64,
    done: u64,
}

impl Pace {
    pub(crate) fn new(now: Tick, per_second: f64) -> Pace {
        Pace {
            began: now,
            next: now,
            per_second,
            done: 0,
        }
    }

    /// When the next batch is due.
    pub(crate) fn next(&self) -> Tick {
        self.next
    }

    /// How many are due now; they count as done.
    pub(crate) fn batch(&mut self, now: Tick) -> usize {
        if now < self.next {
            return 0;
        }
        self.next = now + STEP;
        let due = self.per_second * (now.since(self.began) + STEP).as_secs_f64();
        let batch = (due as u64).saturating_sub(self.done);
        self.done += batch;
        usize::try_from(batch).unwrap_or(usize::MAX)
    }
}
