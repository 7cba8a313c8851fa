//! RESP2 and RESP3 in and out; the only room that names redis-protocol.
//!
//! Both readers hold the bytes of one unfinished value at most, and every announced length and count is
//! compared with its limit before anything is reserved for it.

mod commands;
mod encode;
mod inbox;
mod replies;
mod scalar;
mod usual;

use bytes::Bytes;

pub use commands::CommandReader;
pub use encode::{command, push, reply};
pub use replies::ReplyReader;

/// What may be read before a value is refused.
#[derive(Debug, Clone, Copy)]
pub struct ReplyLimits {
    /// Bytes of one bulk string. A longer one that ends a push, or is a whole reply, is skipped and reported
    /// as oversize. All elements of one reply together may have 64 KiB more than this.
    pub bulk_bytes_max: usize,
    /// Nesting.
    pub depth_max: usize,
    /// Elements of one reply, all depths together.
    pub elements_max: usize,
}

/// One thing that Redis said.
#[derive(Debug, PartialEq)]
pub enum Incoming<'a> {
    /// A pub/sub message. Both slices point into the reader's buffer.
    Message {
        /// The channel.
        channel: &'a [u8],
        /// The payload.
        payload: &'a [u8],
    },
    /// Redis confirms a SUBSCRIBE.
    Subscribed {
        /// The channel.
        channel: Bytes,
    },
    /// Redis confirms an UNSUBSCRIBE.
    Unsubscribed {
        /// The channel.
        channel: Bytes,
    },
    /// A push over the limit was skipped.
    OversizePush {
        /// The announced size of its payload.
        bytes: u64,
    },
    /// A push that is of no interest here.
    OtherPush,
    /// The answer to the oldest unanswered command.
    Reply(Reply),
}

/// An answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A simple string.
    Simple(Bytes),
    /// A bulk string.
    Bulk(Bytes),
    /// An error, in Redis' words: `WRONGTYPE Operation against ...`.
    Error(String),
    /// An integer.
    Integer(i64),
    /// RESP2's null bulk and null array, RESP3's null.
    Null,
    /// To be written only: RESP2's null array. A null array is read as [`Reply::Null`].
    NullArray,
    /// An array or a set.
    Array(Vec<Reply>),
    /// A map.
    Map(Vec<(Reply, Reply)>),
    /// A bulk string over the limit; its bytes were skipped.
    Oversize(u64),
    /// A double, a boolean, a big number, a verbatim string: by its text, such as `3.14`, `t` or `inf`.
    Other(Bytes),
}

/// Redis (or who speaks in its place) does not speak RESP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A byte that begins no value, a length that is none, a missing CRLF.
    #[error("not RESP: {0}")]
    Syntax(&'static str),
    /// Nested deeper than the limit.
    #[error("a reply nests too deep")]
    TooDeep,
    /// More elements than the limit.
    #[error("a reply has too many elements")]
    TooMany,
    /// A simple string, a number or a length line without end, or an aggregate over all limits.
    #[error("a reply is too long")]
    TooLong,
}

/// Which RESP a client of the embedded Redis asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The default of every Redis connection.
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}
