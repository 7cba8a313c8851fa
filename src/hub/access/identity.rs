//! Who is it: the session cookie, and from trusted peers the identity headers, in the order of `identity`.
//!
//! The headers come from a proxy that has asked the application. Anybody can send them, so they count only from
//! a unix socket or a listed address; an untrusted peer's copies are ignored, not refused, because a client may
//! not be able to know what stands between. From a trusted peer a header that stands twice is refused: it
//! means that the proxy *added* its own to the client's instead of replacing it.

use percent_encoding::percent_decode_str;

use crate::channel::Identity;
use crate::config::{Config, Source};
use crate::refusal::Refusal;
use crate::wire::http::{Field, Head};

/// The user's name, percent-encoded.
pub const USER_HEADER: &str = "X-Ws4redis-User";
/// The groups: a comma-separated list, each percent-encoded.
pub const GROUPS_HEADER: &str = "X-Ws4redis-Groups";
/// The session key, percent-encoded.
pub const SESSION_HEADER: &str = "X-Ws4redis-Session";

/// The identity behind a request, as far as its head tells: the first source that knows the user says who it is,
/// and the first that knows a session says that. The sources that have to ask somebody are not asked here.
pub(crate) fn identify(
    head: &Head<'_>,
    config: &Config,
    trusted: bool,
) -> Result<Identity, Refusal> {
    let mut identity = Identity::default();
    for source in &config.identity {
        let found = match source {
            // Where signed ones are asked for, unsigned ones say nothing.
            Source::Headers if trusted && config.headers_secret.is_none() => headers(head)?,
            Source::Cookie => cookie(head, &config.session_cookie),
            Source::Headers | Source::Django | Source::Jwt | Source::Callback => continue,
        };
        if identity.user.is_none() && identity.groups.is_empty() {
            identity.user = found.user;
            identity.groups = found.groups;
        }
        identity.session = identity.session.or(found.session);
    }
    Ok(identity)
}

fn cookie(head: &Head<'_>, name: &str) -> Identity {
    let key = head
        .cookie(name)
        .filter(|key| !key.is_empty() && !key.chars().any(char::is_control));
    Identity {
        session: key.map(str::to_owned),
        ..Identity::default()
    }
}

fn headers(head: &Head<'_>) -> Result<Identity, Refusal> {
    let groups = raw(head, GROUPS_HEADER)?.unwrap_or_default().split(',');
    Ok(Identity {
        user: header(head, USER_HEADER)?,
        groups: groups
            .map(str::trim)
            .filter(|group| !group.is_empty())
            .map(decoded)
            .collect::<Result<_, _>>()?,
        session: header(head, SESSION_HEADER)?,
    })
}

/// A header's one value, decoded. An empty one is as good as none: nginx sends those for unset variables.
fn header(head: &Head<'_>, name: &str) -> Result<Option<String>, Refusal> {
    raw(head, name)?
        .filter(|value| !value.is_empty())
        .map(decoded)
        .transpose()
}

fn raw<'a>(head: &Head<'a>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match head.field(name) {
        Field::Absent => Ok(None),
        Field::Repeated => Err(Refusal::Duplicate),
        Field::Once(value) => std::str::from_utf8(value)
            .map(|value| Some(value.trim()))
            .map_err(|_| Refusal::Malformed),
    }
}

fn decoded(value: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(value)
        .decode_utf8()
        .map_err(|_| Refusal::Malformed)?;
    // A control character in a name would be one in a channel's name, and in logs.
    if decoded.chars().any(char::is_control) {
        Err(Refusal::Malformed)
    } else {
        Ok(decoded.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http;

    fn identified(config: &Config, trusted: bool) -> Identity {
        let head = "GET / HTTP/1.1\r\nHost: h\r\nCookie: sessionid=of-cookie\r\nX-Ws4redis-User: john\r\n\
                    X-Ws4redis-Groups: a, b%2Cc\r\nX-Ws4redis-Session: of-header\r\n\r\n";
        let identified = http::with_head(head.as_bytes(), 8_192, |head, _| {
            identify(head, config, trusted)
        });
        identified.unwrap().unwrap().unwrap()
    }

    fn with(identity: &[Source]) -> Config {
        Config {
            identity: identity.to_vec(),
            ..Config::default()
        }
    }

    #[test]
    fn the_first_source_that_knows_the_session_says_it_and_the_cookie_says_nothing_of_a_user() {
        let john = |session: &str| Identity {
            user: Some("john".to_owned()),
            groups: vec!["a".to_owned(), "b,c".to_owned()],
            session: Some(session.to_owned()),
        };
        assert_eq!(identified(&Config::default(), true), john("of-header"));
        assert_eq!(
            identified(&with(&[Source::Cookie, Source::Headers]), true),
            john("of-cookie")
        );
        let cookie = identified(&with(&[Source::Cookie]), true);
        assert_eq!(
            (cookie.user, cookie.session.as_deref()),
            (None, Some("of-cookie"))
        );
        assert_eq!(identified(&with(&[Source::Jwt]), true), Identity::default());
    }

    #[test]
    fn an_untrusted_peer_is_nobody_and_so_is_a_proxy_that_does_not_sign_where_it_must() {
        assert_eq!(
            identified(&with(&[Source::Headers]), false),
            Identity::default()
        );
        let mut signed = with(&[Source::Headers]);
        crate::config::keys::Key::named("headers_secret_file")
            .unwrap()
            .keep(&mut signed, "key")
            .unwrap();
        assert_eq!(identified(&signed, true), Identity::default());
    }
}
