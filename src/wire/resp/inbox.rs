//! Bytes that came and are not read yet.

use std::ops::Range;

use super::Malformed;

/// Room that a reader keeps when it is idle: about what one read from a socket brings.
const KEPT_BYTES: usize = 64 << 10;
/// Bytes of a simple string, an error or an inline command, as in Redis (`PROTO_INLINE_MAX_SIZE`).
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes of a line that announces a length: the type, a sign and the 19 digits of an `i64`.
const LENGTH_LINE_BYTES_MAX: usize = 21;

/// A queue of bytes that remembers what was learned about its front, so that a value which comes in many
/// pieces is looked at once: invariant `scanned <= waiting().len()`.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Bytes before this one are read.
    start: usize,
    /// So many bytes at the front hold no line end.
    scanned: usize,
    /// With fewer bytes than this nothing can be read.
    wanted: usize,
}

impl Inbox {
    /// Takes the bytes that came.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        // To move no more than was read keeps the cost of all moves below that of all bytes.
        if self.start >= self.waiting().len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What is not read yet.
    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Bytes that were consumed, by a place that [`Inbox::consume`] gave. They stand until the next feed.
    pub(super) fn consumed(&self, place: Range<usize>) -> &[u8] {
        self.bytes.get(place).unwrap_or_default()
    }

    /// The first byte, unless it is known that more bytes are wanted before anything can be read.
    pub(super) fn first(&self) -> Option<u8> {
        let waiting = self.waiting();
        waiting
            .first()
            .copied()
            .filter(|_| waiting.len() >= self.wanted)
    }

    /// Do so many bytes wait? If not, nothing will be read until they do.
    pub(super) fn want(&mut self, bytes: usize) -> bool {
        self.wanted = bytes;
        self.waiting().len() >= bytes
    }

    /// Counts bytes as read, and says at which place they began.
    pub(super) fn consume(&mut self, bytes: usize) -> usize {
        let from = self.start;
        self.start = self.bytes.len().min(from + bytes);
        self.scanned = 0;
        self.wanted = 0;
        from
    }

    /// The length of the front line without its CRLF, if it is whole.
    pub(super) fn line(&mut self, bytes_max: usize) -> Result<Option<usize>, Malformed> {
        let Some(end) = self.line_end(bytes_max)? else {
            return Ok(None);
        };
        match self.waiting().get(..end) {
            Some([line @ .., b'\r']) => Ok(Some(line.len())),
            _ => Err(Malformed::Syntax("a line ends without CR")),
        }
    }

    /// The place of the front line's LF, if it has come.
    pub(super) fn line_end(&mut self, bytes_max: usize) -> Result<Option<usize>, Malformed> {
        let waiting = self.waiting();
        let fresh = waiting.get(self.scanned..).unwrap_or_default();
        let end = fresh
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|at| self.scanned + at);
        // The limit is judged alike whether or not the end has come, so that no cut makes a difference.
        if end.unwrap_or(waiting.len()) > bytes_max + 1 {
            return Err(Malformed::TooLong);
        }
        if end.is_none() {
            self.scanned = waiting.len();
        }
        Ok(end)
    }

    /// The front line, if it is whole, as an announcement: a type, then a length, or -1 for none at all.
    /// With it comes the line's length, CRLF included.
    pub(super) fn announcement(&mut self) -> Result<Option<(Announced, usize)>, Malformed> {
        let Some(line) = self.line(LENGTH_LINE_BYTES_MAX)? else {
            return Ok(None);
        };
        let announced = match self.waiting().get(1..line).unwrap_or_default() {
            b"-1" => Announced::Nothing,
            b"?" => return Err(Malformed::Syntax("a streamed value")),
            digits => Announced::Length(number(digits)?),
        };
        Ok(Some((announced, line + 2)))
    }

    /// To be called when nothing more can be read: gives back what one large value needed.
    pub(super) fn settle(&mut self) {
        if self.bytes.capacity() > 2 * KEPT_BYTES && self.waiting().len() <= KEPT_BYTES {
            self.bytes.drain(..self.start);
            self.bytes.shrink_to(KEPT_BYTES);
            self.start = 0;
        }
    }

    /// Bytes reserved.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// What stands behind a type byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    /// -1: RESP2's null.
    Nothing,
    /// So many bytes, or elements.
    Length(u64),
}

/// A length: digits and nothing else, where `str::parse` would take a plus sign.
pub(super) fn number(digits: &[u8]) -> Result<u64, Malformed> {
    const NONE: Malformed = Malformed::Syntax("a length that is no number");
    if digits.is_empty() {
        return Err(NONE);
    }
    digits.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'9' => number
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit - b'0')))
            .ok_or(NONE),
        _ => Err(NONE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_searched_once_for_its_end() {
        let mut inbox = Inbox::default();
        inbox.feed(b"+abc");
        assert_eq!(inbox.line(10), Ok(None));
        assert_eq!(inbox.scanned, 4);
        inbox.feed(b"\r\n");
        assert_eq!(inbox.line(10), Ok(Some(4)));
        inbox.consume(6);
        assert_eq!(inbox.scanned, 0);
    }

    #[test]
    fn what_is_read_is_moved_away_at_no_more_cost_than_it_had() {
        let mut inbox = Inbox::default();
        inbox.feed(&[b'x'; 10]);
        inbox.consume(4);
        inbox.feed(b"y");
        assert_eq!(
            inbox.bytes.len(),
            11,
            "six bytes are not moved for the sake of four"
        );
        inbox.consume(4);
        inbox.feed(b"z");
        assert_eq!(inbox.bytes, b"xxyz");
    }

    #[test]
    fn a_length_is_digits_and_nothing_else() {
        assert_eq!(number(b"007"), Ok(7));
        assert_eq!(number(b"18446744073709551615"), Ok(u64::MAX));
        for digits in [
            &b""[..],
            b"+1",
            b"-1",
            b"1 ",
            b"0x1",
            b"18446744073709551616",
        ] {
            assert!(number(digits).is_err(), "{}", digits.escape_ascii());
        }
    }
}
