//! The opening handshake, from the client's side (RFC 6455 4.1).

use httparse::{EMPTY_HEADER, Status};

use super::plan::{Dealt, Plan, fill};
use super::target::Target;

/// RFC 6455 1.3's example: it has to be random for the sake of caches, and there is none here.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const HEAD_BYTES_MAX: usize = 16 << 10;
const FIELDS_MAX: usize = 64;
/// Of what a server says to people.
const SAID_CHARS_MAX: usize = 120;

/// Why the answer makes no WebSocket.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the answer to the handshake is no HTTP: {0:?}")]
    Malformed(String),
    #[error(
        "the answer to the handshake has a head of over {HEAD_BYTES_MAX} bytes or {FIELDS_MAX} fields"
    )]
    TooLong,
    #[error("the handshake is answered with {0}")]
    Status(String),
    #[error("the handshake is answered in HTTP/1.0, which has no WebSockets")]
    Version,
    #[error("the handshake is answered with 101 and a wrong {0}")]
    Field(&'static str),
    #[error("the handshake is answered with 101 and {0}, which nobody asked for")]
    Unasked(&'static str),
}

/// What a client asks for.
pub(super) fn request(plan: &Plan, dealt: Dealt) -> String {
    let Target { host, path, .. } = &plan.target;
    let path = fill(path, dealt);
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n",
    );
    for header in &plan.headers {
        request += &fill(header, dealt);
        request += "\r\n";
    }
    request + "\r\n"
}

/// Judges the answer: where it ends, if it is whole by now. `accept` is what goes with [`KEY`].
pub(super) fn judge(bytes: &[u8], accept: &str) -> Result<Option<usize>, Refusal> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => return Ok(None),
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLong),
        Err(_) => return Err(Refusal::Malformed(line(bytes))),
    };
    let field = |name: &str| {
        let mut named = response.headers.iter();
        let found = named.find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value)
    };
    if response.code != Some(101) {
        let status = line(bytes);
        let body = line(bytes.get(length..).unwrap_or_default());
        return Err(Refusal::Status(match (field("Location"), body.as_str()) {
            (Some(to), _) => format!("{status:?}, to {:?}", line(to)),
            (None, "") => format!("{status:?}"),
            (None, body) => format!("{status:?}, {body:?}"),
        }));
    }
    if response.version == Some(0) {
        return Err(Refusal::Version);
    }
    let has = |name, word: &str| {
        let words = field(name).unwrap_or_default().split(|byte| *byte == b',');
        words
            .map(<[u8]>::trim_ascii)
            .any(|said| said.eq_ignore_ascii_case(word.as_bytes()))
    };
    if !has("Upgrade", "websocket") {
        return Err(Refusal::Field("Upgrade"));
    }
    if !has("Connection", "Upgrade") {
        return Err(Refusal::Field("Connection"));
    }
    if field("Sec-WebSocket-Accept") != Some(accept.as_bytes()) {
        return Err(Refusal::Field("Sec-WebSocket-Accept"));
    }
    for name in ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"] {
        if field(name).is_some() {
            return Err(Refusal::Unasked(name));
        }
    }
    Ok(Some(length))
}

/// The first line, as far as a person wants to read it.
fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..4 * SAID_CHARS_MAX).unwrap_or(bytes));
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(SAID_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n\
        Connection: keep-alive, upgrade\r\nSec-WebSocket-Accept: abc\r\n\r\n";

    fn judged(text: &str) -> Result<Option<usize>, String> {
        judge(text.as_bytes(), "abc").map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn the_right_answer_is_taken_once_it_is_whole() {
        assert_eq!(judged(&format!("{RIGHT}more")), Ok(Some(RIGHT.len())));
        for cut in 0..RIGHT.len() {
            assert_eq!(judged(&RIGHT[..cut]), Ok(None));
        }
    }

    #[test]
    fn each_wrong_answer_is_called_what_it_is() {
        for (answer, says) in [
            (RIGHT.replace("abc", "abd"), "wrong Sec-WebSocket-Accept"),
            (RIGHT.replace("WebSocket\r", "h2c\r"), "wrong Upgrade"),
            (RIGHT.replace(", upgrade", ""), "wrong Connection"),
            (RIGHT.replace("1.1", "1.0"), "HTTP/1.0"),
            (
                RIGHT.replace("upgrade:", "Sec-WebSocket-Protocol: a\r\nupgrade:"),
                "nobody asked",
            ),
            (
                "HTTP/1.1 301 Moved\r\nLocation: /there\r\n\r\n".to_owned(),
                "\"HTTP/1.1 301 Moved\", to \"/there\"",
            ),
            (
                "HTTP/1.1 403 Forbidden\r\n\r\nnot you\r\n".to_owned(),
                "\"HTTP/1.1 403 Forbidden\", \"not you\"",
            ),
            ("SSH-2.0-x\r\n".to_owned(), "no HTTP: \"SSH-2.0-x\""),
            (
                format!("HTTP/1.1 101 X\r\nA: {}", "b".repeat(20_000)),
                "over 16384 bytes",
            ),
        ] {
            let said = judged(&answer).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
