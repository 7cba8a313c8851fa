//! What Redis' answers mean, and what the operator should do about the bad ones.

use std::collections::VecDeque;

use bytes::Bytes;

use super::link::Expected;
use super::publishes::{Publish, Publishes};
use crate::hub::channels::ChannelId;
use crate::peer::PeerId;
use crate::wire::resp::{Malformed, Reply};

/// What Redis said, in the hub's terms.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// Nothing that concerns the hub.
    Nothing,
    /// Redis' version.
    Version(String),
    /// The greeting is over.
    Greeted,
    /// A live message.
    Message {
        channel: &'a [u8],
        payload: &'a [u8],
    },
    /// Somebody spoke on the control channel.
    Order(&'a [u8]),
    /// SUBSCRIBE is confirmed.
    Subscribed(ChannelId),
    /// SUBSCRIBE is refused.
    SubscribeRefused {
        channels: Vec<ChannelId>,
        error: String,
    },
    /// The answer to GET: a key of another type is as good as nothing there.
    Value {
        channel: ChannelId,
        value: Option<Bytes>,
    },
    /// The answer to GET, of a session of Django.
    Session { id: PeerId, stored: StoredSession },
    /// The link has outlived its use, and why; what Redis has said already still counts.
    Outlived(String),
    /// GET is refused.
    ValueRefused { channel: ChannelId, error: String },
    /// A client's publish is done.
    Published,
    /// A client's publish is refused.
    PublishRefused { publish: Publish, error: String },
    /// A message over the limit was skipped.
    Oversize(u64),
}

/// What is stored under the key of a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoredSession {
    /// Nothing.
    None,
    /// This.
    Value(Bytes),
    /// Nothing that a session can be: too large, or of another type.
    Unreadable(String),
    /// There may be one, but Redis does not say: it still loads, or does not let us read it.
    Untold(String),
}

/// The link must be given up, and why, in a line for the operator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GivenUp(pub(crate) String);

/// What the answer to a command means. `expected` holds what is still owed after it.
pub(crate) fn understand(
    answered: Expected,
    reply: Reply,
    publishes: &mut Publishes,
    expected: &mut VecDeque<Expected>,
) -> Result<Heard<'static>, GivenUp> {
    match (answered, reply) {
        (Expected::Queued, Reply::Error(error)) => {
            publishes.queue_refused(error);
            Ok(Heard::Nothing)
        }
        (Expected::Ignored | Expected::Queued, _) => Ok(Heard::Nothing),
        (Expected::Subscribed { channel, more }, Reply::Error(error)) => {
            // One error answers the whole command: nothing will confirm its further channels.
            let rest = expected.drain(..usize::from(more).min(expected.len()));
            let further = rest.filter_map(|expected| match expected {
                Expected::Subscribed { channel, .. } => Some(channel),
                _ => None,
            });
            let channels = std::iter::once(channel).chain(further).collect();
            Ok(Heard::SubscribeRefused { channels, error })
        }
        (Expected::Probe, Reply::Error(error)) => Err(GivenUp(format!(
            "SUBSCRIBE: {error}; let the user have the channels &*ws4redis:probe:*"
        ))),
        // Whoever asked for orders relies on them: to go on without would be to keep those who were sent away.
        (Expected::Control, Reply::Error(error)) => Err(GivenUp(format!(
            "SUBSCRIBE: {error}; let the user have the channel &*ws4redis:control, or leave [control] out"
        ))),
        (Expected::Canary, Reply::Error(error)) => Err(GivenUp(format!(
            "PUBLISH: {error}; let the user publish to *ws4redis:probe:*"
        ))),
        (Expected::Canary | Expected::Unsubscribed, _) => Ok(Heard::Nothing),
        // To take that for a key that is not there would leave everybody with what they have.
        (Expected::Value(_) | Expected::CaughtUp(_), Reply::Error(error)) if is_passing(&error) => {
            Ok(Heard::Outlived(format!("GET was answered with {error}")))
        }
        // A key of another type is nobody's message. Any other error hides one that may be there.
        (Expected::Value(channel) | Expected::CaughtUp(channel), Reply::Error(error))
            if !error.starts_with("WRONGTYPE") =>
        {
            Ok(Heard::ValueRefused { channel, error })
        }
        (Expected::Value(channel) | Expected::CaughtUp(channel), reply) => {
            let value = match reply {
                Reply::Bulk(value) if !value.is_empty() => Some(value),
                _ => None,
            };
            Ok(Heard::Value { channel, value })
        }
        (Expected::Session(id), reply) => Ok(session(id, reply)),
        (Expected::Published, reply) => published(reply, publishes),
        (answered, reply) => greeting(answered, reply),
    }
}

/// What the answer to a command of the greeting means.
pub(super) fn greeting(answered: Expected, reply: Reply) -> Result<Heard<'static>, GivenUp> {
    match (answered, reply) {
        (Expected::Hello, Reply::Map(map)) => Ok(Heard::Version(version(&map))),
        (Expected::Hello, Reply::Error(error)) => Err(GivenUp(greeting_advice(&error))),
        (Expected::Select, Reply::Error(error)) => {
            let advice = match is_denied(&error) {
                true => "let the user have +select",
                false => "name another database in the URL",
            };
            Err(GivenUp(format!("SELECT: {error}; {advice}")))
        }
        (Expected::Select, _) => Ok(Heard::Nothing),
        (Expected::Named, _) => Ok(Heard::Greeted),
        (answered, _) => Err(unexpected("another answer", Some(answered))),
    }
}

/// PING was answered with an error: Redis still loads, or the user may not. Either way no session is to be had.
pub(super) fn no_pong(error: &str) -> GivenUp {
    let advice = match is_denied(error) {
        true => "; let the user have +ping",
        false => "",
    };
    GivenUp(format!("PING was answered with {error}{advice}"))
}

/// What the answer to the GET of a session means.
pub(super) fn session(id: PeerId, reply: Reply) -> Heard<'static> {
    let stored = match reply {
        Reply::Null => StoredSession::None,
        Reply::Bulk(value) => StoredSession::Value(value),
        Reply::Error(error) if error.starts_with("WRONGTYPE") => {
            StoredSession::Unreadable(format!("GET: {error}"))
        }
        Reply::Error(error) => {
            StoredSession::Untold(format!("GET of a session was answered with {error}"))
        }
        _ => StoredSession::Unreadable("GET: too large, or no string".to_owned()),
    };
    Heard::Session { id, stored }
}

/// What came is not RESP, so nothing after it can be read.
pub(super) fn no_resp(malformed: Malformed) -> GivenUp {
    GivenUp(format!("it does not speak RESP: {malformed}"))
}

/// Redis said what it was not asked for: whatever it is, the order of answers is lost, and all that hangs on it.
pub(crate) fn unexpected(said: &str, expected: Option<Expected>) -> GivenUp {
    let expected = expected.map_or("none".to_owned(), |expected| format!("{expected:?}"));
    GivenUp(format!(
        "it sent {said} where the answer due was {expected}"
    ))
}

/// EXEC's answer, or that of a lone PUBLISH.
fn published(reply: Reply, publishes: &mut Publishes) -> Result<Heard<'static>, GivenUp> {
    // EXECABORT says only that something was refused before; what it was came with the refusal.
    let earlier = publishes.take_refusal();
    let error = match reply {
        Reply::Error(error) => Some(earlier.unwrap_or(error)),
        Reply::Array(replies) => replies.into_iter().find_map(|reply| match reply {
            Reply::Error(error) => Some(error),
            _ => None,
        }),
        _ => None,
    };
    match (publishes.answered(), error) {
        (Some(publish), Some(error)) if is_passing(&error) => {
            // What was not taken is sent again to whom we find next.
            publishes.again(publish);
            Ok(Heard::Outlived(format!(
                "a publish was answered with {error}"
            )))
        }
        // Taken, but after one that was not and that will follow it now: so it must come once more, after that.
        (Some(publish), None) if publishes.has_untaken() => {
            publishes.again(publish);
            Ok(Heard::Nothing)
        }
        (Some(publish), Some(error)) => Ok(Heard::PublishRefused { publish, error }),
        (Some(_), None) => Ok(Heard::Published),
        (None, _) => Err(unexpected("the answer to a publish", None)),
    }
}

/// The user has no right to it.
fn is_denied(error: &str) -> bool {
    error.starts_with("NOPERM")
}

/// A replica after a failover, or a Redis that still loads: another connection may do better.
fn is_passing(error: &str) -> bool {
    [
        "READONLY",
        "LOADING",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
    ]
    .iter()
    .any(|kind| error.contains(kind))
}

fn version(map: &[(Reply, Reply)]) -> String {
    let text = |reply: &Reply| match reply {
        Reply::Bulk(text) | Reply::Simple(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    };
    map.iter()
        .find(|(key, _)| text(key) == "version")
        .map_or("unknown".into(), |(_, v)| text(v))
}

/// What to do about a refused HELLO.
fn greeting_advice(error: &str) -> String {
    let kind = error.split_whitespace().next().unwrap_or_default();
    match kind {
        "WRONGPASS" => format!("{error} (check user and password in the URL)"),
        "NOAUTH" => format!("{error} (give a password: redis://[user]:password@host)"),
        "NOPERM" => format!("{error} (the user needs +hello)"),
        "DENIED" => "it is in protected mode; give it a password or bind it to loopback".to_owned(),
        "ERR" if error.contains("without any password configured") => {
            format!("{error} (leave the password out of the URL)")
        }
        "ERR" | "NOPROTO" => format!("{error} (HELLO 3 needs Redis 6 or newer)"),
        _ => error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_greeting_says_what_to_do() {
        for (error, advice) in [
            (
                "WRONGPASS invalid username-password pair",
                "check user and password",
            ),
            (
                "NOAUTH HELLO must be called with the client already authenticated",
                "give a password",
            ),
            ("ERR unknown command 'HELLO'", "Redis 6 or newer"),
            ("NOPROTO unsupported protocol version", "Redis 6 or newer"),
            (
                "DENIED Redis is running in protected mode because...",
                "bind it to loopback",
            ),
        ] {
            assert!(greeting_advice(error).contains(advice), "{error}");
        }
        let denied = "NOPERM this user has no permissions to run the 'select' command";
        for (error, advice) in [
            (denied, "+select"),
            ("ERR DB index is out of range", "another database"),
        ] {
            let GivenUp(why) =
                greeting(Expected::Select, Reply::Error(error.to_owned())).unwrap_err();
            assert!(why.contains(advice), "{why}");
        }
        assert!(no_pong(denied).0.contains("+ping"));
    }
}
