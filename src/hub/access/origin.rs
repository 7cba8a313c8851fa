//! May a page of this origin connect?
//!
//! A browser sends a site's cookies with every WebSocket handshake to it, whichever page asks: without this
//! check any page in the world could listen as its visitor (cross-site WebSocket hijacking). Browsers always
//! send `Origin`, and scripts cannot forge it; who sends none is no page.

use crate::config::Origins;
use crate::refusal::Refusal;
use crate::wire::http::{Field, Head};

pub(crate) fn check(head: &Head<'_>, origins: &Origins) -> Result<(), Refusal> {
    let origin = match head.field("Origin") {
        Field::Absent => return Ok(()),
        Field::Repeated => return Err(Refusal::Duplicate),
        Field::Once(origin) => std::str::from_utf8(origin)
            .map_err(|_| Refusal::Malformed)?
            .trim(),
    };
    let allowed = match origins {
        Origins::Any => true,
        Origins::Listed(listed) => listed
            .iter()
            .any(|allowed| without_default_port(origin).eq_ignore_ascii_case(allowed)),
        Origins::SameHost => match head.field("Host") {
            Field::Once(host) => {
                std::str::from_utf8(host).is_ok_and(|host| is_same_host(origin, host))
            }
            _ => false,
        },
    };
    if allowed {
        Ok(())
    } else {
        Err(Refusal::Origin)
    }
}

/// `https://example.com` for `https://example.com:443`.
fn without_default_port(origin: &str) -> &str {
    for (scheme, port) in [("https://", ":443"), ("http://", ":80")] {
        if origin
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        {
            return origin.strip_suffix(port).unwrap_or(origin);
        }
    }
    origin
}

fn is_same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, origin_host)) = without_default_port(origin).split_once("://") else {
        return false;
    };
    // Behind a proxy that ends TLS, Host may carry the default port of either scheme, or none.
    let port = if scheme.eq_ignore_ascii_case("https") {
        ":443"
    } else {
        ":80"
    };
    let host = host.trim();
    origin_host.eq_ignore_ascii_case(host.strip_suffix(port).unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_host_is_the_same_name_and_port() {
        for (origin, host) in [
            ("https://example.com", "example.com"),
            ("https://Example.com", "example.COM"),
            ("https://example.com:443", "example.com"),
            ("https://example.com", "example.com:443"),
            ("http://127.0.0.1:8000", "127.0.0.1:8000"),
            ("http://[::1]:8000", "[::1]:8000"),
        ] {
            assert!(is_same_host(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "example.com"),
            ("https://example.com.evil.org", "example.com"),
            ("https://evil.org/example.com", "example.com"),
            ("https://example.com:8443", "example.com"),
            ("http://example.com:443", "example.com"),
            ("file://", ""),
        ] {
            assert!(
                !is_same_host(origin, host) || host.is_empty(),
                "{origin} {host}"
            );
        }
    }
}
