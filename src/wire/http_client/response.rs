//! A response, as it arrives.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::chunked::{Chunks, Progress};
use crate::limits::HEAD_FIELDS_MAX;

/// What a response may take.
#[derive(Debug, Clone, Copy)]
pub struct ResponseLimits {
    /// Bytes of its head, those of the interim ones before it included.
    pub head_bytes_max: usize,
    /// Bytes of its body.
    pub body_bytes_max: usize,
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body, out of its coding.
    pub body: Vec<u8>,
    /// May the connection be used again?
    pub reusable: bool,
}

/// Why a response cannot be read: the server's fault. Its connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Against the grammar.
    #[error("it is no HTTP/1.1 response: {0}")]
    Syntax(&'static str),
    /// Its length is stated in two ways, or in none that we know (RFC 9112 6.3).
    #[error("its length is in doubt: {0}")]
    Framing(&'static str),
    /// Over the limit in bytes or in fields.
    #[error("its head is too long")]
    HeadTooLong,
    /// Over the limit.
    #[error("its body is too long")]
    BodyTooLong,
    /// The connection ended within it.
    #[error("it ends in the middle")]
    Truncated,
    /// Bytes follow that nobody asked for.
    #[error("more came than was asked for")]
    Unasked,
}

/// Reads one response, in whatever pieces it comes.
#[derive(Debug)]
pub struct ResponseReader {
    limits: ResponseLimits,
    state: State,
}

#[derive(Debug)]
enum State {
    Head {
        bytes: Vec<u8>,
        /// How long it may be, after the interim ones before it.
        bytes_max: usize,
    },
    Body {
        head: Final,
        body: Vec<u8>,
        rest: Rest,
    },
    Done,
}

/// What a final head says.
#[derive(Debug, Clone, Copy)]
struct Final {
    status: u16,
    reusable: bool,
    is_json: bool,
}

/// How to tell where the body ends.
#[derive(Debug)]
enum Rest {
    /// After so many bytes more.
    Sized(usize),
    Chunked(Chunks),
    /// With the connection.
    UntilClose,
    /// Over the limit, and the head says so.
    TooLong,
}

enum Parsed {
    Interim,
    Final(Final, Rest),
}

impl ResponseReader {
    /// For one response.
    pub fn new(limits: ResponseLimits) -> ResponseReader {
        ResponseReader {
            limits,
            state: State::Head {
                bytes: Vec::new(),
                bytes_max: limits.head_bytes_max,
            },
        }
    }

    /// Takes what came; gives the response once it is whole. If more came than belongs to it, it is not
    /// `reusable`.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Response>, Malformed> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Head { .. } => {
                    if !self.feed_head(&mut bytes)? {
                        return Ok(None);
                    }
                }
                State::Body { .. } => {}
                State::Done => return Err(Malformed::Unasked),
            }
            // At once behind a head, too: it may have no body, or one that is too long from the start.
            if let State::Body { body, rest, .. } = &mut self.state
                && feed_body(&mut bytes, body, rest, self.limits.body_bytes_max)? == Progress::Ended
            {
                return Ok(self.finish(!bytes.is_empty()));
            }
        }
        Ok(None)
    }

    /// The server closed the connection in good order.
    pub fn ended(&mut self) -> Result<Response, Malformed> {
        match &self.state {
            // A server that died behind its head closes like one that had nothing to say. If it announced JSON
            // it had.
            State::Body {
                rest: Rest::UntilClose,
                head,
                body,
            } if !(head.is_json && body.is_empty()) => {
                self.finish(false).ok_or(Malformed::Truncated)
            }
            _ => Err(Malformed::Truncated),
        }
    }

    /// The status, once the head has come.
    pub fn status(&self) -> Option<u16> {
        match &self.state {
            State::Body { head, .. } => Some(head.status),
            State::Head { .. } | State::Done => None,
        }
    }

    /// Has nothing come yet?
    pub fn is_untouched(&self) -> bool {
        matches!(&self.state, State::Head { bytes, bytes_max }
            if bytes.is_empty() && *bytes_max == self.limits.head_bytes_max)
    }

    /// Takes from `bytes` what belongs to the head; is it whole?
    fn feed_head(&mut self, bytes: &mut &[u8]) -> Result<bool, Malformed> {
        let State::Head {
            bytes: head,
            bytes_max,
        } = &mut self.state
        else {
            return Ok(true);
        };
        let before = head.len();
        // Nobody looks behind the limit, so the cuts make no difference to what is refused.
        let (within, beyond) = bytes.split_at(bytes.len().min(*bytes_max - before));
        head.extend_from_slice(within);
        let Some((parsed, length)) = parse(head, self.limits)? else {
            if !beyond.is_empty() {
                return Err(Malformed::HeadTooLong);
            }
            *bytes = beyond;
            return Ok(false);
        };
        *bytes = bytes.get(length - before..).unwrap_or_default();
        self.state = match parsed {
            Parsed::Interim => State::Head {
                bytes: Vec::new(),
                bytes_max: *bytes_max - length,
            },
            Parsed::Final(head, rest) => State::Body {
                head,
                body: Vec::new(),
                rest,
            },
        };
        Ok(true)
    }

    fn finish(&mut self, more_came: bool) -> Option<Response> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Body { head, body, .. } => Some(Response {
                status: head.status,
                body,
                reusable: head.reusable && !more_came,
            }),
            _ => None,
        }
    }
}

fn feed_body(
    bytes: &mut &[u8],
    body: &mut Vec<u8>,
    rest: &mut Rest,
    bytes_max: usize,
) -> Result<Progress, Malformed> {
    match rest {
        Rest::Sized(left) => {
            let (data, beyond) = bytes.split_at(bytes.len().min(*left));
            body.extend_from_slice(data);
            *bytes = beyond;
            *left -= data.len();
            Ok(match left {
                0 => Progress::Ended,
                _ => Progress::More,
            })
        }
        Rest::TooLong => Err(Malformed::BodyTooLong),
        Rest::Chunked(chunks) => chunks.feed(bytes, body, bytes_max),
        Rest::UntilClose => {
            if bytes.len() > bytes_max - body.len() {
                return Err(Malformed::BodyTooLong);
            }
            body.extend_from_slice(bytes);
            *bytes = &[];
            Ok(Progress::More)
        }
    }
}

/// Reads a head from the front of `bytes`: what it says, and its length.
fn parse(bytes: &[u8], limits: ResponseLimits) -> Result<Option<(Parsed, usize)>, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; HEAD_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    // The default configuration: no folded lines, no blank before a colon.
    let read = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        &mut fields,
    );
    let length = match read {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::HeadTooLong),
        Err(_) => return Err(Malformed::Syntax("its head is malformed")),
    };
    let (Some(minor), Some(status)) = (response.version, response.code) else {
        return Err(Malformed::Syntax("its head is malformed"));
    };
    let parsed = match status {
        101 => return Err(Malformed::Syntax("it changes the protocol")),
        100..=199 => Parsed::Interim,
        _ => final_head(status, minor, response.headers, limits)?,
    };
    Ok(Some((parsed, length)))
}

fn final_head(
    status: u16,
    minor: u8,
    fields: &[Header<'_>],
    limits: ResponseLimits,
) -> Result<Parsed, Malformed> {
    let framing = framing(fields, minor, limits)?;
    let (rest, is_settled) = match (status, framing) {
        // RFC 9112 6.3: these have no body whatever their fields say. One that says otherwise is not to be
        // trusted with another call.
        (204 | 304, framing) => (
            Rest::Sized(0),
            matches!(framing, Rest::UntilClose | Rest::Sized(0)),
        ),
        (_, Rest::UntilClose) => (Rest::UntilClose, false),
        (_, framing) => (framing, true),
    };
    let closes = list(fields, "connection").any(|word| word.eq_ignore_ascii_case(b"close"));
    let head = Final {
        status,
        reusable: is_settled && minor == 1 && !closes,
        is_json: values(fields, "content-type").any(is_json),
    };
    Ok(Parsed::Final(head, rest))
}

/// RFC 9112 6.3, without its lenience.
fn framing(fields: &[Header<'_>], minor: u8, limits: ResponseLimits) -> Result<Rest, Malformed> {
    let mut lengths = values(fields, "content-length");
    let mut codings = values(fields, "transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Rest::UntilClose),
        (Some(_), Some(_)) => Err(Malformed::Framing("it has a length and a transfer coding")),
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(Malformed::Framing("it has two lengths"));
            }
            if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
                return Err(Malformed::Framing("its length is no number"));
            }
            // What does not fit a usize is a number all the same.
            let length = str::from_utf8(length)
                .ok()
                .and_then(|text| text.parse().ok());
            Ok(match length {
                Some(length) if length <= limits.body_bytes_max => Rest::Sized(length),
                _ => Rest::TooLong,
            })
        }
        (None, Some(coding)) => {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            // RFC 9112 6.1: to a reader of HTTP/1.0 the coding would be data.
            if !is_chunked || minor != 1 {
                return Err(Malformed::Framing("its transfer coding is not chunked"));
            }
            let framing_bytes_max = limits.head_bytes_max + limits.body_bytes_max;
            Ok(Rest::Chunked(Chunks::new(framing_bytes_max)))
        }
    }
}

fn is_json(content_type: &[u8]) -> bool {
    content_type
        .get(..16)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"application/json"))
}

fn values<'a>(fields: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| field.value)
}

/// The elements of a list field (RFC 9110 5.6.1).
fn list<'a>(fields: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    values(fields, name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ResponseLimits = ResponseLimits {
        head_bytes_max: 400,
        body_bytes_max: 100,
    };

    fn read(bytes: &[u8]) -> Result<Option<Response>, Malformed> {
        ResponseReader::new(LIMITS).feed(bytes)
    }

    fn response(status: u16, body: &str, reusable: bool) -> Result<Option<Response>, Malformed> {
        Ok(Some(Response {
            status,
            body: body.into(),
            reusable,
        }))
    }

    #[test]
    fn a_response_ends_where_its_length_says() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(read(whole), response(200, "abc", true));
        assert_eq!(
            read(&[&whole[..], b"d"].concat()),
            response(200, "abc", false)
        );
        assert_eq!(read(&whole[..whole.len() - 1]), Ok(None));
        let none = b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n";
        assert_eq!(read(none), response(200, "", true));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(read(chunked), response(200, "abc", true));
    }

    #[test]
    fn interim_responses_are_skipped_within_the_bound_of_the_head() {
        let end = "HTTP/1.1 204 No Content\r\n\r\n";
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let read_after = |n: usize| read(format!("{}{end}", early.repeat(n)).as_bytes());
        assert_eq!(read_after(3), response(204, "", true));
        assert_eq!(read_after(20), Err(Malformed::HeadTooLong));
        let switch = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        assert!(matches!(read(switch), Err(Malformed::Syntax(_))));
    }

    #[test]
    fn what_can_have_no_body_ends_with_its_head() {
        for status in [204, 304] {
            for (fields, reusable) in [
                ("", true),
                ("Content-Length: 0\r\n", true),
                ("Content-Length: 5\r\n", false),
                ("Transfer-Encoding: chunked\r\n", false),
            ] {
                let head = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
                assert_eq!(
                    read(head.as_bytes()),
                    response(status, "", reusable),
                    "{head}"
                );
            }
        }
    }

    #[test]
    fn a_connection_is_used_again_only_if_both_sides_can_know_that_it_may_be() {
        for (start, fields, reusable) in [
            ("HTTP/1.1", "", true),
            ("HTTP/1.1", "Connection: keep-alive\r\n", true),
            ("HTTP/1.1", "Connection: Close\r\n", false),
            (
                "HTTP/1.1",
                "Connection: x\r\nConnection: y, close\r\n",
                false,
            ),
            ("HTTP/1.0", "", false),
        ] {
            let bytes = format!("{start} 200 OK\r\nContent-Length: 1\r\n{fields}\r\na");
            assert_eq!(
                read(bytes.as_bytes()),
                response(200, "a", reusable),
                "{bytes}"
            );
        }
    }

    #[test]
    fn a_response_without_a_length_ends_with_the_connection() {
        let mut reader = ResponseReader::new(LIMITS);
        assert!(reader.is_untouched());
        assert_eq!(reader.feed(b"HTTP/1.0 200 OK\r\n\r\nab"), Ok(None));
        assert_eq!(reader.status(), Some(200));
        assert!(!reader.is_untouched());
        assert_eq!(reader.feed(b"c"), Ok(None));
        assert_eq!(reader.ended().map(Some), response(200, "abc", false));
        let cut_short = |bytes: &[u8]| {
            let mut reader = ResponseReader::new(LIMITS);
            assert_eq!(reader.feed(bytes), Ok(None));
            reader.ended()
        };
        assert_eq!(
            cut_short(b"HTTP/1.1 200 OK\r\n\r\n").map(Some),
            response(200, "", false)
        );
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n",
        ] {
            assert_eq!(
                cut_short(bytes),
                Err(Malformed::Truncated),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_response_whose_length_two_readers_could_see_differently_is_refused() {
        for fields in [
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3\r\ncontent-length: 4",
            "Content-Length: 3, 3",
            "Content-Length: +3",
            "Content-Length: -3",
            "Content-Length: 3 3",
            "Content-Length: 0x3",
            "Content-Length:",
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding:",
        ] {
            for status in [200, 204, 403] {
                let head = format!("HTTP/1.1 {status} OK\r\n{fields}\r\n\r\n");
                let read = read(head.as_bytes());
                assert!(
                    matches!(read, Err(Malformed::Framing(_))),
                    "{head}: {read:?}"
                );
            }
        }
        let old = read(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(matches!(old, Err(Malformed::Framing(_))));
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
            b"\x15\x03\x01\x00\x02\x02",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.2 200 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\rX\r\n\r\n",
            &[0; 10],
        ] {
            let read = read(bytes);
            assert!(
                matches!(read, Err(Malformed::Syntax(_))),
                "{}: {read:?}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_response_over_a_limit_is_refused_as_soon_as_that_is_known() {
        for (bytes, fault) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\na".to_owned(),
                Malformed::BodyTooLong,
            ),
            (
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\na",
                    "9".repeat(40)
                ),
                Malformed::BodyTooLong,
            ),
            (
                format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(101)),
                Malformed::BodyTooLong,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n".to_owned(),
                Malformed::BodyTooLong,
            ),
            (
                format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(400)),
                Malformed::HeadTooLong,
            ),
            (
                format!("HTTP/1.1 200 OK\r\n{}\r\n", "A:\r\n".repeat(65)),
                Malformed::HeadTooLong,
            ),
        ] {
            assert_eq!(read(bytes.as_bytes()), Err(fault), "{bytes}");
        }
        // The status is known all the same: a refusal with a long page is still a refusal.
        let mut reader = ResponseReader::new(LIMITS);
        let refused = reader.feed(b"HTTP/1.1 403 No\r\nContent-Length: 101\r\n\r\na");
        assert_eq!(refused, Err(Malformed::BodyTooLong));
        assert_eq!(reader.status(), Some(403));
    }

    #[test]
    fn nothing_may_follow_a_response() {
        let mut reader = ResponseReader::new(LIMITS);
        reader.feed(b"HTTP/1.1 204 X\r\n\r\n").unwrap();
        assert_eq!(reader.feed(b"H"), Err(Malformed::Unasked));
        assert_eq!(reader.ended(), Err(Malformed::Truncated));
    }
}
