//! The header of a client's frame, and everything about it that RFC 6455 forbids.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::close::Close;

/// Bytes of the longest header: two, a length of eight, a mask of four.
pub(super) const HEADER_BYTES_MAX: usize = 14;
/// Bytes of a control frame's payload (RFC 6455 5.5).
const CONTROL_BYTES_MAX: u64 = 125;

/// A header that may stand where it stands.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) is_final: bool,
    pub(super) mask: [u8; 4],
    /// Bytes of the header itself.
    pub(super) length: usize,
    /// Bytes that follow it.
    pub(super) payload_length: usize,
}

/// The opcodes that RFC 6455 11.8 gives a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Header {
    /// Reads the header at the front of `bytes`, `None` if it is not whole. `begun` is how many bytes have
    /// come of the message whose last fragment is still to come, if there is one.
    pub(super) fn read(
        bytes: &[u8],
        begun: Option<usize>,
        message_bytes_max: usize,
    ) -> Result<Option<Header>, Close> {
        let mut cursor = Cursor::new(bytes);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Close::Protocol)?;
        let Some((header, payload_length)) = parsed else {
            return Ok(None);
        };
        // RFC 6455 5.1: a server must close when a frame comes unmasked. 5.2: no reserved bit may be set
        // without an extension, lengths are written as short as they can be, and none has the top bit.
        let mask = header.mask.ok_or(Close::Protocol)?;
        let length = header.len(payload_length);
        if header.rsv1
            || header.rsv2
            || header.rsv3
            || length as u64 != cursor.position()
            || payload_length > i64::MAX as u64
        {
            return Err(Close::Protocol);
        }
        let opcode = Opcode::in_its_place(header.opcode, begun.is_some()).ok_or(Close::Protocol)?;
        if opcode.is_control() {
            if !header.is_final || payload_length > CONTROL_BYTES_MAX {
                return Err(Close::Protocol);
            }
        } else if payload_length > message_bytes_max.saturating_sub(begun.unwrap_or(0)) as u64 {
            return Err(Close::TooBig);
        }
        Ok(Some(Header {
            opcode,
            is_final: header.is_final,
            mask,
            length,
            payload_length: usize::try_from(payload_length).map_err(|_| Close::TooBig)?,
        }))
    }
}

impl Opcode {
    /// A message begins with its type and goes on with continuations; control frames may stand anywhere.
    fn in_its_place(opcode: OpCode, begun: bool) -> Option<Opcode> {
        match (opcode, begun) {
            (OpCode::Data(Data::Continue), true) => Some(Opcode::Continuation),
            (OpCode::Data(Data::Text), false) => Some(Opcode::Text),
            (OpCode::Data(Data::Binary), false) => Some(Opcode::Binary),
            (OpCode::Control(Control::Close), _) => Some(Opcode::Close),
            (OpCode::Control(Control::Ping), _) => Some(Opcode::Ping),
            (OpCode::Control(Control::Pong), _) => Some(Opcode::Pong),
            _ => None,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}
