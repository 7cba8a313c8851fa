//! The one place where the clock is read.

use std::time::{Duration, Instant, SystemTime};

use crate::tick::Tick;

/// Counts from its making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the reactor's clock")]
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The time since 1970, as the system's clock has it now; it may be set at any time.
    #[expect(clippy::disallowed_methods, reason = "this is the reactor's clock")]
    pub(crate) fn unix(self) -> Duration {
        // Before 1970 is a machine without a clock; there every token is from the future.
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        unix.unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the reactor's clock")]
    pub(crate) fn now(self) -> Tick {
        Tick::new(Instant::now().saturating_duration_since(self.0))
    }
}
