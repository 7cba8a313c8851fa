//! The one place where the clock is read.

use std::time::Instant;

use crate::tick::Tick;

/// Counts from its making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the reactor's clock")]
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the reactor's clock")]
    pub(crate) fn now(self) -> Tick {
        Tick::new(Instant::now().saturating_duration_since(self.0))
    }
}
