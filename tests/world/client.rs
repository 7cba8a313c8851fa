//! A client: it says whatever a test lets it say, and believes nothing that it hears.
//!
//! Answers and frames are read by hand and strictly: what RFC 6455 does not allow a server to send fails the test.

use std::time::Duration;

use ws4redis::hub::Lost;
use ws4redis::peer::PeerId;
use ws4redis::tick::Tick;

use crate::frames::{self, BINARY, CLOSE, FINAL, PING, PONG, TEXT, frame};

/// One client, with what the kernel holds for it in both directions.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: PeerId,
    /// Sent, and not yet received by the gateway.
    pub(crate) to_hub: Vec<u8>,
    /// Sent by the gateway, and not yet read.
    pub(crate) from_hub: Vec<u8>,
    /// Bytes that the kernel holds for it before the gateway's writes block.
    pub(crate) room: usize,
    /// Does it read?
    pub(crate) reads: bool,
    /// Does it answer pings?
    pub(crate) pongs: bool,
    /// Does it close its side when the gateway has closed its own?
    pub(crate) is_polite: bool,
    /// The gateway found no room, and waits to be told of some.
    pub(crate) is_blocked: bool,
    /// The gateway closed its side.
    pub(crate) is_ended: bool,
    /// How its end of the connection was lost; to be told to the gateway.
    pub(crate) leaving: Option<Lost>,
    /// The gateway knows nothing of it any more.
    pub(crate) is_dropped: bool,
    /// What answered its request.
    pub(crate) answer: Option<Answer>,
    /// How many messages had been published when it read that.
    pub(crate) answered_after: usize,
    /// Everything after the 101.
    pub(crate) heard: Vec<Heard>,
    unread: Vec<u8>,
    said_close: bool,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A frame of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) at: Tick,
    pub(crate) frame: Frame,
}

/// What a server may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl Client {
    pub(crate) fn new(id: PeerId) -> Client {
        Client {
            id,
            to_hub: Vec::new(),
            from_hub: Vec::new(),
            room: usize::MAX,
            reads: true,
            pongs: true,
            is_polite: true,
            is_blocked: false,
            is_ended: false,
            leaving: None,
            is_dropped: false,
            answer: None,
            answered_after: 0,
            heard: Vec::new(),
            unread: Vec::new(),
            said_close: false,
        }
    }

    /// One for whom there was no room: all it gets is an answer.
    pub(crate) fn turned_away(answer: &[u8]) -> Client {
        let nobody = PeerId {
            index: u32::MAX,
            generation: 0,
        };
        Client {
            from_hub: answer.to_vec(),
            is_ended: true,
            is_dropped: true,
            ..Client::new(nobody)
        }
    }

    /// Sends bytes, good or bad.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.to_hub.extend_from_slice(bytes);
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.send(&frame(FINAL | TEXT, text.as_bytes()));
    }

    pub(crate) fn say_binary(&mut self, bytes: &[u8]) {
        self.send(&frame(FINAL | BINARY, bytes));
    }

    pub(crate) fn say_close(&mut self, code: Option<u16>) {
        self.said_close = true;
        match code {
            Some(code) => self.send(&frames::close(code, b"")),
            None => self.send(&frame(FINAL | CLOSE, b"")),
        }
    }

    /// Its connection breaks, with all that was on its way from it.
    pub(crate) fn reset(&mut self) {
        self.to_hub.clear();
        self.leaving = Some(Lost::Failed("connection reset by peer".to_owned()));
    }

    /// Does it have its 101?
    pub(crate) fn is_open(&self) -> bool {
        self.status() == Some(101) && !self.is_dropped && self.close().is_none()
    }

    /// Does it have its 101, and mean to stay?
    pub(crate) fn is_here(&self) -> bool {
        self.is_open() && self.leaving.is_none() && !self.said_close
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.answer.as_ref().map(|answer| answer.status)
    }

    /// The Close frame that it got: code and reason.
    pub(crate) fn close(&self) -> Option<(Option<u16>, &str)> {
        self.heard.iter().find_map(|heard| match &heard.frame {
            Frame::Close(code, reason) => Some((*code, reason.as_str())),
            _ => None,
        })
    }

    /// The messages that it got, as text.
    pub(crate) fn messages(&self) -> Vec<String> {
        let frames = self.heard.iter().map(|heard| &heard.frame);
        frames
            .filter_map(|frame| match frame {
                Frame::Text(text) => Some(text.clone()),
                Frame::Binary(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => None,
            })
            .collect()
    }

    /// When it got frames of a kind.
    pub(crate) fn times(&self, kind: impl Fn(&Frame) -> bool) -> Vec<Tick> {
        let frames = self.heard.iter().filter(|heard| kind(&heard.frame));
        frames.map(|heard| heard.at).collect()
    }

    /// How long a server was silent, at most.
    pub(crate) fn longest_silence(&self, kind: impl Fn(&Frame) -> bool) -> Option<Duration> {
        let times = self.times(kind);
        times.windows(2).map(|pair| pair[1].since(pair[0])).max()
    }

    /// Reads what the kernel holds, and answers what is to be answered.
    pub(crate) fn read(&mut self, now: Tick, n: usize) {
        self.unread.extend(self.from_hub.drain(..n));
        if self.answer.is_none() {
            self.read_answer();
        }
        if self.status() == Some(101) {
            while let Some(frame) = self.read_frame() {
                assert_eq!(self.close(), None, "nothing follows a Close");
                self.answer_frame(&frame);
                self.heard.push(Heard { at: now, frame });
            }
        }
        if self.is_ended && self.from_hub.is_empty() && self.leaving.is_none() {
            assert!(self.unread.is_empty(), "half a frame before the end");
            if self.is_polite {
                self.leaving = Some(Lost::Ended);
            }
        }
    }

    fn read_answer(&mut self) {
        let Some(end) = self.unread.windows(4).position(|end| end == b"\r\n\r\n") else {
            return;
        };
        let head = String::from_utf8(self.unread[..end + 4].to_vec()).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3]
            .parse()
            .unwrap();
        let length = match field(&head, "Content-Length") {
            Some(length) => length.parse().unwrap(),
            None => 0,
        };
        assert_eq!(length == 0, status == 101, "{head}");
        let Some(body) = self.unread.get(end + 4..end + 4 + length) else {
            return;
        };
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.unread.drain(..end + 4 + length);
        assert!(status == 101 || self.unread.is_empty());
        self.answer = Some(Answer { status, head, body });
    }

    fn read_frame(&mut self) -> Option<Frame> {
        let [first, second] = *self.unread.first_chunk()?;
        assert_eq!(first & 0xf0, FINAL, "whole frames, and no RSV bit");
        assert_eq!(second & 0x80, 0, "a server's frames are not masked");
        let (head, length) = match second {
            126 => (
                4,
                u16::from_be_bytes(*self.unread[2..].first_chunk()?).into(),
            ),
            127 => (10, u64::from_be_bytes(*self.unread[2..].first_chunk()?)),
            short => (2, u64::from(short)),
        };
        let least = [0, 126, 0x1_0000][[2, 4, 10].iter().position(|at| *at == head)?];
        assert!(length >= least, "a length as short as it can be");
        let payload = self.unread.get(head..head + length as usize)?.to_vec();
        self.unread.drain(..head + length as usize);
        let opcode = first & 0x0f;
        assert!(opcode < CLOSE || length <= 125, "a control frame is short");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Some(match opcode {
            TEXT => Frame::Text(text(&payload)),
            BINARY => {
                assert!(
                    std::str::from_utf8(&payload).is_err(),
                    "text is sent as text"
                );
                Frame::Binary(payload)
            }
            PING => Frame::Ping,
            PONG => Frame::Pong(payload),
            CLOSE => match payload.split_first_chunk() {
                Some((code, reason)) => Frame::Close(Some(u16::from_be_bytes(*code)), text(reason)),
                None => Frame::Close(None, text(&payload)),
            },
            _ => panic!("opcode {opcode}"),
        })
    }

    fn answer_frame(&mut self, frame: &Frame) {
        match frame {
            Frame::Ping if self.pongs => self.send(&frames::frame(FINAL | PONG, b"")),
            Frame::Close(code, _) if self.is_polite && !self.said_close => self.say_close(*code),
            _ => {}
        }
    }
}

/// The value of a header field.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// A request, right unless a test makes it wrong.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    line: String,
    fields: Vec<(String, String)>,
}

impl Request {
    /// A handshake.
    pub(crate) fn to(target: &str) -> Request {
        let fields = [
            ("Host", "example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        Request {
            line: format!("GET {target} HTTP/1.1"),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    /// With this request line.
    pub(crate) fn line(mut self, line: &str) -> Request {
        line.clone_into(&mut self.line);
        self
    }

    /// With this field more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Request {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With cookies, from a page of the same host.
    pub(crate) fn cookie(self, cookie: &str) -> Request {
        self.with("Cookie", cookie)
            .with("Origin", "https://example.com")
    }

    /// Without this field.
    pub(crate) fn without(mut self, name: &str) -> Request {
        self.fields.retain(|(field, _)| field != name);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let fields = self.fields.iter();
        let fields: Vec<_> = fields
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!("{}\r\n{}\r\n", self.line, fields.concat()).into_bytes()
    }
}
