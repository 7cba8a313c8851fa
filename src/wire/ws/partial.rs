//! What has come of a frame that is not whole, or of a message of which fragments are missing.

use std::{mem, str};

use super::header::{HEADER_BYTES_MAX, Header, Opcode};
use super::mask::{self, unmask};
use super::{End, Event, tell, tell_control, text};
use crate::close::Close;

/// The part of a frame or message that has come so far. An idle client has none.
#[derive(Debug, Default)]
pub struct Partial {
    stage: Stage,
    /// The message that a frame has begun. Control frames may come before its next one.
    message: Option<Message>,
}

/// Where in a frame the last read ended.
#[derive(Debug)]
enum Stage {
    /// Before its header, or within it.
    Header {
        bytes: [u8; HEADER_BYTES_MAX],
        length: usize,
    },
    /// Within its payload.
    Payload(Frame),
}

#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    is_final: bool,
    /// The next byte to come meets its first byte.
    mask: [u8; 4],
    /// Bytes to come.
    left: usize,
    /// What has come of a control frame's payload; a data frame's is in the message.
    control: Vec<u8>,
}

/// A message of which something is to come. Its buffer grows with what comes, not with what is announced: a
/// header costs its sender 14 bytes, so it must not cost us 64 KiB.
#[derive(Debug)]
enum Message {
    /// Its first `valid` bytes are UTF-8, and at most three more may yet become a character.
    Text {
        bytes: Vec<u8>,
        valid: usize,
    },
    Binary(Vec<u8>),
}

impl Partial {
    /// Bytes held, this record included.
    pub fn bytes(&self) -> usize {
        let control = match &self.stage {
            Stage::Payload(frame) => frame.control.capacity(),
            Stage::Header { .. } => 0,
        };
        let message = self
            .message
            .as_ref()
            .map_or(0, |message| message.buffer().capacity());
        size_of::<Partial>() + control + message
    }

    /// Is nothing held? Then the partial is to be dropped.
    pub(super) fn is_idle(&self) -> bool {
        self.message.is_none() && matches!(self.stage, Stage::Header { length: 0, .. })
    }

    /// Goes on with `bytes`, at most until a header or a frame ends, and says how many of them were taken.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        message_bytes_max: usize,
        event: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Result<usize, End> {
        let (mut header, before) = match mem::take(&mut self.stage) {
            Stage::Header { bytes, length } => (bytes, length),
            Stage::Payload(frame) => return self.read_payload(frame, bytes, event),
        };
        let mut length = before;
        for (place, byte) in header.iter_mut().skip(before).zip(&*bytes) {
            *place = *byte;
            length += 1;
        }
        let begun = self.message.as_ref().map(|message| message.buffer().len());
        let read = Header::read(
            header.get(..length).unwrap_or_default(),
            begun,
            message_bytes_max,
        );
        let Some(whole) = read.map_err(End::Fault)? else {
            self.stage = Stage::Header {
                bytes: header,
                length,
            };
            return Ok(length - before);
        };
        // Of a frame without payload nothing more comes that could end it.
        self.read_payload(Frame::new(&whole), &mut [], event)?;
        Ok(whole.length - before)
    }

    fn read_payload(
        &mut self,
        mut frame: Frame,
        bytes: &mut [u8],
        event: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Result<usize, End> {
        let taken = frame.left.min(bytes.len());
        let piece = bytes.get_mut(..taken).unwrap_or_default();
        unmask(piece, frame.mask);
        frame.mask = mask::after(frame.mask, taken);
        frame.left -= taken;
        if frame.opcode.is_control() {
            frame.control.extend_from_slice(piece);
        } else {
            let message = self
                .message
                .get_or_insert_with(|| Message::new(frame.opcode));
            message.extend(piece)?;
        }
        if frame.left > 0 {
            self.stage = Stage::Payload(frame);
        } else if frame.opcode.is_control() {
            tell_control(event, frame.opcode, &frame.control)?;
        } else if frame.is_final {
            match self.message.take() {
                Some(Message::Text { bytes, .. }) => tell(event, Event::Text(text(&bytes)?))?,
                Some(Message::Binary(bytes)) => tell(event, Event::Binary(&bytes))?,
                None => {}
            }
        }
        Ok(taken)
    }
}

impl Default for Stage {
    fn default() -> Stage {
        Stage::Header {
            bytes: [0; HEADER_BYTES_MAX],
            length: 0,
        }
    }
}

impl Frame {
    fn new(header: &Header) -> Frame {
        Frame {
            opcode: header.opcode,
            is_final: header.is_final,
            mask: header.mask,
            left: header.payload_length,
            control: Vec::new(),
        }
    }
}

impl Message {
    fn new(opcode: Opcode) -> Message {
        match opcode {
            Opcode::Text => Message::Text {
                bytes: Vec::new(),
                valid: 0,
            },
            _ => Message::Binary(Vec::new()),
        }
    }

    fn buffer(&self) -> &Vec<u8> {
        match self {
            Message::Text { bytes, .. } | Message::Binary(bytes) => bytes,
        }
    }

    /// Adds what came. In a text, a byte that can stand in no UTF-8 shows at once, not when the frame ends:
    /// whoever is to be refused should not be allowed to finish.
    fn extend(&mut self, piece: &[u8]) -> Result<(), End> {
        match self {
            Message::Binary(bytes) => bytes.extend_from_slice(piece),
            Message::Text { bytes, valid } => {
                bytes.extend_from_slice(piece);
                *valid += match str::from_utf8(bytes.get(*valid..).unwrap_or_default()) {
                    Ok(fresh) => fresh.len(),
                    Err(error) if error.error_len().is_none() => error.valid_up_to(),
                    Err(_) => return Err(End::Fault(Close::NotUtf8)),
                };
            }
        }
        Ok(())
    }
}
