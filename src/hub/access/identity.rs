//! Who is it, as far as the head of a request tells: the sources in the order of `identity`.
//!
//! The headers come from a proxy that has asked the application. Anybody can send them, so they count only from
//! a unix socket or a listed address; an untrusted peer's copies are ignored, not refused, because a client may
//! not be able to know what stands between. From a trusted peer a header that stands twice is refused: it
//! means that the proxy *added* its own to the client's instead of replacing it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::callback::Question;
use super::jwt::{self, Claims};
use super::signed_headers::SignatureRefused;
use super::testimony::Testimony;
use super::{Access, Step, StoredAt, Target};
use crate::channel::Identity;
use crate::config::{Config, Source};
use crate::limits::GROUPS_MAX;
use crate::refusal::{Refusal, Refused};
use crate::wire::http::{Field, Head};
use crate::wire::http_client::forwardable;

/// The user's name, percent-encoded.
pub const USER_HEADER: &str = "X-Ws4redis-User";
/// The groups: a comma-separated list, each percent-encoded.
pub const GROUPS_HEADER: &str = "X-Ws4redis-Groups";
/// The session key, percent-encoded.
pub const SESSION_HEADER: &str = "X-Ws4redis-Session";

impl Access {
    /// What is to be done to hear the sources, in their order. What is in the head of the request is said now.
    pub(super) fn identify(
        &self,
        head: &Head<'_>,
        target: &Target,
        config: &Config,
        trusted: bool,
        unix: Duration,
    ) -> Result<VecDeque<Step>, Refused> {
        let mut steps = VecDeque::new();
        for source in &config.identity {
            let said = match source {
                Source::Headers if trusted && self.is_signed(head, unix)? => headers(head)?.into(),
                Source::Cookie => cookie(head, &config.session_cookie).into(),
                Source::Jwt => self
                    .token(head, unix)?
                    .map_or_else(Testimony::default, Testimony::from),
                Source::Django => {
                    steps.extend(self.stored(head, &config.session_cookie, unix));
                    continue;
                }
                Source::Callback => {
                    steps.push_back(Step::Ask(Box::new(question(head, target))));
                    continue;
                }
                Source::Headers => continue,
            };
            steps.push_back(Step::Said(Box::new(said)));
        }
        Ok(steps)
    }

    /// Where Django's session is; `None` for who cannot have one.
    fn stored(&self, head: &Head<'_>, cookie: &str, unix: Duration) -> Option<Step> {
        let django = self.django.as_ref()?;
        let cookie = head.cookie(cookie)?;
        if django.is_in_cookie() {
            return Some(match django.read(None, cookie.as_bytes(), unix) {
                Ok(testimony) => Step::Said(Box::new(testimony)),
                Err(bad) => Step::Unreadable(bad),
            });
        }
        Some(Step::Stored(StoredAt {
            key: cookie.to_owned(),
            redis_key: django.redis_key(cookie)?,
            django: Arc::clone(django),
        }))
    }

    /// Who has no token is somebody for the next source; who has a bad one is told so, or it would be let in as
    /// nobody and wonder.
    fn token(&self, head: &Head<'_>, unix: Duration) -> Result<Option<Claims>, Refused> {
        let Some((verifier, places)) = &self.jwt else {
            return Ok(None);
        };
        let Some(token) = jwt::bearer(head, places) else {
            return Ok(None);
        };
        match verifier.verify(&token?, unix) {
            Ok(claims) => Ok(Some(claims)),
            Err(refused) => Err(forbidden(refused)),
        }
    }

    /// Do the identity headers of a trusted peer count? Where signatures are asked for, unsigned headers say
    /// nothing, as those of strangers do; a bad signature is somebody's mistake, or an attack.
    fn is_signed(&self, head: &Head<'_>, unix: Duration) -> Result<bool, Refused> {
        match &self.signed_headers {
            None => Ok(true),
            Some(signed) => match signed.verify(head, unix) {
                Ok(()) => Ok(true),
                Err(SignatureRefused::Missing) => Ok(false),
                Err(SignatureRefused::Repeated) => Err(Refusal::Duplicate.into()),
                Err(refused) => Err(forbidden(refused)),
            },
        }
    }
}

fn question(head: &Head<'_>, target: &Target) -> Question {
    Question {
        forwarded: forwardable(head),
        original_uri: head.target.to_owned(),
        facility: target.facility.clone(),
        flags: target.flags.clone(),
    }
}

/// The log gets the reason, which holds nothing of what it is about.
fn forbidden(why: impl ToString) -> Refused {
    Refused {
        refusal: Refusal::Forbidden,
        why: Some(why.to_string()),
    }
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
    let groups: Vec<String> = groups
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(decoded)
        .collect::<Result<_, _>>()?;
    // To leave some out would be to say that its user is not in them.
    if groups.len() > GROUPS_MAX {
        return Err(Refusal::Malformed);
    }
    Ok(Identity {
        user: header(head, USER_HEADER)?,
        groups,
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
            let access = Access::new(config).unwrap();
            let target = Target::new("/ws/f", "", config, &access.rules).unwrap();
            access.identify(head, &target, config, trusted, Duration::ZERO)
        });
        let mut testimony = Testimony::default();
        for step in identified.unwrap().unwrap().unwrap() {
            match step {
                Step::Said(said) => testimony.add(*said),
                other => panic!("{other:?}"),
            }
        }
        testimony.identity
    }

    fn with(identity: &[Source]) -> Config {
        Config {
            identity: identity.to_vec(),
            ..Config::default()
        }
    }

    #[test]
    fn a_proxy_that_names_more_groups_than_are_kept_is_refused() {
        let named = |count: usize| {
            let groups = vec!["g"; count].join(",");
            let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{GROUPS_HEADER}: {groups}\r\n\r\n");
            let identity = http::with_head(head.as_bytes(), 8_192, |head, _| headers(head));
            identity
                .unwrap()
                .unwrap()
                .map(|identity| identity.groups.len())
        };
        assert_eq!(named(GROUPS_MAX), Ok(GROUPS_MAX));
        assert_eq!(named(GROUPS_MAX + 1), Err(Refusal::Malformed));
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
            .keep(&mut signed, &"k".repeat(32))
            .unwrap();
        assert_eq!(identified(&signed, true), Identity::default());
    }
}
