//! Where in a request the token stands.
//!
//! `Authorization: Bearer <token>` for programs, the subprotocol pair `bearer, <token>` for browsers (their
//! `WebSocket` can set no other header), a cookie, and a query parameter where the operator wants it: that one
//! ends up in the logs of every proxy on the way.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::refusal::Refusal;
use crate::wire::http::{BEARER, Field, Head, SUBPROTOCOL};

/// Where to look for a token, besides `Authorization` and the subprotocols.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The name of a cookie.
    pub cookie: Option<String>,
    /// The name of a query parameter.
    pub query: Option<String>,
}

/// Finds the token of a request; `None` if it has none. RFC 6750 2: a client must not use more than one of the
/// ways. A cookie comes without the client's asking, so it counts where nothing else does.
pub fn bearer<'a>(head: &Head<'a>, places: &Places) -> Option<Result<Cow<'a, str>, Refusal>> {
    asked(head, places.query.as_deref())
        .transpose()
        .or_else(|| cookie(head, places.cookie.as_deref()).map(Ok))
}

fn asked<'a>(head: &Head<'a>, query: Option<&str>) -> Result<Option<Cow<'a, str>>, Refusal> {
    let ways = [
        authorization(head)?.map(Cow::Borrowed),
        subprotocol(head)?.map(Cow::Borrowed),
        match query {
            Some(name) => parameter(head, name)?,
            None => None,
        },
    ];
    let mut ways = ways.into_iter().flatten();
    match (ways.next(), ways.next()) {
        (_, Some(_)) => Err(Refusal::Duplicate),
        (token, None) => Ok(token),
    }
}

/// RFC 6750 2.1. Another scheme (a proxy's Basic) is none of our business.
fn authorization<'a>(head: &Head<'a>) -> Result<Option<&'a str>, Refusal> {
    let value = match head.field("authorization") {
        Field::Absent => return Ok(None),
        Field::Repeated => return Err(Refusal::Duplicate),
        Field::Once(value) => text(value)?,
    };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    Ok(scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim()))
}

fn subprotocol<'a>(head: &Head<'a>) -> Result<Option<&'a str>, Refusal> {
    let mut offered = head.list(SUBPROTOCOL);
    let is_bearer = |name: &&[u8]| name.eq_ignore_ascii_case(BEARER.as_bytes());
    if !offered.any(|name| is_bearer(&name)) {
        return Ok(None);
    }
    let token = offered.next().ok_or(Refusal::Malformed)?;
    if is_bearer(&token) || offered.any(|name| is_bearer(&name)) {
        return Err(Refusal::Duplicate);
    }
    text(token).map(Some)
}

fn parameter<'a>(head: &Head<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let (_, query) = head.split_target();
    let mut values = query.split('&').filter_map(|parameter| {
        let (found, value) = parameter.split_once('=')?;
        let found = percent_decode_str(found).decode_utf8().ok()?;
        (found == name && !value.is_empty()).then_some(value)
    });
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Refusal::Duplicate),
        (Some(value), None) => percent_decode_str(value)
            .decode_utf8()
            .map(Some)
            .map_err(|_| Refusal::Malformed),
    }
}

/// An empty cookie is what many sites leave behind after logout.
fn cookie<'a>(head: &Head<'a>, name: Option<&str>) -> Option<Cow<'a, str>> {
    head.cookie(name?)
        .filter(|token| !token.is_empty())
        .map(Cow::Borrowed)
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    str::from_utf8(bytes)
        .map(str::trim)
        .map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::with_head;

    /// What is found in a request with these fields, if the cookie `jwt` and the parameter `token` count.
    fn found(target: &str, fields: &str) -> Option<Result<String, Refusal>> {
        let places = Places {
            cookie: Some("jwt".into()),
            query: Some("token".into()),
        };
        found_in(&places, target, fields)
    }

    fn found_in(places: &Places, target: &str, fields: &str) -> Option<Result<String, Refusal>> {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        with_head(text.as_bytes(), 8_192, |head, _| {
            bearer(head, places).map(|token| token.map(Cow::into_owned))
        })
        .unwrap()
        .unwrap()
    }

    #[test]
    fn a_token_is_found_in_each_place() {
        for (target, fields) in [
            ("/", "Authorization: Bearer a.b.c\r\n"),
            ("/", "authorization: bearer  a.b.c \r\n"),
            ("/", "Sec-WebSocket-Protocol: bearer, a.b.c\r\n"),
            ("/", "Sec-WebSocket-Protocol: v1,Bearer ,\ta.b.c, v2\r\n"),
            (
                "/",
                "Sec-WebSocket-Protocol: bearer\r\nSec-WebSocket-Protocol: a.b.c\r\n",
            ),
            ("/", "Cookie: x=y; jwt=a.b.c\r\n"),
            ("/?echo&token=a.b.c", ""),
            ("/?to%6ben=a%2Eb.c", ""),
            ("/?token=a.b.c", "Authorization: Basic eDp5\r\n"),
            // The cookie is the browser's idea, the other is the client's.
            ("/", "Cookie: jwt=x.y.z\r\nAuthorization: Bearer a.b.c\r\n"),
        ] {
            let token = found(target, fields);
            assert_eq!(token, Some(Ok("a.b.c".into())), "{target} {fields}");
        }
    }

    #[test]
    fn a_token_is_not_found_where_it_does_not_count() {
        for (target, fields) in [
            ("/?token", ""),
            ("/?token=&tokens=a.b.c", ""),
            ("/a.b.c", "Authorization: Basic eDp5\r\n"),
            ("/", "Sec-WebSocket-Protocol: v1, a.b.c\r\n"),
            ("/", "Cookie: jwt=\r\n"),
            ("/", "Cookie: JWT=a.b.c\r\n"),
            ("/", "Proxy-Authorization: Bearer a.b.c\r\n"),
        ] {
            assert_eq!(found(target, fields), None, "{target} {fields}");
        }
        let none = Places::default();
        assert_eq!(
            found_in(&none, "/?token=a.b.c", "Cookie: jwt=a.b.c\r\n"),
            None
        );
    }

    #[test]
    fn a_token_in_two_places_is_refused() {
        for (target, fields) in [
            (
                "/",
                "Authorization: Bearer a.b.c\r\nAuthorization: Bearer a.b.c\r\n",
            ),
            (
                "/",
                "Authorization: Bearer a.b.c\r\nAuthorization: Basic eDp5\r\n",
            ),
            ("/?token=a.b.c", "Authorization: Bearer a.b.c\r\n"),
            ("/?token=a.b.c&token=a.b.c", ""),
            ("/", "Sec-WebSocket-Protocol: bearer, a, bearer, b\r\n"),
            ("/", "Sec-WebSocket-Protocol: bearer, bearer\r\n"),
            (
                "/",
                "Authorization: Bearer a.b.c\r\nSec-WebSocket-Protocol: bearer, a.b.c\r\n",
            ),
        ] {
            assert_eq!(
                found(target, fields),
                Some(Err(Refusal::Duplicate)),
                "{target} {fields}"
            );
        }
        for (target, fields) in [
            ("/", "Sec-WebSocket-Protocol: a.b.c, bearer\r\n"),
            ("/?token=%FF", ""),
        ] {
            let refused = found(target, fields);
            assert_eq!(refused, Some(Err(Refusal::Malformed)), "{target} {fields}");
        }
    }
}
