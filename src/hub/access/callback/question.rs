//! What the application is asked about one client.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::channel::Audience;
use crate::config::CallbackUrl;
use crate::wire::http_client::Request;

/// RFC 3986's unreserved characters stay as they are, and the slash for the reader's sake.
const FACILITY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');
/// A target is encoded as it comes; it must only be unable to end its line.
const TARGET: &AsciiSet = &CONTROLS.add(b' ');

/// A client that asks to be let in.
#[derive(Clone)]
pub(crate) struct Question {
    /// The header lines that [`forwardable`](crate::wire::http_client::forwardable) makes of its request.
    pub(crate) forwarded: Vec<u8>,
    /// The target of its request: path and query.
    pub(crate) original_uri: String,
    /// The facility, decoded.
    pub(crate) facility: String,
    /// Its flags, lower case, unknown ones too.
    pub(crate) flags: Vec<String>,
}

/// Without what is in it: cookies and tokens.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({})", self.facility)
    }
}

impl Question {
    /// The call to the application.
    pub(super) fn request(&self, url: &CallbackUrl) -> Request {
        let own = [
            (
                "X-Original-URI",
                &*utf8_percent_encode(&self.original_uri, TARGET).to_string(),
            ),
            (
                "X-Ws4redis-Facility",
                &*utf8_percent_encode(&self.facility, FACILITY).to_string(),
            ),
            ("X-Ws4redis-Channels", &*self.channels().join(",")),
        ];
        Request::get(&url.host, &url.path, &own, &self.forwarded)
    }

    /// The flags that ask for channels, each once and in one order, so that equal wishes look equal. Only known
    /// ones: the names of a query's parameters can hold anything, line ends too.
    fn channels(&self) -> Vec<String> {
        let known = ["subscribe", "publish"].into_iter().flat_map(|verb| {
            Audience::ALL
                .into_iter()
                .map(move |audience| format!("{verb}-{}", audience.word()))
        });
        known.filter(|flag| self.flags.contains(flag)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::{Field, with_head};

    fn field(question: &Question, name: &str) -> String {
        let request = question.request(&"http://app/p".parse().unwrap());
        let value = with_head(request.bytes(), 8 << 10, |head, length| {
            assert_eq!(length, request.bytes().len(), "one request and no more");
            match head.field(name) {
                Field::Once(value) => String::from_utf8(value.to_vec()).unwrap(),
                other => panic!("{name}: {other:?}"),
            }
        });
        value.unwrap().unwrap()
    }

    #[test]
    fn the_question_names_what_the_client_asks_for() {
        let question = Question {
            forwarded: b"Cookie: a=1\r\n".to_vec(),
            original_uri: "/ws/caf%C3%A9/1?subscribe-user&x=y".into(),
            facility: "café/1".into(),
            flags: [
                "publish-user",
                "echo",
                "x",
                "subscribe-user",
                "subscribe-user",
            ]
            .map(String::from)
            .into(),
        };
        assert_eq!(field(&question, "host"), "app");
        assert_eq!(field(&question, "cookie"), "a=1");
        assert_eq!(
            field(&question, "x-original-uri"),
            "/ws/caf%C3%A9/1?subscribe-user&x=y"
        );
        assert_eq!(field(&question, "x-ws4redis-facility"), "caf%C3%A9/1");
        assert_eq!(
            field(&question, "x-ws4redis-channels"),
            "subscribe-user,publish-user"
        );
    }

    #[test]
    fn no_client_can_write_a_line_of_the_question() {
        let evil = "a\r\nX-Ws4redis-User: root\r\n\r\nGET / HTTP/1.1\0\u{85}";
        let question = Question {
            forwarded: Vec::new(),
            original_uri: evil.into(),
            facility: evil.into(),
            flags: vec![evil.into(), "subscribe-group".into()],
        };
        assert_eq!(field(&question, "x-ws4redis-channels"), "subscribe-group");
        assert!(field(&question, "x-ws4redis-facility").starts_with("a%0D%0AX-Ws4redis-User%3A"));
        assert!(field(&question, "x-original-uri").starts_with("a%0D%0AX-Ws4redis-User:%20root"));
    }
}
