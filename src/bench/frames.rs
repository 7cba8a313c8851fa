//! What a server sends: frames without a mask (RFC 6455 5.1), as they come in pieces.
//!
//! Not `wire::ws`, which reads what clients send: that is strict about each byte and unmasks. This one has to cost
//! less than the gateway that it measures.

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Ping,
    Pong,
    Close,
}

/// Why a server's bytes are not frames that can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a frame is masked, or has a bit or an opcode that nobody asked for")]
    Header,
    #[error("a message is in fragments, which are not measured")]
    Fragment,
    #[error("a frame is over {PAYLOAD_MAX} bytes")]
    Length,
}

const PAYLOAD_MAX: usize = 2 << 20;

/// Hands every whole frame of `held` and then `bytes` on; what is left over is held.
pub(super) fn each(
    held: &mut Vec<u8>,
    bytes: &[u8],
    mut frame: impl FnMut(Kind, &[u8]),
) -> Result<(), Fault> {
    if held.is_empty() {
        let used = consume(bytes, &mut frame)?;
        held.extend_from_slice(bytes.get(used..).unwrap_or_default());
        return Ok(());
    }
    held.extend_from_slice(bytes);
    let used = consume(held, &mut frame)?;
    held.drain(..used);
    if held.is_empty() {
        // Ten thousand connections that each keep room for a frame would be most of our memory.
        *held = Vec::new();
    }
    Ok(())
}

/// How many bytes were whole frames.
fn consume(bytes: &[u8], frame: &mut impl FnMut(Kind, &[u8])) -> Result<usize, Fault> {
    let mut used = 0;
    while let Some((kind, from, to)) = header(bytes.get(used..).unwrap_or_default())? {
        let Some(payload) = bytes.get(used + from..used + to) else {
            break;
        };
        frame(kind, payload);
        used += to;
    }
    Ok(used)
}

/// What the frame is, and where in `bytes` its payload begins and ends; `None` if the header is not whole.
fn header(bytes: &[u8]) -> Result<Option<(Kind, usize, usize)>, Fault> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    let kind = match first {
        0x81 | 0x82 => Kind::Message,
        0x88 => Kind::Close,
        0x89 => Kind::Ping,
        0x8a => Kind::Pong,
        0x00..=0x02 | 0x80 => return Err(Fault::Fragment),
        _ => return Err(Fault::Header),
    };
    let (from, length) = match (second, rest) {
        (0..126, _) => (2, u64::from(second)),
        (126, &[a, b, ..]) => (4, u64::from(u16::from_be_bytes([a, b]))),
        (127, &[a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        (126 | 127, _) => return Ok(None),
        _ => return Err(Fault::Header),
    };
    match usize::try_from(length) {
        Ok(length) if length <= PAYLOAD_MAX => Ok(Some((kind, from, from + length))),
        _ => Err(Fault::Length),
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
        let (mut held, mut frames) = (Vec::new(), Vec::new());
        for piece in pieces {
            each(&mut held, piece, |kind, payload| {
                frames.push((kind, payload.to_vec()))
            })?;
        }
        assert!(held.is_empty());
        Ok(frames)
    }

    #[test]
    fn frames_are_read_whole_and_at_every_cut() {
        let long = crate::wire::ws::message(&[b'x'; 300]);
        let huge = crate::wire::ws::message(&[b'y'; 70_000]);
        let all = [
            &crate::wire::ws::message(b"hi")[..],
            &long,
            &huge,
            &crate::wire::ws::ping(),
        ]
        .concat();
        let whole = read(&[&all]).unwrap();
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[1].1.len(), 300);
        for cut in (0..400).chain(all.len() - 8..all.len()) {
            assert_eq!(
                read(&[&all[..cut], &all[cut..]]).unwrap(),
                whole,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn what_is_no_frame_of_a_server_is_a_fault() {
        assert_eq!(read(&[&[0x81, 0x80, 0, 0, 0, 0]]), Err(Fault::Header));
        assert_eq!(read(&[&[0xc1, 0]]), Err(Fault::Header));
        assert_eq!(read(&[&[0x01, 1, b'a']]), Err(Fault::Fragment));
        assert_eq!(
            read(&[&[0x82, 127, 0x7f, 0, 0, 0, 0, 0, 0, 0]]),
            Err(Fault::Length)
        );
    }
}
