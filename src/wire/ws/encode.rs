//! What a server says: unmasked frames, each encoded once, into one allocation of its exact size.

use std::str;

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Bytes of the reason in a Close frame: what a control frame holds, less the code.
const REASON_BYTES_MAX: usize = 123;

/// A message as one frame: text if it is valid UTF-8, else binary.
pub fn message(payload: &[u8]) -> Bytes {
    let data = match str::from_utf8(payload) {
        Ok(_) => Data::Text,
        Err(_) => Data::Binary,
    };
    frame(OpCode::Data(data), &[payload])
}

/// A ping without payload.
pub fn ping() -> Bytes {
    frame(OpCode::Control(Control::Ping), &[])
}

/// A pong with the ping's payload.
pub fn pong(payload: &[u8]) -> Bytes {
    frame(OpCode::Control(Control::Pong), &[payload])
}

/// A Close frame; `reason` is at most 123 bytes. Without a code there is no reason (RFC 6455 5.5.1).
pub fn close(code: Option<u16>, reason: &str) -> Bytes {
    debug_assert!(
        reason.len() <= REASON_BYTES_MAX,
        "a reason too long: {reason}"
    );
    let opcode = OpCode::Control(Control::Close);
    match code {
        Some(code) => frame(opcode, &[&code.to_be_bytes(), reason.as_bytes()]),
        None => frame(opcode, &[]),
    }
}

fn frame(opcode: OpCode, payload: &[&[u8]]) -> Bytes {
    let header = FrameHeader {
        opcode,
        ..FrameHeader::default()
    };
    let length: usize = payload.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(header.len(length as u64) + length);
    let written = header.format(length as u64, &mut bytes);
    debug_assert!(written.is_ok(), "a Vec takes every byte");
    for part in payload {
        bytes.extend_from_slice(part);
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_text_if_it_is_utf_8_and_binary_if_not() {
        assert_eq!(message("grün".as_bytes())[..], *b"\x81\x05gr\xc3\xbcn");
        assert_eq!(message(b"\xff")[..], *b"\x82\x01\xff");
        assert_eq!(message(b"")[..], *b"\x81\x00");
    }

    #[test]
    fn lengths_are_written_as_short_as_they_can_be() {
        assert_eq!(message(&[b'x'; 125])[..2], *b"\x81\x7d");
        assert_eq!(message(&[b'x'; 126])[..4], *b"\x81\x7e\x00\x7e");
        assert_eq!(
            message(&[b'x'; 65_536])[..10],
            *b"\x81\x7f\0\0\0\0\0\x01\0\0"
        );
    }

    #[test]
    fn control_frames_hold_what_they_are_given() {
        assert_eq!(ping()[..], *b"\x89\x00");
        assert_eq!(pong(b"abc")[..], *b"\x8a\x03abc");
        assert_eq!(close(Some(1001), "bye")[..], *b"\x88\x05\x03\xe9bye");
        assert_eq!(close(None, "bye")[..], *b"\x88\x00");
    }
}
