//! The messages of a benchmark: each says which it is, when it was due, and is wholly determined by that.
//!
//! ```text
//! ~ <run, 3> <channel, 4> <sequence, 8> <due, microseconds, 8> <check, 8> <filling>
//! ```
//!
//! Without the blanks: 32 bytes, of which each stands for six bits, as in base64 for URLs. None of them means
//! anything to JSON, so that a gateway which wraps messages changes no byte.

/// The shortest message: nothing but what it says of itself.
pub const BYTES_MIN: usize = MARK_BYTES + 4 + 8 + 8 + 8;
/// The longest.
pub const BYTES_MAX: usize = 1 << 20;
/// There are so many channels at most: what four letters can say.
pub const CHANNELS_MAX: u32 = 10_000_000;

const MARK_BYTES: usize = 4;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NO_LETTER: u8 = 64;
/// The six bits of each letter.
const BITS: [u8; 256] = {
    let mut bits = [NO_LETTER; 256];
    let mut at = 0;
    while at < LETTERS.len() {
        bits[LETTERS[at] as usize] = at as u8;
        at += 1;
    }
    bits
};

/// What a message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// On which channel it was published.
    pub channel: u32,
    /// Which one of that channel's messages it is, from 0.
    pub sequence: u64,
    /// When it was to be published, in microseconds of the benchmark's clock.
    pub due: u64,
}

/// Composes messages of one size, and recognises them.
#[derive(Debug)]
pub struct Messages {
    size: usize,
    mark: [u8; MARK_BYTES],
    /// The letters over and over, so that each filling is a slice of it.
    filling: Vec<u8>,
}

impl Messages {
    /// Of this size, within [`BYTES_MIN`] and [`BYTES_MAX`]. `run` tells those of one benchmark from those of another
    /// on the same channels, at the same time or before, which a gateway may keep for who comes later.
    pub fn new(size: usize, run: u32) -> Messages {
        let size = size.clamp(BYTES_MIN, BYTES_MAX);
        let filling = LETTERS.iter().copied().cycle();
        let [a, b, c] = letters(u64::from(run));
        Messages {
            size,
            mark: [b'~', a, b, c],
            filling: filling.take(size + LETTERS.len()).collect(),
        }
    }

    /// Bytes of each.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Appends a message.
    pub fn compose(&self, out: &mut Vec<u8>, stamp: Stamp) {
        out.extend_from_slice(&self.mark);
        out.extend_from_slice(&letters::<4>(u64::from(stamp.channel)));
        out.extend_from_slice(&letters::<8>(stamp.sequence));
        out.extend_from_slice(&letters::<8>(stamp.due));
        let check = check(stamp);
        out.extend_from_slice(&letters::<8>(check));
        out.extend_from_slice(self.filling_of(check));
    }

    /// The message in a frame's payload, which may stand in an envelope. `None` if there is none; an error if there
    /// is one and a byte of it is wrong.
    pub fn recognise(&self, payload: &[u8]) -> Option<Result<Stamp, Corrupt>> {
        let message = if payload.starts_with(&self.mark) {
            // Without an envelope nothing may follow, either.
            payload
        } else {
            let at = payload
                .windows(MARK_BYTES)
                .position(|bytes| bytes == self.mark)?;
            let end = payload.len().min(at + self.size);
            payload.get(at..end).unwrap_or_default()
        };
        Some(self.parse(message).ok_or(Corrupt))
    }

    fn parse(&self, message: &[u8]) -> Option<Stamp> {
        if message.len() != self.size {
            return None;
        }
        let (channel, bytes) = number(message.get(MARK_BYTES..)?, 4)?;
        let (sequence, bytes) = number(bytes, 8)?;
        let (due, bytes) = number(bytes, 8)?;
        let (said, filling) = number(bytes, 8)?;
        let stamp = Stamp {
            channel: u32::try_from(channel).ok()?,
            sequence,
            due,
        };
        (said == check(stamp) && filling == self.filling_of(said)).then_some(stamp)
    }

    fn filling_of(&self, check: u64) -> &[u8] {
        let from = (check % LETTERS.len() as u64) as usize;
        let bytes = self.size - BYTES_MIN;
        self.filling.get(from..from + bytes).unwrap_or_default()
    }
}

/// A message that is not as it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// 48 bits that differ wherever the stamp does: the finalizer of SplitMix64 over each part.
fn check(stamp: Stamp) -> u64 {
    let parts = [u64::from(stamp.channel), stamp.sequence, stamp.due];
    let mixed = parts
        .into_iter()
        .fold(0x9e37_79b9_7f4a_7c15_u64, |sum, part| {
            let mut bits = sum ^ part;
            bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^ bits >> 31
        });
    mixed >> 16
}

/// The lowest six bits of a number for each of so many letters.
fn letters<const N: usize>(number: u64) -> [u8; N] {
    std::array::from_fn(|at| {
        let bits = (number >> (6 * (N - 1 - at)) & 0x3f) as usize;
        LETTERS.get(bits).copied().unwrap_or(b'A')
    })
}

/// A number of so many letters; what follows.
fn number(bytes: &[u8], letters: usize) -> Option<(u64, &[u8])> {
    let (letters, rest) = bytes.split_at_checked(letters)?;
    let mut number = 0;
    for letter in letters {
        let bits = BITS.get(usize::from(*letter)).copied();
        let bits = bits.filter(|bits| *bits != NO_LETTER)?;
        number = number << 6 | u64::from(bits);
    }
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        channel: 77,
        sequence: 123_456,
        due: 9_876_543_210,
    };

    const RUN: u32 = 1_234;

    fn composed(size: usize) -> (Messages, Vec<u8>) {
        let messages = Messages::new(size, RUN);
        let mut bytes = Vec::new();
        messages.compose(&mut bytes, STAMP);
        assert_eq!(bytes.len(), size);
        (messages, bytes)
    }

    #[test]
    fn a_message_fits_in_32_bytes_that_json_passes_on_unchanged() {
        let (_, bytes) = composed(32);
        let text = str::from_utf8(&bytes).unwrap();
        assert_eq!(serde_json::to_string(text).unwrap(), format!("\"{text}\""));
    }

    #[test]
    fn a_message_is_recognised_at_every_size_and_in_an_envelope() {
        for size in [BYTES_MIN, BYTES_MIN + 1, 128, 65_536] {
            let (messages, bytes) = composed(size);
            assert_eq!(messages.recognise(&bytes), Some(Ok(STAMP)));
            let wrapped = [b"42[\"m\",\"", &bytes[..], b"\"]"].concat();
            assert_eq!(messages.recognise(&wrapped), Some(Ok(STAMP)));
        }
    }

    #[test]
    fn the_greatest_numbers_fit() {
        let stamp = Stamp {
            channel: CHANNELS_MAX - 1,
            sequence: (1 << 48) - 1,
            due: (1 << 48) - 1,
        };
        let messages = Messages::new(BYTES_MIN, u32::MAX);
        let mut bytes = Vec::new();
        messages.compose(&mut bytes, stamp);
        assert_eq!(messages.recognise(&bytes), Some(Ok(stamp)));
    }

    #[test]
    fn a_wrong_byte_anywhere_is_noticed() {
        for size in [BYTES_MIN, 200] {
            let (messages, bytes) = composed(size);
            for at in MARK_BYTES..size {
                for wrong in [bytes[at] ^ 0x80, bytes[at] ^ 1, b'A' + bytes[at] % 26] {
                    let mut bytes = bytes.clone();
                    if bytes[at] != wrong {
                        bytes[at] = wrong;
                        assert_eq!(messages.recognise(&bytes), Some(Err(Corrupt)), "byte {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_message_cut_off_or_with_more_behind_it_is_wrong() {
        let (messages, bytes) = composed(200);
        assert_eq!(messages.recognise(&bytes[..199]), Some(Err(Corrupt)));
        let more = [&bytes[..], b"\n"].concat();
        assert_eq!(messages.recognise(&more), Some(Err(Corrupt)));
    }

    #[test]
    fn what_others_say_is_no_message() {
        let (_, bytes) = composed(64);
        let messages = Messages::new(64, RUN + 1);
        assert_eq!(messages.recognise(&bytes), None, "another run");
        assert_eq!(messages.recognise(b"--heartbeat--"), None);
    }
}
