//! Eight bytes that stand for a message, or for a name.
//!
//! Two rules compare messages with earlier ones: the echo rule (what a client last said) and the catching up
//! after an outage (what a channel last delivered); and orders on the control channel compare names. Keeping the
//! messages themselves would cost up to 64 KiB a session; a hash seeded at start cannot be made to collide from
//! outside, and does so by chance once in 2^64. Seeded is all of it: foldhash multiplies words of the message, each
//! combined with a seed, and `FixedState` has one secret seed and six that stand in its source. Whoever sends the word
//! that makes one factor zero has the same hash for whatever is in the other.

use std::hash::Hasher;
use std::num::NonZeroU64;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// A message or a name, for comparison with others of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(NonZeroU64);

/// Makes fingerprints.
#[derive(Debug)]
pub(crate) struct Fingerprints {
    seed: u64,
    seeds: SharedSeed,
}

impl Fingerprints {
    pub(crate) fn new(seed: u64) -> Fingerprints {
        Fingerprints {
            seed,
            seeds: SharedSeed::from_u64(seed),
        }
    }

    pub(crate) fn of(&self, bytes: &[u8]) -> Fingerprint {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.seeds);
        hasher.write(bytes);
        Fingerprint(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What foldhash combines with the last word of a short message, and with every second word of a long one, if it is
    /// given no other seeds.
    const PUBLISHED: [u64; 2] = [0x3f84_d5b5_b547_0917, 0xc0ac_29b7_c97c_50dd];

    #[test]
    fn no_word_of_a_message_makes_the_others_count_for_nothing() {
        let fingerprints = Fingerprints::new(7);
        let [short, long] = PUBLISHED.map(u64::to_ne_bytes);
        let short = |first: &[u8; 8]| fingerprints.of(&[*first, short].concat());
        assert_ne!(short(b"attack a"), short(b"attack b"));
        let long = |first: &[u8; 8]| {
            let words = [[*first; 4], [long; 4]].concat().concat();
            fingerprints.of(&[words, vec![b'.'; 128]].concat())
        };
        assert_ne!(long(b"attack a"), long(b"attack b"));
    }
}
