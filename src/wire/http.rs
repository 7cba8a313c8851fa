//! HTTP/1.1 request heads in (httparse), responses out.

use std::borrow::Cow;
use std::fmt::Write;
use std::mem::MaybeUninit;

use bytes::Bytes;
use httparse::{Request, Status};
use percent_encoding::percent_decode_str;

use super::ws;
use crate::limits::HEAD_FIELDS_MAX;
use crate::refusal::Refusal;

/// The field in which a client offers subprotocols (RFC 6455 11.3.4).
pub(crate) const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";
/// The scheme of `Authorization` (RFC 6750), and the subprotocol behind which browsers put the same token.
pub(crate) const BEARER: &str = "bearer";

/// A request head, borrowed from the bytes that came.
#[derive(Debug)]
pub struct Head<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// Path and query of the request target.
    pub target: &'a str,
    fields: &'a [httparse::Header<'a>],
}

/// How often a header field stands in a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// Not at all.
    Absent,
    /// Once, with this value.
    Once(&'a [u8]),
    /// More than once.
    Repeated,
}

/// Reads one head from the front of `bytes` and hands it, with its length, to `then`; `None` if it is not
/// whole yet. Refuses what is malformed, longer than `bytes_max` or richer than [`HEAD_FIELDS_MAX`] fields.
pub fn with_head<R>(
    bytes: &[u8],
    bytes_max: usize,
    then: impl FnOnce(&Head<'_>, usize) -> R,
) -> Result<Option<R>, Refusal> {
    // Nobody looks behind the limit, so a head over it is refused alike whether it comes whole or in pieces.
    let within = bytes.get(..bytes_max).unwrap_or(bytes);
    let mut fields = [const { MaybeUninit::uninit() }; HEAD_FIELDS_MAX];
    let mut request = Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(within, &mut fields) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() <= bytes_max => return Ok(None),
        Ok(Status::Partial) if within.trim_ascii_start().contains(&b'\n') => {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(Status::Partial) => return Err(Refusal::UriTooLong),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(_) => return Err(Refusal::Malformed),
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version)
    else {
        return Err(Refusal::Malformed);
    };
    let mut head = Head {
        method,
        target,
        fields: request.headers,
    };
    head.check_framing()?;
    head.target = head.check_target()?;
    Ok(Some(then(&head, length)))
}

impl<'a> Head<'a> {
    /// Every field, name and value, in the order in which they came.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The field of this name (any case).
    pub fn field(&self, name: &str) -> Field<'a> {
        let mut lines = self.lines(name);
        match (lines.next(), lines.next()) {
            (None, _) => Field::Absent,
            (Some(value), None) => Field::Once(value),
            (Some(_), Some(_)) => Field::Repeated,
        }
    }

    /// Does a comma-separated list field (all its lines) hold this token (any case)?
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The value of the last cookie of this name, quotes removed. RFC 6265 5.4 gives the order of two no
    /// meaning; Django takes the last, and a client must not be one user to it and another one to us.
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let pairs = self
            .lines("cookie")
            .flat_map(|line| line.split(|&byte| byte == b';'));
        let value = pairs.filter_map(|pair| {
            let at = pair.iter().position(|&byte| byte == b'=')?;
            let (found, value) = pair.split_at(at);
            (found.trim_ascii() == name.as_bytes()).then(|| value.get(1..))?
        });
        let value = value.last()?.trim_ascii();
        let bare = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""));
        str::from_utf8(bare.unwrap_or(value)).ok()
    }

    /// The target's path, before decoding, and its query (without the question mark).
    pub fn split_target(&self) -> (&'a str, &'a str) {
        match self.target.split_once('?') {
            // RFC 9112 3.2.1: the empty path of `http://host?query` is sent on as a slash.
            Some(("", query)) => ("/", query),
            Some((path, query)) => (path, query),
            None => (self.target, ""),
        }
    }

    /// Where this request ends must be beyond doubt: what we take for frames, a proxy before us may have
    /// taken for a body, and the next request of somebody else for a part of this one.
    fn check_framing(&self) -> Result<(), Refusal> {
        match (
            self.field("content-length"),
            self.field("transfer-encoding"),
        ) {
            (Field::Absent | Field::Once(b"0"), Field::Absent) => {}
            _ => return Err(Refusal::Malformed),
        }
        // RFC 9112 3.2: a server must answer 400 to a request without Host, or with two.
        match self.field("host") {
            Field::Once(_) => Ok(()),
            Field::Absent => Err(Refusal::Malformed),
            Field::Repeated => Err(Refusal::Duplicate),
        }
    }

    /// The target as path and query (RFC 9112 3.2.1), also if it came in absolute form (3.2.2).
    fn check_target(&self) -> Result<&'a str, Refusal> {
        if self.target.starts_with('/') {
            return Ok(self.target);
        }
        let (scheme, rest) = self.target.split_once("://").ok_or(Refusal::Malformed)?;
        if !["http", "https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(Refusal::Malformed);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // 3.2.2 has the target's authority outrank Host, and the client send the same in both. If they
        // differ, the rule for Origin would compare with one and a proxy have routed by the other.
        match self.field("host") {
            Field::Once(host) if host.eq_ignore_ascii_case(authority.as_bytes()) => {}
            _ => return Err(Refusal::Malformed),
        }
        match path {
            "" => Ok("/"),
            path => Ok(path),
        }
    }

    fn lines(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self
            .fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value)
    }

    /// The subprotocol to answer with: the first one offered, but beside [`BEARER`] stands a secret, in
    /// whichever order, and proxies log what comes back. RFC 6455 4.1 has the client fail unless it gets one
    /// that it offered, so where nothing else is, `bearer` it is.
    fn answerable(&self) -> Option<&'a [u8]> {
        let is_bearer = |name: &[u8]| name.eq_ignore_ascii_case(BEARER.as_bytes());
        if !self.has_token(SUBPROTOCOL, BEARER) {
            return self.list(SUBPROTOCOL).next();
        }
        let mut follows_bearer = false;
        self.list(SUBPROTOCOL).find(|name| {
            let is_secret = follows_bearer || is_jwt(name);
            follows_bearer = is_bearer(name);
            !is_secret
        })
    }

    /// The elements of a list field (RFC 9110 5.6.1: empty ones do not count).
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let elements = self
            .lines(name)
            .flat_map(|line| line.split(|&byte| byte == b','));
        elements
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty())
    }
}

/// A request that RFC 6455 4.2.1 accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    accept: String,
    subprotocol: Option<String>,
}

impl Upgrade {
    /// Checks method, version, `Upgrade`, `Connection` and key, in the order in which a refusal helps most.
    pub fn from_head(head: &Head<'_>) -> Result<Upgrade, Refusal> {
        if head.method != "GET" {
            return Err(Refusal::Method);
        }
        if !head.has_token("upgrade", "websocket")
            || !head.has_token("connection", "upgrade")
            || head.field("sec-websocket-version") != Field::Once(b"13")
        {
            return Err(Refusal::UpgradeRequired);
        }
        let key = match head.field("sec-websocket-key") {
            Field::Once(key) if is_key(key) => key,
            _ => return Err(Refusal::NoKey),
        };
        // It comes back in a header of ours: only a token may, and a token has no line end.
        let offered = head.answerable().filter(|name| is_token(name));
        Ok(Upgrade {
            accept: ws::accept(key),
            subprotocol: offered
                .and_then(|name| str::from_utf8(name).ok())
                .map(str::to_owned),
        })
    }

    /// The 101, with the first subprotocol that the client offered and that is no secret.
    pub fn response(&self) -> Bytes {
        let mut head = String::with_capacity(192);
        head += "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        push_field(&mut head, "Sec-WebSocket-Accept", &self.accept);
        if let Some(subprotocol) = &self.subprotocol {
            push_field(&mut head, SUBPROTOCOL, subprotocol);
        }
        head += "\r\n";
        head.into()
    }
}

/// Decodes a path's percent escapes once. Bytes that are not UTF-8 stay escaped, as in the original.
pub fn decode_path(path: &str) -> Cow<'_, str> {
    let bytes = match Cow::from(percent_decode_str(path)) {
        Cow::Borrowed(_) => return Cow::Borrowed(path),
        Cow::Owned(bytes) => bytes,
    };
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded += chunk.valid();
        for byte in chunk.invalid() {
            push_formatted(&mut decoded, format_args!("%{byte:02X}"));
        }
    }
    Cow::Owned(decoded)
}

/// The names of a query's parameters: decoded (`+` is a blank), trimmed, lower-cased; values are ignored.
pub fn query_names(query: &str) -> impl Iterator<Item = String> {
    let names = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _value)) => name.replace('+', " "),
            None => parameter.replace('+', " "),
        });
    let decoded = names.map(|name| {
        percent_decode_str(&name)
            .decode_utf8_lossy()
            .trim()
            .to_lowercase()
    });
    decoded.filter(|name| !name.is_empty())
}

/// The answer to a refused request, after which the connection closes.
pub fn refusal(refusal: Refusal) -> Bytes {
    let body = format!("{}\n", refusal.line());
    response(
        refusal.status(),
        "text/plain; charset=utf-8",
        refusal.fields(),
        body.as_bytes(),
    )
}

/// A whole answer (200 and the like) with further header fields, after which the connection closes.
pub fn response(
    (code, reason): (u16, &str),
    content_type: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Bytes {
    let mut head = String::with_capacity(256 + body.len());
    push_formatted(&mut head, format_args!("HTTP/1.1 {code} {reason}\r\n"));
    push_field(&mut head, "Content-Type", content_type);
    push_field(&mut head, "Content-Length", &body.len().to_string());
    // What is refused now may be served in a second; what is measured now is wrong then.
    push_field(&mut head, "Cache-Control", "no-store");
    if !fields.iter().any(|(name, _)| *name == "Connection") {
        push_field(&mut head, "Connection", "close");
    }
    for (name, value) in fields {
        push_field(&mut head, name, value);
    }
    head += "\r\n";
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}

fn push_field(head: &mut String, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        *head += part;
    }
}

fn push_formatted(text: &mut String, formatted: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(formatted);
    debug_assert!(written.is_ok(), "a String takes every character");
}

/// Is this 16 bytes in canonical base64 (RFC 6455 4.1, RFC 4648 3.5)? 22 digits and two pads, the last digit
/// with nothing in the four bits that stand for no byte.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match key.strip_suffix(b"==").and_then(<[u8]>::split_last) {
        Some((last, digits)) => {
            digits.len() == 21 && digits.iter().all(is_digit) && b"AQgw".contains(last)
        }
        None => false,
    }
}

/// Does this look like a JSON Web Token? Three parts, the first of them JSON: `{"` or `{` and a blank in base64.
fn is_jwt(name: &[u8]) -> bool {
    let dots = name.iter().filter(|&&byte| byte == b'.').count();
    dots == 2 && (name.starts_with(b"ey") || name.starts_with(b"ew"))
}

/// Is this a token (RFC 9110 5.6.2)?
fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1_000;
    const BROWSER: &str = "GET /ws/chat?subscribe-broadcast HTTP/1.1\r\n\
        Host: example.org\r\n\
        Connection: keep-alive, Upgrade\r\n\
        Upgrade: WebSocket\r\n\
        Sec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        \r\n";

    /// What comes of `then`, for a head that must be a good one.
    fn head<R>(text: &str, then: impl FnOnce(&Head<'_>) -> R) -> R {
        match with_head(text.as_bytes(), MAX, |head, _| then(head)) {
            Ok(Some(result)) => result,
            other => panic!("{text}: {:?}", other.map(|_| ())),
        }
    }

    fn refused(text: &str) -> Option<Refusal> {
        with_head(text.as_bytes(), MAX, |_, _| ()).err()
    }

    fn upgrade(text: &str) -> Result<Upgrade, Refusal> {
        head(text, Upgrade::from_head)
    }

    fn text(bytes: &Bytes) -> &str {
        str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_head_is_read_when_it_is_whole_and_what_follows_is_left() {
        let bytes = [BROWSER.as_bytes(), b"\x81\x80"].concat();
        for cut in 0..BROWSER.len() {
            assert_eq!(with_head(&bytes[..cut], MAX, |_, _| ()), Ok(None), "{cut}");
        }
        let read = with_head(&bytes, MAX, |head, length| {
            (
                head.method.to_owned(),
                head.split_target() == ("/ws/chat", "subscribe-broadcast"),
                length,
            )
        });
        assert_eq!(read, Ok(Some(("GET".to_owned(), true, BROWSER.len()))));
    }

    #[test]
    fn a_head_of_more_bytes_or_fields_than_the_limits_is_refused() {
        let of = |bytes: usize| {
            let start = "GET / HTTP/1.1\r\nHost: a\r\nA: ";
            format!("{start}{}\r\n\r\n", "x".repeat(bytes - start.len() - 4))
        };
        assert_eq!(refused(&of(MAX)), None);
        assert_eq!(refused(&of(MAX + 1)), Some(Refusal::HeadTooLarge));
        assert_eq!(refused(&of(MAX + 1)[..MAX]), None);
        assert_eq!(
            refused(&format!("GET /{}", "x".repeat(MAX))),
            Some(Refusal::UriTooLong)
        );
        assert_eq!(
            refused(&format!("\r\nGET /{}", "x".repeat(MAX))),
            Some(Refusal::UriTooLong)
        );
        let fields = |count| {
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "A: b\r\n".repeat(count)
            )
        };
        assert_eq!(refused(&fields(HEAD_FIELDS_MAX - 1)), None);
        assert_eq!(
            refused(&fields(HEAD_FIELDS_MAX)),
            Some(Refusal::HeadTooLarge)
        );
    }

    #[test]
    fn what_breaks_rfc_9112_is_malformed() {
        for head in [
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET /\r\n",
            "\x16\x03\x01\x02",
            "G(T / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nA: b\0\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(refused(head), Some(Refusal::Malformed), "{head}");
        }
        let twice = "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n";
        assert_eq!(refused(twice), Some(Refusal::Duplicate));
    }

    #[test]
    fn a_request_with_a_body_cannot_be_smuggled_in() {
        let with =
            |fields: &str| refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"));
        assert_eq!(with("Content-Length: 0"), None);
        for fields in [
            "Content-Length: 1",
            "Content-Length: +0",
            "Content-Length: 0, 0",
            "Content-Length: 0\r\nContent-Length: 5",
            "Transfer-Encoding: chunked",
            "transfer-encoding: identity",
        ] {
            assert_eq!(with(fields), Some(Refusal::Malformed), "{fields}");
        }
    }

    #[test]
    fn a_target_in_absolute_form_is_read_as_its_path_and_query() {
        for (target, path, query) in [
            ("HTTP://A:8080/p?q", "/p", "q"),
            ("https://a:8080", "/", ""),
            ("http://a:8080?q", "/", "q"),
            ("http://a:8080/p?q=http://b/", "/p", "q=http://b/"),
            ("/p?a?b", "/p", "a?b"),
        ] {
            let text = format!("GET {target} HTTP/1.1\r\nHost: a:8080\r\n\r\n");
            head(&text, |head| {
                assert_eq!(head.split_target(), (path, query), "{target}")
            });
        }
    }

    #[test]
    fn fields_and_tokens_are_found_in_any_case_and_on_any_line() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nA: x ,\tY\r\na: , z\r\nB:  v \r\n\r\n";
        head(text, |head| {
            assert_eq!(head.field("b"), Field::Once(b"v"));
            assert_eq!(head.field("A"), Field::Repeated);
            assert_eq!(head.field("c"), Field::Absent);
            for token in ["X", "y", "z"] {
                assert!(head.has_token("a", token), "{token}");
            }
            assert!(!head.has_token("a", "") && !head.has_token("a", "x ,\tY"));
        });
    }

    #[test]
    fn cookies_are_found_as_django_finds_them() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\
            Cookie: sessionid=first; SESSIONID=other; xsessionid=no; sessionid= last=1 ;q=\"a b\"\r\n\
            Cookie: more=1; none; empty=\r\n\r\n";
        head(text, |head| {
            assert_eq!(head.cookie("sessionid"), Some("last=1"));
            assert_eq!(head.cookie("q"), Some("a b"));
            assert_eq!(head.cookie("more"), Some("1"));
            assert_eq!(head.cookie("empty"), Some(""));
            assert_eq!(head.cookie("none"), None);
        });
    }

    #[test]
    fn an_upgrade_is_answered_with_what_rfc_6455_asks_for_and_nothing_else() {
        let accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let response = upgrade(BROWSER).unwrap().response();
        assert_eq!(text(&response), format!("{accepted}\r\n"));
        let offering = |value: &str| {
            let head = BROWSER.replace(
                "Host:",
                &format!("Sec-WebSocket-Protocol: {value}\r\nHost:"),
            );
            upgrade(&head).unwrap().response()
        };
        let response = offering(", v1.chat , v2");
        assert_eq!(
            text(&response),
            format!("{accepted}Sec-WebSocket-Protocol: v1.chat\r\n\r\n")
        );
        for value in ["v/1", "a b", "\"a\"", ""] {
            assert_eq!(text(&offering(value)), format!("{accepted}\r\n"), "{value}");
        }
    }

    #[test]
    fn a_token_beside_bearer_is_never_answered() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln";
        for (offered, answered) in [
            ("bearer, JWT", Some("bearer")),
            ("x, bearer, JWT", Some("x")),
            ("bearer, JWT, x", Some("bearer")),
            ("JWT, bearer", Some("bearer")),
            ("JWT, x, Bearer", Some("x")),
            ("Bearer, opaque", Some("Bearer")),
            ("a.b.c, bearer, JWT", Some("a.b.c")),
            ("JWT, bearer, JWT", Some("bearer")),
        ] {
            let offered = offered.replace("JWT", jwt);
            let head = BROWSER.replace(
                "Host:",
                &format!("Sec-WebSocket-Protocol: {offered}\r\nHost:"),
            );
            assert_eq!(
                upgrade(&head).unwrap().subprotocol.as_deref(),
                answered,
                "{offered}"
            );
        }
    }

    #[test]
    fn the_first_thing_that_is_wrong_with_an_upgrade_is_named() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for (from, to, refusal) in [
            ("GET", "POST", Refusal::Method),
            (
                "Upgrade: WebSocket",
                "Upgrade: h2c",
                Refusal::UpgradeRequired,
            ),
            (
                "keep-alive, Upgrade",
                "keep-alive",
                Refusal::UpgradeRequired,
            ),
            ("Version: 13", "Version: 8", Refusal::UpgradeRequired),
            ("Version: 13", "Version: 13, 8", Refusal::UpgradeRequired),
            ("Sec-WebSocket-Key", "Sec-WebSocket-Kay", Refusal::NoKey),
            (key, "dGhlIHNhbXBsZSBub25jZR==", Refusal::NoKey),
            (key, "dGhlIHNhbXBsZSBub25jZQ=", Refusal::NoKey),
            (key, "dGhlIHNhbXBsZSBub25j*Q==", Refusal::NoKey),
            (key, "dGhlIHNhbXBsZSBub25jZWE=", Refusal::NoKey),
            (
                "Host:",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nHost:",
                Refusal::NoKey,
            ),
        ] {
            assert_eq!(upgrade(&BROWSER.replace(from, to)), Err(refusal), "{to}");
        }
    }

    #[test]
    fn a_path_is_decoded_once_and_bytes_that_are_not_utf_8_stay_escaped() {
        for (path, decoded) in [
            ("/ws/a", "/ws/a"),
            ("/ws/gr%C3%bcn", "/ws/grün"),
            ("/ws/a%2Fb%20c", "/ws/a/b c"),
            ("/ws/a+b", "/ws/a+b"),
            ("/ws/%2541", "/ws/%41"),
            ("/ws/%FF", "/ws/%FF"),
            ("/ws/%ff%C3", "/ws/%FF%C3"),
            ("/ws/%ED%A0%80", "/ws/%ED%A0%80"),
            ("/ws/%zz%4", "/ws/%zz%4"),
            ("/ws/%00", "/ws/\0"),
        ] {
            assert_eq!(decode_path(path), decoded, "{path}");
        }
    }

    #[test]
    fn a_query_gives_the_names_of_its_parameters() {
        let names: Vec<_> =
            query_names("Subscribe-User&echo=0&&=x&+a%20+=1&%FF&publish%2dgroup").collect();
        assert_eq!(
            names,
            ["subscribe-user", "echo", "a", "\u{fffd}", "publish-group"]
        );
    }

    #[test]
    fn every_refusal_is_a_whole_answer_that_closes_the_connection() {
        for refusal in Refusal::ALL {
            let bytes = super::refusal(refusal);
            let (head, body) = text(&bytes).split_once("\r\n\r\n").unwrap();
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut fields);
            assert!(response.parse(&bytes).unwrap().is_complete());
            assert_eq!(response.code, Some(refusal.status().0));
            assert_eq!(response.reason, Some(refusal.status().1));
            assert_eq!(body, format!("{}\n", refusal.line()));
            for field in [
                format!("Content-Length: {}", body.len()),
                "Content-Type: text/plain; charset=utf-8".into(),
                "Cache-Control: no-store".into(),
            ] {
                assert!(head.contains(&field), "{head}");
            }
            assert_eq!(head.matches("Connection: ").count(), 1, "{head}");
            assert!(head.contains("close"), "{head}");
            for (name, value) in refusal.fields() {
                assert!(head.contains(&format!("\r\n{name}: {value}")), "{head}");
            }
        }
    }

    #[test]
    fn a_response_may_have_any_bytes_for_its_body() {
        let bytes = response((200, "OK"), "image/png", &[], b"\xff\0");
        let expected = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 2\r\n\
            Cache-Control: no-store\r\nConnection: close\r\n\r\n\xff\0";
        assert_eq!(bytes[..], expected[..]);
    }
}
