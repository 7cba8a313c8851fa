//! WebSocket frames in and out, on tungstenite's frame layer.

use bytes::Bytes;

use crate::close::Close;

/// What a client said.
#[derive(Debug, PartialEq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with its payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// A Close frame: its code, if it has one. Nothing after it is read.
    Close(Option<u16>),
}

/// The part of a frame or message that has come so far. An idle client has none.
#[derive(Debug)]
pub struct Partial {}

impl Partial {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        todo!()
    }
}

/// Reads frames from `bytes`, which continue what `partial` holds. Each event goes to `event`, which says
/// whether to go on. The bytes are unmasked in place; a message that comes whole is never copied.
///
/// Fails with [`Close::Protocol`], [`Close::NotUtf8`] or [`Close::TooBig`] at the first byte that shows it.
pub fn read(
    _partial: &mut Option<Box<Partial>>,
    _bytes: &mut [u8],
    _message_bytes_max: usize,
    _event: impl FnMut(Event<'_>) -> bool,
) -> Result<(), Close> {
    todo!()
}

/// A message as one frame: text if it is valid UTF-8, else binary.
pub fn message(_payload: &[u8]) -> Bytes {
    todo!()
}

/// A ping without payload.
pub fn ping() -> Bytes {
    todo!()
}

/// A pong with the ping's payload.
pub fn pong(_payload: &[u8]) -> Bytes {
    todo!()
}

/// A Close frame; `reason` is at most 123 bytes.
pub fn close(_code: Option<u16>, _reason: &str) -> Bytes {
    todo!()
}
