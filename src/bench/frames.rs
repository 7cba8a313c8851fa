//! What a server sends: frames without a mask (RFC 6455 5.1), as they come in pieces.
//!
//! Not `wire::ws`, which reads what clients send: that is strict about each byte and unmasks. This one has to cost
//! less than the gateway that it measures.

/// What comes, in whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Ping,
    Pong,
    Close,
}

/// Why a server's bytes are not frames that a client may take (RFC 6455 5.2, 5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a frame is compressed (RSV1), which nobody asked for")]
    Compressed,
    #[error("a frame has a reserved bit or opcode")]
    Reserved,
    #[error("a frame is masked, which only a client's are")]
    Masked,
    #[error("a control frame is in fragments or over 125 bytes")]
    Control,
    #[error("a fragment belongs to no message, or a message begins within another one")]
    Fragment,
    #[error("a message is over {MESSAGE_BYTES_MAX} bytes")]
    Length,
}

const MESSAGE_BYTES_MAX: usize = 2 << 20;
const CONTROL_BYTES_MAX: usize = 125;

/// What is held of one connection between two reads.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// A frame that is not whole.
    held: Vec<u8>,
    /// A message of which not all fragments have come.
    begun: Option<Vec<u8>>,
}

/// The first two bytes of a frame and its length: what it is, and where in it the payload is.
struct Header {
    opcode: Opcode,
    is_final: bool,
    from: usize,
    to: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Opcode {
    More,
    Whole(Kind),
}

impl Inbox {
    /// Hands everything on that is whole by now.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        mut hand: impl FnMut(Kind, &[u8]),
    ) -> Result<(), Fault> {
        let Inbox { held, begun } = self;
        if held.is_empty() {
            let used = consume(bytes, begun, &mut hand)?;
            held.extend_from_slice(bytes.get(used..).unwrap_or_default());
            return Ok(());
        }
        held.extend_from_slice(bytes);
        let used = consume(held, begun, &mut hand)?;
        held.drain(..used);
        if held.is_empty() {
            // Ten thousand connections that each keep room for a frame would be most of our memory.
            *held = Vec::new();
        }
        Ok(())
    }
}

/// How many bytes were whole frames.
fn consume(
    bytes: &[u8],
    begun: &mut Option<Vec<u8>>,
    hand: &mut impl FnMut(Kind, &[u8]),
) -> Result<usize, Fault> {
    let mut used = 0;
    while let Some(header) = header(bytes.get(used..).unwrap_or_default())? {
        let Some(payload) = bytes.get(used + header.from..used + header.to) else {
            break;
        };
        used += header.to;
        match (header.opcode, header.is_final, begun.as_mut()) {
            (Opcode::Whole(Kind::Message), true, None) => hand(Kind::Message, payload),
            (Opcode::Whole(Kind::Message), false, None) => *begun = Some(payload.to_vec()),
            (Opcode::More, is_final, Some(message)) => {
                if message.len() + payload.len() > MESSAGE_BYTES_MAX {
                    return Err(Fault::Length);
                }
                message.extend_from_slice(payload);
                if is_final {
                    hand(Kind::Message, message);
                    *begun = None;
                }
            }
            (Opcode::Whole(Kind::Message), ..) | (Opcode::More, ..) => return Err(Fault::Fragment),
            (Opcode::Whole(control), ..) => hand(control, payload),
        }
    }
    Ok(used)
}

/// `None` if it is not whole.
fn header(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    let opcode = match first & 0x7f {
        0x0 => Opcode::More,
        0x1 | 0x2 => Opcode::Whole(Kind::Message),
        0x8 => Opcode::Whole(Kind::Close),
        0x9 => Opcode::Whole(Kind::Ping),
        0xa => Opcode::Whole(Kind::Pong),
        0x40.. => return Err(Fault::Compressed),
        _ => return Err(Fault::Reserved),
    };
    let is_final = first & 0x80 != 0;
    let (from, length) = match (second, rest) {
        (0..126, _) => (2, u64::from(second)),
        (126, &[a, b, ..]) => (4, u64::from(u16::from_be_bytes([a, b]))),
        (127, &[a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        (126 | 127, _) => return Ok(None),
        _ => return Err(Fault::Masked),
    };
    let length = usize::try_from(length).map_err(|_| Fault::Length)?;
    if length > MESSAGE_BYTES_MAX {
        return Err(Fault::Length);
    }
    let is_control = !matches!(opcode, Opcode::More | Opcode::Whole(Kind::Message));
    if is_control && (!is_final || length > CONTROL_BYTES_MAX) {
        return Err(Fault::Control);
    }
    Ok(Some(Header {
        opcode,
        is_final,
        from,
        to: from + length,
    }))
}

/// What a Close says (RFC 6455 5.5.1): its code, and its reason, which must not move the cursor.
pub(super) fn close_in_words(payload: &[u8]) -> String {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return "the gateway closed the connection, without a code".to_owned();
    };
    let code = u16::from_be_bytes(*code);
    let reason = String::from_utf8_lossy(reason);
    let reason: String = reason.chars().filter(|c| !c.is_control()).collect();
    match reason.as_str() {
        "" => format!("the gateway closed the connection with {code}"),
        reason => format!("the gateway closed the connection with {code} ({reason})"),
    }
}

/// Appends a client's frame. The mask is zero: RFC 6455 5.3 wants an unpredictable one to protect proxies from
/// what pages send, and here there is neither.
pub(super) fn masked(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<(Kind, Vec<u8>)>, Fault> {
        let (mut inbox, mut frames) = (Inbox::default(), Vec::new());
        for piece in pieces {
            inbox.take(piece, |kind, payload| frames.push((kind, payload.to_vec())))?;
        }
        assert!(inbox.held.is_empty());
        Ok(frames)
    }

    #[test]
    fn frames_are_read_whole_and_at_every_cut() {
        let long = crate::wire::ws::message(&[b'x'; 300]);
        let huge = crate::wire::ws::message(&[b'y'; 70_000]);
        let all = [
            &crate::wire::ws::message(b"hi")[..],
            // A message in three fragments, and a ping between them (RFC 6455 5.4).
            b"\x01\x02ab\x00\x01c\x89\x02!!\x80\x02de",
            &long,
            &huge,
            &crate::wire::ws::ping(),
        ]
        .concat();
        let whole = read(&[&all]).unwrap();
        assert_eq!(whole.len(), 6);
        assert_eq!(whole[1], (Kind::Ping, b"!!".to_vec()));
        assert_eq!(whole[2], (Kind::Message, b"abcde".to_vec()));
        assert_eq!(whole[3].1.len(), 300);
        for cut in (0..400).chain(all.len() - 8..all.len()) {
            assert_eq!(
                read(&[&all[..cut], &all[cut..]]).unwrap(),
                whole,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn what_a_server_may_not_send_is_called_what_it_is() {
        let half = [0x01, 127, 0, 0, 0, 0, 0, 16, 0, 0];
        let half = [&half[..], &vec![b'a'; 1 << 20]].concat();
        let rest = [&[0x80], &half[1..]].concat();
        for (bytes, fault) in [
            (&[0x81, 0x80, 0, 0, 0, 0][..], Fault::Masked),
            (&[0xc1, 0], Fault::Compressed),
            (&[0xa1, 0], Fault::Reserved),
            (&[0x83, 0], Fault::Reserved),
            (&[0x09, 0], Fault::Control),
            (&[0x89, 126, 0, 126], Fault::Control),
            (&[0x80, 0], Fault::Fragment),
            (&[0x01, 0, 0x81, 0], Fault::Fragment),
            (&[0x82, 127, 0x7f, 0, 0, 0, 0, 0, 0, 0], Fault::Length),
            (&[&half[..], &[0, 1, b'b'], &rest].concat(), Fault::Length),
        ] {
            assert_eq!(read(&[bytes]), Err(fault));
        }
    }

    #[test]
    fn a_close_is_told_with_its_code_and_a_reason_that_cannot_move_the_cursor() {
        assert!(close_in_words(b"").ends_with("without a code"));
        assert!(close_in_words(b"\x03\xf5slo\x1bw").ends_with("with 1013 (slow)"));
    }
}
