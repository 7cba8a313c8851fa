//! One scalar, decoded by redis-protocol.
//!
//! It is never shown more than one whole scalar of known length. Over aggregates it recurses without limit,
//! it reads a partial one from its start again and again, it keeps maps in random order, and it takes a RESP2
//! null for the start of a stream; so those are built in [`super::replies`], on a stack with a bound.

use bytes::Bytes;
use redis_protocol::resp3::decode::complete::decode_range;
use redis_protocol::resp3::types::RangeFrame;

use super::{Malformed, Reply};

/// Decodes the scalar that `bytes` holds, its last CRLF included.
pub(super) fn decode(bytes: &[u8]) -> Result<Reply, Malformed> {
    const NONE: Malformed = Malformed::Syntax("a value that is none of its type");
    let Ok(Some((frame, length))) = decode_range(bytes) else {
        return Err(NONE);
    };
    let text = |(from, to)| bytes.get(from..to).ok_or(NONE);
    let owned = |range| text(range).map(Bytes::copy_from_slice);
    // The last CRLF of what is counted in bytes: redis-protocol steps over it without a look.
    if length != bytes.len() || !bytes.ends_with(b"\r\n") {
        return Err(Malformed::Syntax("a value without CRLF"));
    }
    Ok(match frame {
        RangeFrame::SimpleString { data, .. } => Reply::Simple(owned(data)?),
        RangeFrame::BlobString { data, .. } => Reply::Bulk(owned(data)?),
        RangeFrame::SimpleError { data, .. } | RangeFrame::BlobError { data, .. } => {
            Reply::Error(String::from_utf8_lossy(text(data)?).into_owned())
        }
        RangeFrame::Number { data, .. } => Reply::Integer(data),
        RangeFrame::Null => Reply::Null,
        RangeFrame::VerbatimString { data, .. } | RangeFrame::BigNumber { data, .. } => {
            Reply::Other(owned(data)?)
        }
        // By their text: an `f64` would not give back the digits that Redis chose.
        RangeFrame::Double { .. } | RangeFrame::Boolean { .. } => {
            Reply::Other(owned((1, bytes.len() - 2))?)
        }
        _ => return Err(NONE),
    })
}
