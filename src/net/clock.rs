//! The one place where the clock is read.

use std::time::{Duration, Instant, SystemTime};

use crate::tick::Tick;

/// Between two looks at the system's clock.
const UNIX_EVERY: Duration = Duration::from_secs(1);

/// Counts from its making.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    start: Instant,
    unix_at: Tick,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the reactor's clock")]
    pub(crate) fn start() -> Clock {
        Clock {
            start: Instant::now(),
            unix_at: Tick::ZERO,
        }
    }

    /// The time since 1970, as the system's clock has it now; it may be set at any time.
    #[expect(clippy::disallowed_methods, reason = "this is the reactor's clock")]
    pub(crate) fn unix(&self) -> Duration {
        // Before 1970 is a machine without a clock; there every token is from the future.
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        unix.unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the reactor's clock")]
    pub(crate) fn now(&self) -> Tick {
        Tick::new(Instant::now().saturating_duration_since(self.start))
    }

    /// The time since 1970, if it was not looked at for a second.
    pub(crate) fn unix_now_and_then(&mut self, now: Tick) -> Option<Duration> {
        (now.since(self.unix_at) >= UNIX_EVERY).then(|| {
            self.unix_at = now;
            self.unix()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_looked_at_once_a_second_and_is_the_systems() {
        let mut clock = Clock::start();
        let at = |ms| Tick::ZERO + Duration::from_millis(ms);
        assert_eq!(clock.unix_now_and_then(at(999)), None);
        let unix = clock.unix_now_and_then(at(1_000)).unwrap();
        assert!(clock.unix() - unix < Duration::from_secs(60));
        assert_eq!(clock.unix_now_and_then(at(1_999)), None);
        assert!(clock.unix_now_and_then(at(2_000)).is_some());
    }
}
