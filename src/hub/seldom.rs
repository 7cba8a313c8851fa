//! What others can bring about as often as they like, and what must not fill the log for that.

use std::time::Duration;

use crate::tick::Tick;

/// How often the same is told again.
pub(crate) const TOLD_EVERY: Duration = Duration::from_secs(30);

/// What is told like this.
#[derive(Debug, Default)]
pub(crate) struct SeldomTold {
    pub(crate) orders: Seldom,
    pub(crate) reserved: Seldom,
    pub(crate) publishes: Seldom,
    pub(crate) reads: Seldom,
    pub(crate) subscribes: Seldom,
}

/// One thing that is told at once, and then now and then.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    told_at: Option<Tick>,
    untold: u64,
}

impl Seldom {
    /// It has happened. If it is to be told: how often since it was told last, this time included.
    pub(crate) fn happened(&mut self, now: Tick) -> Option<u64> {
        self.untold += 1;
        let is_fresh = |told_at: Tick| now.since(told_at) < TOLD_EVERY;
        if self.told_at.is_some_and(is_fresh) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}
