//! Eight bytes that stand for a message, or for a name.
//!
//! Two rules compare messages with earlier ones: the echo rule (what a client last said) and the catching up
//! after an outage (what a channel last delivered); and orders on the control channel compare names. Keeping the
//! messages themselves would cost up to 64 KiB a session; a hash seeded at start cannot be made to collide from
//! outside, and does so by chance once in 2^64.

use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU64;

use foldhash::quality::FixedState;

/// A message or a name, for comparison with others of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(NonZeroU64);

/// Makes fingerprints.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprints(FixedState);

impl Fingerprints {
    pub(crate) fn new(seed: u64) -> Fingerprints {
        Fingerprints(FixedState::with_seed(seed))
    }

    pub(crate) fn of(&self, bytes: &[u8]) -> Fingerprint {
        let mut hasher = self.0.build_hasher();
        hasher.write(bytes);
        Fingerprint(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN))
    }
}
