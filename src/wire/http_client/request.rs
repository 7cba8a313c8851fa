//! A GET that carries what a client sent us on to its application.

use std::fmt;

use bytes::Bytes;

use crate::wire::http::{Field, Head};

/// Fields that end with us, lower case.
const KEPT_BACK: &[&str] = &[
    // Of one connection only (RFC 9110 7.6.1); so is whatever `Connection` names besides.
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // About the client's request, where the call is another one: it has its own host and no body, and takes a
    // whole answer or none, as it is (a compressed one, or a 304, would decide nothing).
    "accept-encoding",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    // Ours to say.
    "x-forwarded-host",
    "x-original-uri",
    // Some frameworks let these replace the path: a client would choose which page of the application is asked.
    "x-original-url",
    "x-rewrite-url",
];
const KEPT_BACK_FAMILIES: &[&str] = &["sec-websocket-", "x-ws4redis-"];

/// Fields that tell one request from another but not one person from another, lower case.
const INCIDENTAL: &[&str] = &[
    "accept",
    "accept-language",
    "cache-control",
    "pragma",
    "priority",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-request-id",
];

/// The fields of a client's request that its application may see, as lines. Its `Host` becomes
/// `X-Forwarded-Host`.
pub fn forwardable(head: &Head<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in head.fields() {
        if is_forwardable(name) && !head.has_token("connection", name) {
            push_field(&mut lines, name, value);
        }
    }
    if let Field::Once(host) = head.field("host") {
        push_field(&mut lines, "X-Forwarded-Host", host);
    }
    lines
}

/// A whole request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    bytes: Bytes,
    significant: usize,
}

impl Request {
    /// GET of `path` at `host`, with fields of our own and the lines that [`forwardable`] made. Our own must
    /// hold no control characters.
    pub fn get(host: &str, path: &str, own: &[(&str, &str)], forwarded: &[u8]) -> Request {
        let mut bytes = Vec::with_capacity(256 + forwarded.len());
        for part in ["GET ", path, " HTTP/1.1\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
        push_field(&mut bytes, "Host", host.as_bytes());
        push_field(&mut bytes, "Accept-Encoding", b"identity");
        for (name, value) in own {
            push_field(&mut bytes, name, value.as_bytes());
        }
        // RFC 9110 5.3: the order of fields with different names has no meaning.
        let (incidental, significant): (Vec<&[u8]>, Vec<&[u8]>) = forwarded
            .split_inclusive(|&byte| byte == b'\n')
            .partition(|line| is_incidental(line));
        for line in significant {
            bytes.extend_from_slice(line);
        }
        let significant = bytes.len();
        for line in incidental {
            bytes.extend_from_slice(line);
        }
        bytes.extend_from_slice(b"\r\n");
        Request {
            bytes: bytes.into(),
            significant,
        }
    }

    /// What to send.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The part on which the answer may depend: requests that share it may share the answer. Cookie and
    /// Authorization are in it, and so is every other field that could be a key to something: an application
    /// that goes by an API key or a client certificate must not see two of its users taken for one.
    pub fn significance(&self) -> Bytes {
        self.bytes.slice(..self.significant)
    }
}

/// It holds somebody's cookies, which have no place in a log.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} bytes)", self.bytes.len())
    }
}

fn is_forwardable(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    // CGI, and with it WSGI, writes `X_Forwarded_For` and `X-Forwarded-For` as one name: a client's odd copy
    // would stand beside, or for, the one that a proxy vouches for.
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain
        && !KEPT_BACK.contains(&&*lower)
        && !KEPT_BACK_FAMILIES
            .iter()
            .any(|family| lower.starts_with(family))
}

fn is_incidental(line: &[u8]) -> bool {
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    INCIDENTAL
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn push_field(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        lines.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::with_head;

    fn forwarded(fields: &str) -> String {
        let head = format!(
            "GET /ws/f?a HTTP/1.1\r\nHost: chat.example:8000\r\n{fields}Cookie: a=1\r\n\r\n"
        );
        let lines = with_head(head.as_bytes(), 8 << 10, |head, _| forwardable(head));
        String::from_utf8(lines.unwrap().unwrap()).unwrap()
    }

    /// What is left of any head.
    const LEFT: &str = "Cookie: a=1\r\nX-Forwarded-Host: chat.example:8000\r\n";

    #[test]
    fn a_browsers_fields_go_on_without_those_of_the_connection_and_of_websocket() {
        let browser = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nUser-Agent: x\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Protocol: bearer, t\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
            Accept-Encoding: gzip, br\r\nOrigin: https://chat.example\r\nX-Forwarded-For: 10.0.0.1\r\n";
        assert_eq!(
            forwarded(browser),
            format!(
                "User-Agent: x\r\nOrigin: https://chat.example\r\nX-Forwarded-For: 10.0.0.1\r\n{LEFT}"
            )
        );
    }

    #[test]
    fn no_kept_back_field_is_sent_on_in_any_case() {
        for name in KEPT_BACK {
            // A request that has these is refused before, and Host stands there already.
            if ["content-length", "transfer-encoding", "host"].contains(name) {
                assert!(!is_forwardable(&name.to_ascii_uppercase()));
                continue;
            }
            let upper = name.to_ascii_uppercase();
            assert_eq!(forwarded(&format!("{upper}: 1\r\n")), LEFT, "{name}");
        }
        for name in ["X-WS4Redis-User", "x-ws4redis-new", "SEC-WEBSOCKET-NEW"] {
            assert_eq!(forwarded(&format!("{name}: 1\r\n")), LEFT, "{name}");
        }
    }

    #[test]
    fn what_connection_names_ends_with_us() {
        let fields = "Connection: Upgrade, X-Hop\r\nX-Hop: 1\r\nx-hop: 2\r\nConnection: x-too\r\nX-Too: 3\r\n";
        assert_eq!(forwarded(fields), LEFT);
    }

    #[test]
    fn a_name_that_cgi_would_take_for_another_is_not_sent_on() {
        for name in [
            "X_Ws4redis_Facility",
            "X_Forwarded_For",
            "Cookie_",
            "X.Y",
            "X!Y",
        ] {
            assert_eq!(forwarded(&format!("{name}: 1\r\n")), LEFT, "{name}");
        }
    }

    #[test]
    fn requests_that_could_be_answered_differently_differ_in_significance() {
        let ask = |lines: &str| Request::get("app", "/p", &[("X-A", "1")], lines.as_bytes());
        let one = ask("Cookie: a=1\r\nUser-Agent: x\r\nX-Request-Id: 7\r\n");
        let two = ask("X-Request-Id: 8\r\nCookie: a=1\r\n");
        assert_eq!(one.significance(), two.significance());
        assert_ne!(one, two);
        for other in [
            "Cookie: a=2\r\n",
            "Cookie: a=1\r\nAuthorization: b\r\n",
            "Cookie: a=1\r\nX-Api-Key: k\r\n",
            "Cookie: a=1\r\nX-Forwarded-For: 10.0.0.1\r\n",
            "",
        ] {
            assert_ne!(one.significance(), ask(other).significance(), "{other}");
        }
        let elsewhere = Request::get("app", "/p", &[("X-A", "2")], b"Cookie: a=1\r\n");
        assert_ne!(one.significance(), elsewhere.significance());
    }

    #[test]
    fn a_request_is_one_that_our_own_server_side_can_read() {
        let lines = forwarded("User-Agent: x\r\n");
        let request = Request::get("app:81", "/p?q", &[("X-A", "1")], lines.as_bytes());
        let read = with_head(request.bytes(), 8 << 10, |head, length| {
            assert_eq!(length, request.bytes().len());
            assert_eq!((head.method, head.target), ("GET", "/p?q"));
            assert_eq!(head.field("host"), Field::Once(b"app:81"));
            assert_eq!(head.field("accept-encoding"), Field::Once(b"identity"));
            for (name, value) in [("x-a", "1"), ("user-agent", "x"), ("cookie", "a=1")] {
                assert_eq!(head.field(name), Field::Once(value.as_bytes()), "{name}");
            }
        });
        assert_eq!(read, Ok(Some(())));
    }
}
