//! The messages of a benchmark: each says which it is, when it was due, and is wholly determined by that.
//!
//! ```text
//! w4b1 <channel, 8 hex> <sequence, 16 hex> <due, microseconds, 16 hex> <filling>
//! ```
//!
//! All of it is printable ASCII without quotes, so that a gateway which wraps messages in JSON changes no byte.

/// The shortest message: nothing but what it says of itself.
pub const BYTES_MIN: usize = MARK.len() + 8 + 1 + 16 + 1 + 16 + 1;
/// The longest.
pub const BYTES_MAX: usize = 1 << 20;

const MARK: &[u8] = b"w4b1 ";
const LETTERS: &[u8; 61] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012345678";

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
    /// The letters over and over, so that each filling is a slice of it.
    filling: Vec<u8>,
}

impl Messages {
    /// Of this size, within [`BYTES_MIN`] and [`BYTES_MAX`].
    pub fn new(size: usize) -> Messages {
        let size = size.clamp(BYTES_MIN, BYTES_MAX);
        let filling = LETTERS.iter().copied().cycle();
        Messages {
            size,
            filling: filling.take(size + LETTERS.len()).collect(),
        }
    }

    /// Bytes of each.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Appends a message.
    pub fn compose(&self, out: &mut Vec<u8>, stamp: Stamp) {
        out.extend_from_slice(MARK);
        hex(out, u64::from(stamp.channel), 8);
        out.push(b' ');
        hex(out, stamp.sequence, 16);
        out.push(b' ');
        hex(out, stamp.due, 16);
        out.push(b' ');
        out.extend_from_slice(self.filling_of(stamp));
    }

    /// The message in a frame's payload, which may stand in an envelope. `None` if there is none; an error if there
    /// is one and a byte of it is wrong.
    pub fn recognise(&self, payload: &[u8]) -> Option<Result<Stamp, Corrupt>> {
        let at = if payload.starts_with(MARK) {
            0
        } else {
            payload
                .windows(MARK.len())
                .position(|bytes| bytes == MARK)?
        };
        Some(
            self.parse(payload.get(at..).unwrap_or_default())
                .ok_or(Corrupt),
        )
    }

    fn parse(&self, bytes: &[u8]) -> Option<Stamp> {
        let bytes = bytes.get(MARK.len()..self.size)?;
        let (channel, bytes) = number(bytes, 8)?;
        let (sequence, bytes) = number(bytes, 16)?;
        let (due, filling) = number(bytes, 16)?;
        let stamp = Stamp {
            channel: u32::try_from(channel).ok()?,
            sequence,
            due,
        };
        (filling == self.filling_of(stamp)).then_some(stamp)
    }

    fn filling_of(&self, stamp: Stamp) -> &[u8] {
        let from =
            (stamp.sequence.wrapping_add(u64::from(stamp.channel)) % LETTERS.len() as u64) as usize;
        let bytes = self.size - BYTES_MIN;
        self.filling.get(from..from + bytes).unwrap_or_default()
    }
}

/// A message that is not as it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

fn hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let nibble = (number >> (4 * digit) & 0xf) as usize;
        out.push(b"0123456789abcdef".get(nibble).copied().unwrap_or(b'0'));
    }
}

/// A number of so many digits and the blank behind it; what follows.
fn number(bytes: &[u8], digits: usize) -> Option<(u64, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(digits)?;
    let mut number = 0;
    for digit in digits {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u64::from(nibble);
    }
    Some((number, rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        channel: 77,
        sequence: 123_456,
        due: 9_876_543_210,
    };

    #[test]
    fn a_message_is_recognised_at_every_size_and_in_an_envelope() {
        for size in [BYTES_MIN, BYTES_MIN + 1, 128, 65_536] {
            let messages = Messages::new(size);
            let mut bytes = Vec::new();
            messages.compose(&mut bytes, STAMP);
            assert_eq!(bytes.len(), size);
            assert_eq!(messages.recognise(&bytes), Some(Ok(STAMP)));
            let wrapped = [b"42[\"m\",\"", &bytes[..], b"\"]"].concat();
            assert_eq!(messages.recognise(&wrapped), Some(Ok(STAMP)));
        }
    }

    #[test]
    fn a_wrong_byte_anywhere_is_noticed() {
        let messages = Messages::new(200);
        let mut bytes = Vec::new();
        messages.compose(&mut bytes, STAMP);
        for at in MARK.len()..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x80;
            assert_eq!(messages.recognise(&wrong), Some(Err(Corrupt)), "byte {at}");
        }
        assert_eq!(
            messages.recognise(&bytes[..199]),
            Some(Err(Corrupt)),
            "cut off"
        );
        assert_eq!(messages.recognise(b"--heartbeat--"), None);
    }
}
