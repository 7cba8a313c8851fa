//! RESP2 and RESP3 in and out; the only file that names redis-protocol.

use bytes::Bytes;

/// What may be read before a value is refused.
#[derive(Debug, Clone, Copy)]
pub struct ReplyLimits {
    /// Bytes of one bulk string; a longer one is skipped, and reported as oversize.
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
    /// An array or a set.
    Array(Vec<Reply>),
    /// A map.
    Map(Vec<(Reply, Reply)>),
    /// A bulk string over the limit; its bytes were skipped.
    Oversize(u64),
    /// A double, a boolean, a big number, a verbatim string: by its text.
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

/// Reads what Redis says, in any cut.
#[derive(Debug)]
pub struct ReplyReader {}

impl ReplyReader {
    /// A reader with nothing read.
    pub fn new(_limits: ReplyLimits) -> ReplyReader {
        todo!()
    }

    /// Takes the bytes that came.
    pub fn feed(&mut self, _bytes: &[u8]) {
        todo!()
    }

    /// The next thing said, `None` if it is not whole yet. After an error: the same error again.
    pub fn next(&mut self) -> Result<Option<Incoming<'_>>, Malformed> {
        todo!()
    }
}

/// Appends a command.
pub fn command(_out: &mut Vec<u8>, _words: &[&[u8]]) {
    todo!()
}

/// Reads commands, for the embedded Redis: arrays of bulk strings, and inline commands.
#[derive(Debug)]
pub struct CommandReader {}

impl CommandReader {
    /// A reader with nothing read, for commands of at most `bytes_max`.
    pub fn new(_bytes_max: usize) -> CommandReader {
        todo!()
    }

    /// Takes the bytes that came.
    pub fn feed(&mut self, _bytes: &[u8]) {
        todo!()
    }

    /// The next command's words (never empty), `None` if it is not whole yet.
    pub fn next(&mut self) -> Result<Option<Vec<Bytes>>, Malformed> {
        todo!()
    }
}

/// Which RESP a client of the embedded Redis asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The default of every Redis connection.
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// Appends a reply. A map becomes a flat array in RESP2, null a null bulk.
pub fn reply(_out: &mut Vec<u8>, _protocol: Protocol, _reply: &Reply) {
    todo!()
}

/// Appends a push (RESP3), or the array that stands for it (RESP2).
pub fn push(_out: &mut Vec<u8>, _protocol: Protocol, _words: &[Reply]) {
    todo!()
}
