//! Who is it: the session cookie, and from trusted peers the identity headers.
//!
//! The headers come from a proxy that has asked the application. Anybody can send them, so they count only from
//! a unix socket or a listed address; an untrusted peer's copies are ignored, not refused, because a client may
//! not be able to know what stands between. From a trusted peer a header that stands twice is refused: it
//! means that the proxy *added* its own to the client's instead of replacing it.

use percent_encoding::percent_decode_str;

use crate::channel::Identity;
use crate::refusal::Refusal;
use crate::wire::http::{Field, Head};

/// The user's name, percent-encoded.
pub const USER_HEADER: &str = "X-Ws4redis-User";
/// The groups: a comma-separated list, each percent-encoded.
pub const GROUPS_HEADER: &str = "X-Ws4redis-Groups";
/// The session key, percent-encoded.
pub const SESSION_HEADER: &str = "X-Ws4redis-Session";

/// The identity behind a request.
pub(crate) fn identify(head: &Head<'_>, cookie: &str, trusted: bool) -> Result<Identity, Refusal> {
    let mut identity = Identity::default();
    let key = head
        .cookie(cookie)
        .filter(|key| !key.is_empty() && !key.chars().any(char::is_control));
    identity.session = key.map(str::to_owned);
    if !trusted {
        return Ok(identity);
    }
    identity.user = header(head, USER_HEADER)?;
    if let Some(groups) = raw(head, GROUPS_HEADER)? {
        for group in groups
            .split(',')
            .map(str::trim)
            .filter(|group| !group.is_empty())
        {
            identity.groups.push(decoded(group)?);
        }
    }
    if let Some(session) = header(head, SESSION_HEADER)? {
        identity.session = Some(session);
    }
    Ok(identity)
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
