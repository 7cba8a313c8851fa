//! What the application's answer means. Whatever is not beyond doubt lets nobody in.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::limits::GROUPS_MAX;
use crate::wire::http_client::{Malformed, Response};

/// Bytes of a name: of a user, a group, a session, a channel.
const NAME_BYTES_MAX: usize = 255;
/// Channels in one list, as many as one session may have by default.
const CHANNELS_MAX: usize = 128;
/// The application's word on one client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It may come in, on these terms.
    Allow(Answer),
    /// It may have what it asked for.
    AllowAsAsked,
    /// It may not come in.
    Forbidden,
    /// There is none: 503.
    Failed(Failure),
}

/// The terms. Unknown keys are ignored, so that an application may be ahead of its gateway.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub(crate) struct Answer {
    /// The user's name; `None`, `null` and the empty text are nobody.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The groups of the user.
    #[serde(default, deserialize_with = "null_is_none")]
    pub(crate) groups: Vec<String>,
    /// The session key.
    #[serde(default)]
    pub(crate) session: Option<String>,
    /// Flags that it may have of those that it asked for; `None` is all.
    #[serde(default, deserialize_with = "never_null")]
    pub(crate) channels: Option<Vec<String>>,
    /// Channels that it hears, by their whole names.
    #[serde(default, deserialize_with = "never_null")]
    pub(crate) subscribe: Option<Vec<String>>,
    /// Channels that its messages go to, by their whole names.
    #[serde(default, deserialize_with = "never_null")]
    pub(crate) publish: Option<Vec<String>>,
    /// For how long this holds.
    #[serde(default, deserialize_with = "seconds")]
    pub(crate) expires_in: Option<Duration>,
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("too many calls wait for the application")]
    QueueFull,
    #[error("no connection to the application was free in time")]
    NotAsked,
    #[error("the application did not answer in time")]
    TimedOut,
    /// The system's words.
    #[error("the application cannot be reached: {0}")]
    Unreachable(String),
    /// The system's words.
    #[error("the connection to the application was lost: {0}")]
    Lost(String),
    #[error("the application's answer cannot be read: {0}")]
    Malformed(#[from] Malformed),
    #[error("the application answered with status {0}; 200, 204, 401 and 403 have a meaning")]
    Status(u16),
    /// Where, but not what: it may hold somebody's session key.
    #[error("the application's answer is not a JSON object (column {column} of line {line})")]
    NotJson { line: usize, column: usize },
    #[error(
        "the application's answer has a key twice or of the wrong type (column {column} of line {line})"
    )]
    WrongType { line: usize, column: usize },
    #[error("the application's answer is out of bounds in {0}")]
    OutOfBounds(&'static str),
}

impl Verdict {
    /// What a whole response means.
    pub(super) fn of(response: &Response) -> Verdict {
        match (response.status, &*response.body) {
            (204, _) | (200, []) => Verdict::AllowAsAsked,
            (200, body) => match read(body) {
                Ok(answer) => Verdict::Allow(answer),
                Err(failure) => Verdict::Failed(failure),
            },
            (401 | 403, _) => Verdict::Forbidden,
            (status, _) => Verdict::Failed(Failure::Status(status)),
        }
    }

    /// What a response means of which only a part could be read: a no is a no, however long its page is.
    pub(super) fn of_part(status: Option<u16>, failure: Failure) -> Verdict {
        match status {
            Some(401 | 403) => Verdict::Forbidden,
            _ => Verdict::Failed(failure),
        }
    }
}

fn read(body: &[u8]) -> Result<Answer, Failure> {
    // A derived reader would take a list for the values of the keys in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::NotJson { line: 1, column: 1 });
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => Failure::WrongType { line, column },
            _ => Failure::NotJson { line, column },
        }
    })?;
    answer.checked()
}

impl Answer {
    fn checked(mut self) -> Result<Answer, Failure> {
        // An application whose anonymous user has an empty name means nobody, not a user of that name.
        self.user = self.user.filter(|user| !user.is_empty());
        self.session = self.session.filter(|session| !session.is_empty());
        self.groups.retain(|group| !group.is_empty());
        for (key, names, names_max) in [
            ("user", self.user.as_slice(), 1),
            ("session", self.session.as_slice(), 1),
            ("groups", &*self.groups, GROUPS_MAX),
            ("channels", names_of(&self.channels), CHANNELS_MAX),
            ("subscribe", names_of(&self.subscribe), CHANNELS_MAX),
            ("publish", names_of(&self.publish), CHANNELS_MAX),
        ] {
            if names.len() > names_max || !names.iter().all(|name| is_name(name)) {
                return Err(Failure::OutOfBounds(key));
            }
        }
        Ok(self)
    }
}

fn names_of(list: &Option<Vec<String>>) -> &[String] {
    list.as_deref().unwrap_or_default()
}

/// A control character in a name would be one in a channel's name, and in logs.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

fn null_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list that is `null` is refused: some languages write their empty list so, and mean nothing at all where a
/// missing key means everything that was asked for.
fn never_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds: Option<f64> = Option::deserialize(deserializer)?;
    seconds
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Verdict {
        Verdict::of(&Response {
            status,
            body: body.into(),
            reusable: true,
        })
    }

    fn allowed(body: &str) -> Answer {
        match of(200, body) {
            Verdict::Allow(answer) => answer,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn every_key_is_read_and_unknown_ones_are_ignored() {
        let body = r#" {"user": "john", "groups": ["a", "b"], "session": "k", "channels": ["subscribe-user"],
            "subscribe": ["p:news"], "publish": [], "expires_in": 1.5, "later": {"x": [1]}} "#;
        let expected = Answer {
            user: Some("john".into()),
            groups: vec!["a".into(), "b".into()],
            session: Some("k".into()),
            channels: Some(vec!["subscribe-user".into()]),
            subscribe: Some(vec!["p:news".into()]),
            publish: Some(vec![]),
            expires_in: Some(Duration::from_millis(1_500)),
        };
        assert_eq!(allowed(body), expected);
        assert_eq!(allowed("{}"), Answer::default());
        let nobody = r#"{"user": "", "groups": [""], "session": null, "expires_in": null}"#;
        assert_eq!(allowed(nobody), Answer::default());
        assert_eq!(allowed(r#"{"groups": null}"#), Answer::default());
        let soon = allowed(r#"{"expires_in": 60}"#);
        assert_eq!(soon.expires_in, Some(Duration::from_secs(60)));
    }

    #[test]
    fn statuses_mean_what_the_contract_says_and_all_others_let_nobody_in() {
        assert_eq!(of(204, ""), Verdict::AllowAsAsked);
        assert_eq!(of(200, ""), Verdict::AllowAsAsked);
        for status in 0..=999 {
            match (status, of(status, "{}")) {
                (200, verdict) => assert_eq!(verdict, Verdict::Allow(Answer::default())),
                (204, verdict) => assert_eq!(verdict, Verdict::AllowAsAsked),
                (401 | 403, verdict) => assert_eq!(verdict, Verdict::Forbidden),
                (_, verdict) => assert_eq!(verdict, Verdict::Failed(Failure::Status(status))),
            }
        }
        let part = |status| Verdict::of_part(status, Failure::TimedOut);
        assert_eq!(part(Some(403)), Verdict::Forbidden);
        for status in [None, Some(200), Some(204), Some(500)] {
            assert_eq!(part(status), Verdict::Failed(Failure::TimedOut));
        }
    }

    #[test]
    fn what_is_no_json_object_lets_nobody_in() {
        for body in [
            " ",
            "\n",
            "null",
            "true",
            "[]",
            r#"["john"]"#,
            "\"john\"",
            "1",
            "{",
            "{}x",
            "{} {}",
            "{'user': 1}",
            "{\"user\": \"\\ud800\"}",
            "<html>",
            "\u{feff}{}",
            "{\"user\": \"a\nb\"}",
            "{\"user\":}",
        ] {
            let verdict = of(200, body);
            assert!(
                matches!(verdict, Verdict::Failed(Failure::NotJson { .. })),
                "{body}: {verdict:?}"
            );
        }
        let binary = Response {
            status: 200,
            body: b"{\"user\": \"\xff\"}".to_vec(),
            reusable: true,
        };
        assert!(matches!(Verdict::of(&binary), Verdict::Failed(_)));
        let deep = format!("{{\"x\": {}1{}}}", "[".repeat(30_000), "]".repeat(30_000));
        of(200, &deep); // must not take the stack with it
    }

    #[test]
    fn a_value_of_the_wrong_type_lets_nobody_in() {
        for body in [
            r#"{"user": 7}"#,
            r#"{"user": ["john"]}"#,
            r#"{"user": "john", "user": "root"}"#,
            r#"{"groups": "staff"}"#,
            r#"{"groups": ["a", 1]}"#,
            r#"{"groups": {"a": 1}}"#,
            r#"{"session": true}"#,
            r#"{"channels": null}"#,
            r#"{"channels": "subscribe-user"}"#,
            r#"{"channels": [null]}"#,
            r#"{"subscribe": null}"#,
            r#"{"publish": {}}"#,
            r#"{"expires_in": "60"}"#,
            r#"{"expires_in": -1}"#,
            r#"{"expires_in": 1e300}"#,
        ] {
            let verdict = of(200, body);
            assert!(
                matches!(verdict, Verdict::Failed(Failure::WrongType { .. })),
                "{body}: {verdict:?}"
            );
        }
    }

    #[test]
    fn names_and_lists_have_bounds_and_no_control_characters() {
        let name = |n: usize| "n".repeat(n);
        let list = |n: usize| vec!["\"c\""; n].join(",");
        allowed(&format!(r#"{{"user": "{}"}}"#, name(255)));
        allowed(&format!(r#"{{"subscribe": [{}]}}"#, list(128)));
        allowed(&format!(r#"{{"groups": [{}]}}"#, list(1_024)));
        for (key, value) in [
            ("user", format!("\"{}\"", name(256))),
            ("user", r#""a\u0000""#.into()),
            ("user", r#""a\r\nb""#.into()),
            ("session", r#""a\u007f""#.into()),
            ("groups", r#"["a\u0085"]"#.into()),
            ("groups", format!("[{}]", list(1_025))),
            ("channels", format!("[{}]", list(129))),
            ("channels", r#"[""]"#.into()),
            ("subscribe", format!("[{}]", list(129))),
            ("subscribe", format!("[\"{}\"]", name(256))),
            ("publish", format!("[{}]", list(129))),
            ("publish", r#"["a\nb"]"#.into()),
        ] {
            let verdict = of(200, &format!(r#"{{"{key}": {value}}}"#));
            assert_eq!(
                verdict,
                Verdict::Failed(Failure::OutOfBounds(key)),
                "{value}"
            );
        }
    }

    #[test]
    fn a_failure_repeats_nothing_of_the_answer() {
        for body in [
            r#"{"user": 1, "session": "s3cret"}"#,
            r#"{"groups": "s3cret"}"#,
            "s3cret",
        ] {
            let Verdict::Failed(failure) = of(200, body) else {
                panic!("{body} is read");
            };
            assert!(
                !format!("{failure} {failure:?}").contains("s3cret"),
                "{body}"
            );
        }
    }
}
