//! WebSocket frames in and out (RFC 6455, the server's side), on tungstenite's frame layer; the only room
//! that names tungstenite.
//!
//! An idle client costs nothing here: a frame that comes whole is read where it lies, and only what is cut
//! off by the end of a read is copied into a [`Partial`].

mod encode;
mod header;
mod mask;
mod partial;

use std::str;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::close::Close;
use header::{Header, Opcode};
use mask::unmask;

pub use encode::{close, message, ping, pong};
pub use partial::Partial;

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

/// Reads frames from `bytes`, which continue what `partial` holds. Each event goes to `event`, which says
/// whether to go on; after a no, a Close or a failure nothing more is read and nothing is held. The bytes are
/// unmasked in place; a message that comes whole is never copied.
///
/// Fails with [`Close::Protocol`] or [`Close::TooBig`] at the header that shows it, before any payload, and
/// with [`Close::NotUtf8`] at the first byte that can stand in no text.
pub fn read(
    partial: &mut Option<Box<Partial>>,
    bytes: &mut [u8],
    message_bytes_max: usize,
    mut event: impl FnMut(Event<'_>) -> bool,
) -> Result<(), Close> {
    read_frames(partial, bytes, message_bytes_max, &mut event).or_else(|end| {
        *partial = None;
        match end {
            End::Enough => Ok(()),
            End::Fault(close) => Err(close),
        }
    })
}

/// The value of `Sec-WebSocket-Accept` for this key (RFC 6455 4.2.2).
pub fn accept(key: &[u8]) -> String {
    derive_accept_key(key)
}

/// Why reading ends before the bytes do.
enum End {
    /// The client said Close, or the reader of the events has enough.
    Enough,
    Fault(Close),
}

fn read_frames(
    partial: &mut Option<Box<Partial>>,
    bytes: &mut [u8],
    message_bytes_max: usize,
    event: &mut impl FnMut(Event<'_>) -> bool,
) -> Result<(), End> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = if partial.is_none()
            && let Some(length) = read_whole(rest, message_bytes_max, event)?
        {
            length
        } else {
            let held = partial.get_or_insert_default();
            let taken = held.read(rest, message_bytes_max, event)?;
            partial.take_if(|held| held.is_idle());
            taken
        };
        rest = rest.get_mut(taken..).unwrap_or_default();
    }
    Ok(())
}

/// Reads a frame that is a message of its own, or a control frame, if all of it is here.
fn read_whole(
    bytes: &mut [u8],
    message_bytes_max: usize,
    event: &mut impl FnMut(Event<'_>) -> bool,
) -> Result<Option<usize>, End> {
    let Some(header) = Header::read(bytes, None, message_bytes_max).map_err(End::Fault)? else {
        return Ok(None);
    };
    let end = header.length + header.payload_length;
    let Some(payload) = bytes.get_mut(header.length..end) else {
        return Ok(None);
    };
    if !header.is_final {
        return Ok(None);
    }
    unmask(payload, header.mask);
    match header.opcode {
        Opcode::Text => tell(event, Event::Text(text(payload)?))?,
        Opcode::Binary | Opcode::Continuation => tell(event, Event::Binary(payload))?,
        control => tell_control(event, control, payload)?,
    }
    Ok(Some(end))
}

fn tell(event: &mut impl FnMut(Event<'_>) -> bool, said: Event<'_>) -> Result<(), End> {
    if event(said) {
        Ok(())
    } else {
        Err(End::Enough)
    }
}

fn tell_control(
    event: &mut impl FnMut(Event<'_>) -> bool,
    opcode: Opcode,
    payload: &[u8],
) -> Result<(), End> {
    match opcode {
        Opcode::Ping => tell(event, Event::Ping(payload)),
        Opcode::Pong => tell(event, Event::Pong),
        _ => {
            tell(event, Event::Close(close_code(payload)?))?;
            Err(End::Enough)
        }
    }
}

/// The code of a Close frame (RFC 6455 5.5.1).
fn close_code(payload: &[u8]) -> Result<Option<u16>, End> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        // One byte is half a code.
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(End::Fault(Close::Protocol))
        };
    };
    let code = u16::from_be_bytes(*code);
    // The registry of IANA has given 1014 (Bad Gateway) a meaning; tungstenite still refuses it.
    if !CloseCode::from(code).is_allowed() && code != 1014 {
        return Err(End::Fault(Close::Protocol));
    }
    text(reason).map(|_| Some(code))
}

fn text(bytes: &[u8]) -> Result<&str, End> {
    str::from_utf8(bytes).map_err(|_| End::Fault(Close::NotUtf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1_000;

    /// A client's frame: the first byte of its header, and its payload.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..=125 => bytes.push(0x80 | short as u8),
            length => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        bytes
    }

    /// A client, one read after the other.
    #[derive(Default)]
    struct Client {
        partial: Option<Box<Partial>>,
        said: Vec<String>,
    }

    impl Client {
        fn says(&mut self, bytes: &[u8]) -> Result<(), Close> {
            let mut bytes = bytes.to_vec();
            read(&mut self.partial, &mut bytes, MAX, |event| {
                self.said.push(format!("{event:?}"));
                true
            })
        }
    }

    /// What is read from these bytes when they come at once.
    fn said(bytes: &[u8]) -> (Vec<String>, Result<(), Close>) {
        let mut client = Client::default();
        let result = client.says(bytes);
        (client.said, result)
    }

    fn fault(bytes: &[u8]) -> Option<Close> {
        said(bytes).1.err()
    }

    #[test]
    fn messages_and_control_frames_are_read_in_order_and_nothing_is_held_between_them() {
        let mut client = Client::default();
        let bytes = [
            frame(0x81, "grüße".as_bytes()),
            frame(0x81, b""),
            frame(0x82, b"\xff\x00"),
            frame(0x89, b"p"),
            frame(0x8a, b"q"),
            frame(0x88, b""),
            frame(0x81, b"after the end"),
        ];
        assert_eq!(client.says(&bytes.concat()), Ok(()));
        let expected = [
            r#"Text("grüße")"#,
            r#"Text("")"#,
            "Binary([255, 0])",
            "Ping([112])",
            "Pong",
            "Close(None)",
        ];
        assert_eq!(client.said, expected);
        assert!(client.partial.is_none());
    }

    #[test]
    fn fragments_become_one_message_and_control_frames_may_stand_between_them() {
        let mut client = Client::default();
        assert_eq!(client.says(&frame(0x01, b"")), Ok(()));
        assert!(client.partial.is_some());
        // The two bytes of one character come in two frames.
        let bytes = [
            frame(0x00, b"gr\xc3"),
            frame(0x89, b"p"),
            frame(0x00, b""),
            frame(0x80, b"\xbcn"),
        ];
        assert_eq!(client.says(&bytes.concat()), Ok(()));
        assert_eq!(client.said, ["Ping([112])", r#"Text("grün")"#]);
        assert!(client.partial.is_none());
    }

    #[test]
    fn what_rfc_6455_forbids_is_refused_at_the_header_before_any_payload() {
        let header = |bytes: [u8; 2]| [&bytes[..], &[0; 4]].concat();
        for (bytes, why) in [
            (vec![0x81, 0x05], "unmasked"),
            (header([0xc1, 0x85]), "RSV1"),
            (header([0xa1, 0x85]), "RSV2"),
            (header([0x91, 0x85]), "RSV3"),
            (header([0x83, 0x85]), "a reserved data opcode"),
            (header([0x8b, 0x85]), "a reserved control opcode"),
            (header([0x09, 0x85]), "a fragmented ping"),
            (header([0x80, 0x85]), "a continuation of nothing"),
            (header([0x00, 0x85]), "a continuation of nothing, not final"),
            (vec![0x89, 0xfe, 0, 126, 0, 0, 0, 0], "a ping of 126 bytes"),
            (vec![0x82, 0xfe, 0, 125, 0, 0, 0, 0], "125 in two bytes"),
            (
                vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0],
                "65535 in eight bytes",
            ),
            (
                vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                "the top bit",
            ),
            (
                [frame(0x01, b"a"), header([0x81, 0x85])].concat(),
                "a text within a message",
            ),
            (
                [frame(0x01, b"a"), header([0x02, 0x85])].concat(),
                "a binary within a message",
            ),
        ] {
            assert_eq!(fault(&bytes), Some(Close::Protocol), "{why}");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_at_the_header_that_announces_it() {
        let header = |first, length: u16| {
            let [high, low] = length.to_be_bytes();
            vec![first, 0xfe, high, low, 0, 0, 0, 0]
        };
        assert_eq!(fault(&header(0x82, 1_000)), None);
        assert_eq!(fault(&header(0x82, 1_001)), Some(Close::TooBig));
        assert_eq!(fault(&header(0x01, 1_001)), Some(Close::TooBig));
        assert_eq!(
            fault(&[
                0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0
            ]),
            Some(Close::TooBig)
        );
        let begun = frame(0x02, &[0; 600]);
        assert_eq!(fault(&[&begun[..], &header(0x80, 400)].concat()), None);
        assert_eq!(
            fault(&[&begun[..], &header(0x80, 401)].concat()),
            Some(Close::TooBig)
        );
    }

    #[test]
    fn memory_is_reserved_as_bytes_arrive_and_not_as_announced() {
        let mut client = Client::default();
        assert_eq!(client.says(&frame(0x82, &[0; 1_000])[..20]), Ok(()));
        let bytes = client.partial.map_or(0, |partial| partial.bytes());
        assert!((12..300).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_text_that_is_no_utf_8_is_refused_at_the_first_byte_that_shows_it() {
        for bytes in [
            &b"ok\xff"[..],
            b"ok\x80",
            b"ok\xc0",
            b"ok\xe0\x9f",
            b"ok\xed\xa0",
            b"ok\xf4\x90",
            b"ok\xf5",
            b"ok\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90",
        ] {
            for first in [0x81, 0x01] {
                let masked = frame(first, &[bytes, &[b'x'; 50]].concat());
                let mut client = Client::default();
                assert_eq!(
                    client.says(&masked[..6 + bytes.len() - 1]),
                    Ok(()),
                    "{bytes:?}"
                );
                let last = &masked[6 + bytes.len() - 1..][..1];
                assert_eq!(client.says(last), Err(Close::NotUtf8), "{bytes:?}");
                assert!(client.partial.is_none());
                assert_eq!(fault(&masked), Some(Close::NotUtf8), "{bytes:?}");
            }
        }
        assert_eq!(fault(&frame(0x81, b"half a \xc3")), Some(Close::NotUtf8));
        let halves = [frame(0x01, b"half a \xc3"), frame(0x80, b"")];
        assert_eq!(fault(&halves.concat()), Some(Close::NotUtf8));
    }

    #[test]
    fn a_close_frame_holds_nothing_or_a_code_that_may_be_sent() {
        for code in [
            1000_u16, 1001, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 4999,
        ] {
            let payload = [&code.to_be_bytes()[..], b"bye"].concat();
            let (events, result) = said(&frame(0x88, &payload));
            assert_eq!(
                (events, result),
                (vec![format!("Close(Some({code}))")], Ok(()))
            );
        }
        for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(
                fault(&frame(0x88, &code.to_be_bytes())),
                Some(Close::Protocol),
                "{code}"
            );
        }
        assert_eq!(fault(&frame(0x88, b"\x03")), Some(Close::Protocol));
        assert_eq!(fault(&frame(0x88, b"\x03\xe8\xff")), Some(Close::NotUtf8));
    }

    #[test]
    fn after_a_no_nothing_more_is_read_or_held() {
        let mut bytes = [frame(0x81, b"a"), frame(0x81, b"b"), frame(0xff, b"")].concat();
        let mut partial = None;
        let mut events = 0;
        let result = read(&mut partial, &mut bytes, MAX, |_| {
            events += 1;
            false
        });
        assert_eq!((result, events), (Ok(()), 1));
        assert!(partial.is_none());
    }

    #[test]
    fn the_key_of_rfc_6455_1_3_is_accepted_with_its_answer() {
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
