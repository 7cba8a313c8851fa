//! A message in the one form in which Redis writes it.
//!
//! Nearly all that Redis ever says to a gateway is this, so it is found without a detour, and its parts are
//! not copied. Whatever is not exactly this form is left to [`super::replies`], which alone finds faults.

use std::ops::Range;

use super::inbox::{LINE_BYTES_MAX, number};

/// What a look for the usual message found.
pub(super) enum Usual {
    /// Where its parts are, and its whole length.
    Message {
        channel: Range<usize>,
        payload: Range<usize>,
        length: usize,
    },
    /// It may be one, but can be told only from so many bytes.
    Wants(usize),
    /// It is none, or a faulty one.
    Not,
}

/// Looks at the front of `bytes`, which begin a value.
pub(super) fn usual_message(bytes: &[u8], bulk_bytes_max: usize) -> Usual {
    const HEAD: &[u8] = b">3\r\n$7\r\nmessage\r\n";
    if !bytes.starts_with(HEAD) {
        return match HEAD.starts_with(bytes) {
            true => Usual::Wants(bytes.len() + 1),
            false => Usual::Not,
        };
    }
    let channel = match bulk(bytes, HEAD.len(), bulk_bytes_max.min(LINE_BYTES_MAX)) {
        Ok(channel) => channel,
        Err(not) => return not,
    };
    match bulk(bytes, channel.end + 2, bulk_bytes_max) {
        Ok(payload) => Usual::Message {
            length: payload.end + 2,
            channel,
            payload,
        },
        Err(not) => not,
    }
}

/// Where the content of the bulk string is that begins at `from`.
fn bulk(bytes: &[u8], from: usize, bytes_max: usize) -> Result<Range<usize>, Usual> {
    /// A dollar sign, ten digits and CRLF: more than any limit takes.
    const HEAD_BYTES_MAX: usize = 13;
    let rest = bytes.get(from..).unwrap_or_default();
    let Some(line) = rest
        .iter()
        .take(HEAD_BYTES_MAX)
        .position(|&byte| byte == b'\n')
    else {
        return match rest.len() < HEAD_BYTES_MAX {
            true => Err(Usual::Wants(bytes.len() + 1)),
            false => Err(Usual::Not),
        };
    };
    let Some([b'$', digits @ .., b'\r']) = rest.get(..line) else {
        return Err(Usual::Not);
    };
    let length = match number(digits).map(usize::try_from) {
        Ok(Ok(length)) if length <= bytes_max => length,
        _ => return Err(Usual::Not),
    };
    let start = from + line + 1;
    let end = start + length;
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => Ok(start..end),
        Some(_) => Err(Usual::Not),
        None => Err(Usual::Wants(end + 2)),
    }
}
