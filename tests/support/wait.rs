//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a busy machine, short enough for a person who watches. Only a failing test takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A moment by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// After the usual [`PATIENCE`].
    pub(crate) fn usual() -> Deadline {
        Deadline::after(PATIENCE)
    }

    /// After `time`.
    #[expect(
        clippy::disallowed_methods,
        reason = "here real programs are waited for"
    )]
    pub(crate) fn after(time: Duration) -> Deadline {
        Deadline(Instant::now() + time)
    }

    /// What is left of the time; `None` when it has passed.
    #[expect(
        clippy::disallowed_methods,
        reason = "here real programs are waited for"
    )]
    pub(crate) fn left(self) -> Option<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// Asks `check` until it has an answer; panics with `what` was waited for.
pub(crate) fn until<T>(what: &str, check: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, check)
}

/// As [`until`], with another patience.
pub(crate) fn until_within<T>(
    patience: Duration,
    what: &str,
    mut check: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Deadline::after(patience);
    loop {
        if let Some(answer) = check() {
            return answer;
        }
        assert!(
            deadline.left().is_some(),
            "waited {patience:?} in vain: {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
