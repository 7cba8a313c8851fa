//! A message in the one form in which Redis writes it.
//!
//! Nearly all that Redis ever says to a gateway is this, so it is found without a detour, and its parts are
//! not copied. Whatever is not exactly this form is left to [`super::replies`], which alone finds faults.

use super::inbox::LINE_BYTES_MAX;

/// What a look for the usual message found.
pub(super) enum Usual {
    /// Places of its parts, and its whole length.
    Message {
        channel: (usize, usize),
        payload: (usize, usize),
        length: usize,
    },
    /// It may be one, but can be told only from so many bytes.
    Wants(usize),
    /// It is none, or a faulty one: the careful way is to judge it.
    Not,
}

/// Looks at the front of `bytes`, which begin a value.
pub(super) fn usual_message(bytes: &[u8], bulk_bytes_max: usize) -> Usual {
    const HEAD: &[u8] = b">3\r\n$7\r\nmessage\r\n";
    if !bytes.starts_with(HEAD) {
        return if HEAD.starts_with(bytes) {
            Usual::Wants(bytes.len() + 1)
        } else {
            Usual::Not
        };
    }
    let (channel, end) = match usual_bulk(bytes, HEAD.len(), bulk_bytes_max.min(LINE_BYTES_MAX)) {
        Ok(found) => found,
        Err(not) => return not,
    };
    match usual_bulk(bytes, end, bulk_bytes_max) {
        Ok((payload, length)) => Usual::Message {
            channel,
            payload,
            length,
        },
        Err(not) => not,
    }
}

/// The bulk string that begins at `from`: its place, and where what follows it begins.
fn usual_bulk(
    bytes: &[u8],
    from: usize,
    bytes_max: usize,
) -> Result<((usize, usize), usize), Usual> {
    /// More digits than any limit has.
    const DIGITS_MAX: usize = 10;
    let Some((mark, digits)) = bytes.get(from..).and_then(<[u8]>::split_first) else {
        return Err(Usual::Wants(from + 1));
    };
    let mut length = 0;
    let mut count = 0;
    for &digit in digits
        .iter()
        .take(DIGITS_MAX)
        .take_while(|digit| digit.is_ascii_digit())
    {
        length = 10 * length + usize::from(digit - b'0');
        count += 1;
    }
    let start = from + 1 + count + 2;
    let end = start + length;
    let announced = *mark == b'$' && count > 0 && count < DIGITS_MAX && length <= bytes_max;
    match (bytes.get(start - 2..start), bytes.get(end..end + 2)) {
        _ if *mark != b'$' => Err(Usual::Not),
        (None, _) => Err(Usual::Wants(bytes.len() + 1)),
        (Some(b"\r\n"), Some(b"\r\n")) if announced => Ok(((start, end), end + 2)),
        (Some(b"\r\n"), None) if announced => Err(Usual::Wants(end + 2)),
        _ => Err(Usual::Not),
    }
}
