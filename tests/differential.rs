//! Our message layer against tungstenite's own, on random frames in random pieces: the same messages, and the
//! same verdict on what is broken.
//!
//! Known and wanted differences:
//! - A length that is not written as short as it can be: tungstenite reads it, we answer 1002 (RFC 6455 5.2).
//! - Close code 1014, which the IANA registry allows: tungstenite answers 1002, we take it.
//! - Time: tungstenite judges a frame when it is whole, we its header before its payload and its text byte by
//!   byte. So the streams compared here end with whole frames, and a broken one has one fault.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};
use ws4redis::close::Close;
use ws4redis::wire::ws;

use crate::frames::{self, BINARY, CLOSE, CONTINUATION, FINAL, PING, PONG, RSV1, TEXT};

const MESSAGE_BYTES_MAX: usize = 1_000;

#[test]
fn good_streams_give_the_same_messages() {
    for seed in 0..2_000 {
        let mut client = Client::new(seed);
        client.talk();
        let pieces = client.pieces();
        let (ours, oracle) = (ours(&pieces), oracle(&pieces));
        assert_eq!(ours, oracle, "seed {seed}");
        assert_eq!(ours.fault, None, "seed {seed}");
    }
}

#[test]
fn broken_streams_give_the_same_messages_and_the_same_verdict() {
    let mut verdicts = [0; 3];
    for seed in 0..4_000 {
        let mut client = Client::new(seed);
        client.talk();
        client.break_a_rule();
        client.talk();
        let pieces = client.pieces();
        let (ours, oracle) = (ours(&pieces), oracle(&pieces));
        assert_eq!(ours, oracle, "seed {seed}");
        match ours.fault {
            Some(Close::Protocol) => verdicts[0] += 1,
            Some(Close::NotUtf8) => verdicts[1] += 1,
            Some(Close::TooBig) => verdicts[2] += 1,
            // The client may have said goodbye before it broke a rule.
            other => assert!(
                other.is_none() && ours.said_goodbye(),
                "seed {seed}: {other:?}"
            ),
        }
    }
    assert!(verdicts.iter().all(|&count| count > 200), "{verdicts:?}");
}

#[test]
fn flipped_bits_never_make_us_say_what_tungstenite_does_not() {
    let mut faults = 0;
    for seed in 0..4_000 {
        let mut client = Client::new(seed);
        client.talk();
        for _ in 0..client.random.usize(1..4) {
            let at = client.random.usize(..client.bytes.len());
            client.bytes[at] ^= 1 << client.random.u8(..8);
        }
        let pieces = client.pieces();
        let (ours, oracle) = (ours(&pieces), oracle(&pieces));
        match ours.fault {
            // Later than us, or never, as its frame never became whole; but what was said before is the same.
            Some(_) => {
                faults += 1;
                assert!(oracle.events.starts_with(&ours.events), "seed {seed}");
            }
            None if ours
                .events
                .last()
                .is_some_and(|last| last == "Close(Some(1014))") => {}
            None => assert_eq!(ours, oracle, "seed {seed}"),
        }
    }
    assert!(faults > 500, "{faults}");
}

#[test]
fn the_known_differences_are_these() {
    let not_minimal = [vec![FINAL | BINARY, 0xfe, 0, 1, 0, 0, 0, 0, 9]];
    assert_eq!(oracle(&not_minimal).events, ["Binary([9])"]);
    assert_eq!(ours(&not_minimal).fault, Some(Close::Protocol));
    let bad_gateway = [frames::close(1014, b"")];
    assert_eq!(oracle(&bad_gateway).fault, Some(Close::Protocol));
    assert_eq!(ours(&bad_gateway).events, ["Close(Some(1014))"]);
    let only_a_header = [frames::header(FINAL | RSV1 | TEXT, 5)];
    assert_eq!(oracle(&only_a_header).fault, None);
    assert_eq!(ours(&only_a_header).fault, Some(Close::Protocol));
}

/// What was read of a stream.
#[derive(Debug, PartialEq)]
struct Said {
    events: Vec<String>,
    fault: Option<Close>,
}

impl Said {
    fn said_goodbye(&self) -> bool {
        self.events
            .last()
            .is_some_and(|last| last.starts_with("Close"))
    }
}

fn ours(pieces: &[Vec<u8>]) -> Said {
    let mut partial = None;
    let mut events = Vec::new();
    for piece in pieces {
        let mut open = true;
        let read = ws::read(
            &mut partial,
            &mut piece.clone(),
            MESSAGE_BYTES_MAX,
            |event| {
                open = !matches!(event, ws::Event::Close(_));
                events.push(format!("{event:?}"));
                true
            },
        );
        if read.is_err() || !open {
            return Said {
                events,
                fault: read.err(),
            };
        }
    }
    Said {
        events,
        fault: None,
    }
}

fn oracle(pieces: &[Vec<u8>]) -> Said {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(4_096);
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut pipe = Pipe(
        pieces
            .iter()
            .filter(|piece| !piece.is_empty())
            .cloned()
            .collect(),
    );
    let mut events = Vec::new();
    let fault = loop {
        match context.read(&mut pipe) {
            Ok(Message::Text(text)) => events.push(format!("Text({:?})", text.as_str())),
            Ok(Message::Binary(bytes)) => events.push(format!("Binary({:?})", &bytes[..])),
            Ok(Message::Ping(bytes)) => events.push(format!("Ping({:?})", &bytes[..])),
            Ok(Message::Pong(_)) => events.push("Pong".into()),
            // Its way to report a forbidden code.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                break Some(Close::Protocol);
            }
            Ok(Message::Close(frame)) => {
                let code = frame.map(|frame| u16::from(frame.code));
                events.push(format!("Close({code:?})"));
                break None;
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break None,
            Err(Error::Protocol(_)) => break Some(Close::Protocol),
            Err(Error::Utf8(_)) => break Some(Close::NotUtf8),
            Err(Error::Capacity(_)) => break Some(Close::TooBig),
            other => {
                events.push(format!("{other:?}"));
                break None;
            }
        }
    };
    Said { events, fault }
}

/// A socket that gives one piece a read, then has nothing more, and takes everything.
struct Pipe(VecDeque<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.front_mut() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        piece.drain(..length);
        if piece.is_empty() {
            self.0.pop_front();
        }
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client that sends random frames.
struct Client {
    random: fastrand::Rng,
    bytes: Vec<u8>,
}

impl Client {
    fn new(seed: u64) -> Client {
        Client {
            random: fastrand::Rng::with_seed(seed),
            bytes: Vec::new(),
        }
    }

    /// Says a few things, all of them allowed, and now and then goodbye.
    fn talk(&mut self) {
        for _ in 0..self.random.usize(1..8) {
            match self.random.u8(..20) {
                0..6 => self.whole(),
                6..12 => self.fragments(),
                12..19 => self.control(),
                _ => self.goodbye(),
            }
        }
    }

    fn whole(&mut self) {
        let (opcode, payload) = self.message();
        self.bytes.extend(frames::frame(FINAL | opcode, &payload));
    }

    fn fragments(&mut self) {
        let (mut opcode, payload) = self.message();
        let mut rest = &payload[..];
        for _ in 0..self.random.usize(1..4) {
            let (piece, after) = rest.split_at(self.random.usize(..=rest.len()));
            self.bytes.extend(frames::frame(opcode, piece));
            if self.random.bool() {
                self.control();
            }
            opcode = CONTINUATION;
            rest = after;
        }
        self.bytes.extend(frames::frame(FINAL | CONTINUATION, rest));
    }

    fn control(&mut self) {
        let opcode = if self.random.bool() { PING } else { PONG };
        let payload = self.some_bytes(0..=125);
        self.bytes.extend(frames::frame(FINAL | opcode, &payload));
    }

    fn goodbye(&mut self) {
        let code = [1000, 1001, 1007, 1011, 1013, 3000, 4999][self.random.usize(..7)];
        let goodbye = match self.random.bool() {
            true => frames::frame(FINAL | CLOSE, b""),
            false => frames::close(code, "tschüß".as_bytes()),
        };
        self.bytes.extend(goodbye);
    }

    /// Breaks one rule, with a frame that is whole.
    fn break_a_rule(&mut self) {
        let some = self.some_bytes(0..=125);
        let rsv = [0x40, 0x20, 0x10, 0x70][self.random.usize(..4)];
        let data = if self.random.bool() { TEXT } else { BINARY };
        let reserved = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15][self.random.usize(..10)];
        let control = [CLOSE, PING, PONG][self.random.usize(..3)];
        let broken = match self.random.u8(..16) {
            0 => frames::unmasked(FINAL | BINARY, &some),
            1 => frames::frame(FINAL | rsv | data, b"abc"),
            2 => frames::frame(FINAL | reserved, &some),
            3 => frames::frame(control, b""),
            4 => frames::frame(FINAL | control, &self.some_bytes(126..=200)),
            5 => frames::frame(FINAL | CONTINUATION, &some),
            6 => [
                frames::frame(data, b"abc"),
                frames::frame(FINAL | data, b"abc"),
            ]
            .concat(),
            7 => frames::frame(FINAL | CLOSE, b"\x03"),
            8 => frames::close(
                [0, 999, 1004, 1005, 1006, 1015, 2000, 5000][self.random.usize(..8)],
                b"",
            ),
            9 => frames::close(1000, &self.not_text()),
            10 | 11 => frames::frame(FINAL | TEXT, &self.not_text()),
            12 | 13 => {
                let text = self.not_text();
                let (front, back) = text.split_at(self.random.usize(..=text.len()));
                [frames::frame(TEXT, front), frames::frame(FINAL, back)].concat()
            }
            14 => frames::frame(FINAL | data, &[b'x'; MESSAGE_BYTES_MAX + 1]),
            _ => [
                frames::frame(data, &[b'x'; 600]),
                frames::frame(FINAL, &[b'x'; 401]),
            ]
            .concat(),
        };
        self.bytes.extend(broken);
    }

    fn message(&mut self) -> (u8, Vec<u8>) {
        match self.random.bool() {
            true => (TEXT, self.text().into_bytes()),
            false => (BINARY, self.some_bytes(0..=MESSAGE_BYTES_MAX)),
        }
    }

    fn text(&mut self) -> String {
        let length = self.random.usize(..MESSAGE_BYTES_MAX / 4);
        (0..length)
            .map(|_| match self.random.u8(..4) {
                0 => self.random.char('\u{80}'..),
                _ => self.random.char('\0'..'\u{80}'),
            })
            .collect()
    }

    /// A short text with one fault: a byte is lost, or another one.
    fn not_text(&mut self) -> Vec<u8> {
        let text: String = (0..20).map(|_| self.random.char('\u{80}'..)).collect();
        let mut bytes = text.into_bytes();
        loop {
            let at = self.random.usize(..bytes.len());
            match self.random.bool() {
                true => drop(bytes.remove(at)),
                false => bytes[at] = self.random.u8(..),
            }
            if str::from_utf8(&bytes).is_err() {
                return bytes;
            }
        }
    }

    fn some_bytes(&mut self, lengths: std::ops::RangeInclusive<usize>) -> Vec<u8> {
        let length = self.random.usize(lengths);
        (0..length).map(|_| self.random.u8(..)).collect()
    }

    fn pieces(&mut self) -> Vec<Vec<u8>> {
        let longest = [1, 10, 100, 10_000][self.random.usize(..4)];
        let mut pieces = Vec::new();
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.random.usize(1..=rest.len().min(longest)));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces
    }
}
