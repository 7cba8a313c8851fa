//! May a page of this origin connect?
//!
//! A browser sends a site's cookies with every WebSocket handshake to it, whichever page asks: without this
//! check any page in the world could listen as its visitor (cross-site WebSocket hijacking). Browsers always
//! send `Origin` (RFC 6455 10.2), and scripts cannot forge it; who sends none is no page. Unless it has a cookie
//! all the same: then something between took the `Origin` away, and with it the only sign of such an attack.

use crate::config::{Config, Origins, Source};
use crate::refusal::{Refusal, Refused};
use crate::wire::http::{Field, Head};

/// What of an `Origin` is told to the log; nobody's is longer.
const ORIGIN_CHARS_MAX: usize = 300;

/// Refuses the pages of others, and tells the log why.
pub(crate) fn check(head: &Head<'_>, trusted: bool, config: &Config) -> Result<(), Refused> {
    let origin = match head.field("Origin") {
        Field::Absent => return check_absent(head, config),
        Field::Repeated => return Err(Refusal::Duplicate.into()),
        Field::Once(origin) => text(origin)?,
    };
    let why = match &config.origins {
        Origins::Any => return Ok(()),
        Origins::Listed(listed) => {
            if listed.iter().any(|allowed| is_listed(origin, allowed)) {
                return Ok(());
            }
            "which `origins` does not list".to_owned()
        }
        Origins::SameHost => {
            let hosts = hosts(head, trusted)?;
            if hosts.iter().any(|host| is_same_host(origin, host)) {
                return Ok(());
            }
            let hosts: Vec<String> = hosts.iter().map(|host| shown(host)).collect();
            format!(
                "and the request is for {}; list other sites' pages in `origins`",
                hosts.join(" or ")
            )
        }
    };
    Err(Refused {
        refusal: Refusal::Origin,
        why: Some(format!("the page is of {}, {why}", shown(origin))),
    })
}

fn check_absent(head: &Head<'_>, config: &Config) -> Result<(), Refused> {
    // Where every page may connect, its absence hides nothing.
    let is_required = config.origin_required_with_cookie && config.origins != Origins::Any;
    if is_required && has_identity_cookie(head, config) {
        return Err(Refused {
            refusal: Refusal::Origin,
            why: Some(
                "it has a cookie that says who it is, and no Origin, which browsers always send; for other clients \
                 there is `origin_required_with_cookie = false`"
                    .to_owned(),
            ),
        });
    }
    Ok(())
}

/// Does it carry a cookie from which somebody may conclude who it is? The session cookie counts whatever the sources
/// are: where the headers are, the proxy may have asked the application with it.
fn has_identity_cookie(head: &Head<'_>, config: &Config) -> bool {
    let has = |name: &str| head.cookie(name).is_some();
    has(&config.session_cookie)
        || config.jwt.cookie.as_deref().is_some_and(has)
        // The application sees them all.
        || (config.identity.contains(&Source::Callback) && head.field("Cookie") != Field::Absent)
}

/// The hosts that this request is for: `Host`, and what it was before a trusted proxy changed it. A page cannot
/// send `X-Forwarded-Host`, so a proxy that passes a client's on opens no door to pages.
fn hosts<'a>(head: &Head<'a>, trusted: bool) -> Result<Vec<&'a str>, Refusal> {
    let mut hosts = Vec::with_capacity(2);
    if let Field::Once(host) = head.field("Host") {
        hosts.push(text(host)?);
    }
    if trusted {
        match head.field("X-Forwarded-Host") {
            Field::Absent => {}
            Field::Once(host) if !host.contains(&b',') => hosts.push(text(host)?),
            // Two of them, in two lines or in one: two readers could take different ones.
            Field::Once(_) | Field::Repeated => return Err(Refusal::Duplicate),
        }
    }
    Ok(hosts)
}

fn text(value: &[u8]) -> Result<&str, Refusal> {
    str::from_utf8(value)
        .map(str::trim)
        .map_err(|_| Refusal::Malformed)
}

/// In quotes and escaped: it is a stranger's text.
fn shown(text: &str) -> String {
    format!(
        "{:?}",
        text.chars().take(ORIGIN_CHARS_MAX).collect::<String>()
    )
}

/// Is it this one, or a sub-domain where `allowed` is `scheme://*.host[:port]`?
fn is_listed(origin: &str, allowed: &str) -> bool {
    let origin = without_default_port(origin);
    let Some((scheme, host)) = allowed.split_once("://*") else {
        return origin.eq_ignore_ascii_case(allowed);
    };
    let Some((origin_scheme, origin_host)) = origin.split_once("://") else {
        return false;
    };
    // `host` begins with its dot, so `evil-example.com` is no sub-domain of `example.com`. It is ASCII, so a cut
    // that is no character's boundary is no match.
    let labels = origin_host
        .len()
        .checked_sub(host.len())
        .and_then(|at| origin_host.split_at_checked(at))
        .filter(|(_, rest)| rest.eq_ignore_ascii_case(host))
        .map(|(labels, _)| labels);
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    origin_scheme.eq_ignore_ascii_case(scheme)
        && labels.is_some_and(|labels| labels.split('.').all(is_label))
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
    !origin_host.is_empty()
        && origin_host.eq_ignore_ascii_case(host.strip_suffix(port).unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::http;

    fn judged(fields: &str, trusted: bool, config: &Config) -> Result<(), Refused> {
        let head = format!("GET / HTTP/1.1\r\nHost: example.com\r\n{fields}\r\n");
        let judged = http::with_head(head.as_bytes(), 8_192, |head, _| {
            check(head, trusted, config)
        });
        judged.unwrap().unwrap()
    }

    fn refusal(fields: &str, trusted: bool, config: &Config) -> Option<Refusal> {
        judged(fields, trusted, config)
            .err()
            .map(|refused| refused.refusal)
    }

    fn listed(origins: &[&str]) -> Config {
        Config {
            origins: Origins::Listed(origins.iter().map(|origin| (*origin).to_owned()).collect()),
            ..Config::default()
        }
    }

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
            ("null", "null"),
            ("https://example.com.evil.org", "example.com"),
            ("https://evil.org/example.com", "example.com"),
            ("https://example.com:8443", "example.com"),
            ("http://example.com:443", "example.com"),
            ("https://sub.example.com", "example.com"),
            ("file://", ""),
        ] {
            assert!(!is_same_host(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn a_listed_origin_is_exactly_that_scheme_host_and_port() {
        let config = listed(&["https://example.com", "http://localhost:8080"]);
        for origin in [
            "https://example.com",
            "HTTPS://EXAMPLE.com",
            "https://example.com:443",
            "http://localhost:8080",
        ] {
            assert_eq!(
                refusal(&format!("Origin: {origin}\r\n"), false, &config),
                None,
                "{origin}"
            );
        }
        for origin in [
            "http://example.com",
            "https://example.com:80",
            "https://example.com:8443",
            "https://www.example.com",
            "https://example.com.evil.org",
            "https://example.com@evil.org",
            "https://example.com/",
            "http://localhost",
            "null",
            "",
        ] {
            let fields = format!("Origin: {origin}\r\n");
            assert_eq!(
                refusal(&fields, true, &config),
                Some(Refusal::Origin),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_star_is_sub_domains_at_any_depth_and_not_the_domain_itself() {
        for (allowed, origins, others) in [
            (
                "https://*.example.com",
                &["https://a.example.com", "https://A.b.Example.com:443"][..],
                &[
                    "https://example.com",
                    "https://.example.com",
                    "https://a..example.com",
                    "https://evil-example.com",
                    "https://a.example.com.evil.org",
                    "https://evil.org/.example.com",
                    "https://evil.org?.example.com",
                    "https://x@a.example.com",
                    "https://a.example.com:8443",
                    "http://a.example.com",
                    "https://\u{e4}.example.com",
                    "https://\u{e4}xample.com",
                    "null",
                ][..],
            ),
            (
                "http://*.example.com:8080",
                &["http://a.example.com:8080"],
                &["http://a.example.com", "http://example.com:8080"],
            ),
        ] {
            for origin in origins {
                assert!(is_listed(origin, allowed), "{origin}");
            }
            for origin in others {
                assert!(!is_listed(origin, allowed), "{origin}");
            }
        }
    }

    #[test]
    fn only_any_lets_null_in() {
        let any = Config {
            origins: Origins::Any,
            ..Config::default()
        };
        assert_eq!(refusal("Origin: null\r\n", false, &any), None);
        for config in [Config::default(), listed(&["https://example.com"])] {
            assert_eq!(
                refusal("Origin: null\r\n", true, &config),
                Some(Refusal::Origin)
            );
        }
    }

    #[test]
    fn a_trusted_proxy_says_what_the_host_was_and_once() {
        let config = Config::default();
        let site = "Origin: https://site.example\r\nX-Forwarded-Host: site.example\r\n";
        assert_eq!(refusal(site, true, &config), None);
        assert_eq!(refusal(site, false, &config), Some(Refusal::Origin));
        let own = "Origin: https://example.com\r\nX-Forwarded-Host: other.example\r\n";
        assert_eq!(refusal(own, true, &config), None, "Host is as good");
        for twice in [
            "X-Forwarded-Host: site.example\r\nX-Forwarded-Host: evil.example\r\n",
            "X-Forwarded-Host: site.example, evil.example\r\n",
        ] {
            let fields = format!("Origin: https://site.example\r\n{twice}");
            assert_eq!(
                refusal(&fields, true, &config),
                Some(Refusal::Duplicate),
                "{twice}"
            );
        }
        let two = "Origin: https://example.com\r\nOrigin: https://example.com\r\n";
        assert_eq!(refusal(two, true, &config), Some(Refusal::Duplicate));
    }

    #[test]
    fn who_has_an_identity_in_a_cookie_has_an_origin_too() {
        let mut config = Config::default();
        config.jwt.cookie = Some("token".to_owned());
        assert_eq!(refusal("", false, &config), None);
        assert_eq!(refusal("Cookie: theme=dark\r\n", false, &config), None);
        for cookie in [
            "Cookie: sessionid=k\r\n",
            "Cookie: a=b; token=t\r\n",
            "Cookie: sessionid=\r\n",
        ] {
            assert_eq!(
                refusal(cookie, true, &config),
                Some(Refusal::Origin),
                "{cookie}"
            );
            let with_origin = format!("{cookie}Origin: https://example.com\r\n");
            assert_eq!(refusal(&with_origin, true, &config), None);
        }
        let asked = Config {
            identity: vec![Source::Callback],
            ..Config::default()
        };
        assert_eq!(
            refusal("Cookie: theme=dark\r\n", false, &asked),
            Some(Refusal::Origin)
        );
        let not_required = Config {
            origin_required_with_cookie: false,
            ..Config::default()
        };
        let any = Config {
            origins: Origins::Any,
            ..Config::default()
        };
        for config in [not_required, any] {
            assert_eq!(refusal("Cookie: sessionid=k\r\n", false, &config), None);
        }
    }

    #[test]
    fn the_log_is_told_why_in_words_that_cannot_break_a_line() {
        let why =
            |fields: &str, config: &Config| judged(fields, false, config).unwrap_err().why.unwrap();
        let other = why("Origin: https://evil.example\r\n", &Config::default());
        assert!(
            other.contains("\"https://evil.example\"") && other.contains("\"example.com\""),
            "{other}"
        );
        let listed = listed(&["https://example.com"]);
        assert!(why("Origin: https://evil.example\r\n", &listed).contains("does not list"));
        assert!(why("Cookie: sessionid=k3y\r\n", &listed).contains("origin_required_with_cookie"));
        assert!(!why("Cookie: sessionid=k3y\r\n", &listed).contains("k3y"));
        let strange = format!("Origin: \u{9b}31m\u{2028}{}\r\n", "x".repeat(1_000));
        let shown = why(&strange, &listed);
        assert!(
            shown.contains("\\u{9b}31m\\u{2028}") && shown.len() < 600,
            "{shown}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_passes_as_a_sub_domain_is_one(
            origin in "(https://)?([a.@/?:]|\\PC){0,6}(\\.?example\\.com)?(:443)?",
        ) {
            if is_listed(&origin, "https://*.example.com") {
                let host = origin.strip_prefix("https://").unwrap();
                let host = host.strip_suffix(":443").unwrap_or(host);
                let labels = host.strip_suffix(".example.com").unwrap();
                prop_assert!(!labels.is_empty() && !labels.contains(['/', '@', ':', '?', '#', '\\']));
            }
            is_same_host(&origin, &origin);
        }
    }
}
