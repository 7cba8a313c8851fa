//! How addresses, networks and origins are written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::values::{Invalid, mode};
use super::{Listen, Origins};

/// Where the embedded Redis listens if it is switched on without an address. Not 6379: a real Redis on the
/// same machine is likely, and must not be shadowed.
pub(super) const EMBEDDED_DEFAULT: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6380);

/// A `sockaddr_un` holds 108 bytes, the last of them zero (unix(7)).
const UNIX_PATH_BYTES_MAX: usize = 107;

/// `ADDRESS:PORT`, or `unix:/path[?mode=0660]`; `mode_default` where no mode is said.
pub(super) fn listen(word: &str, mode_default: u32) -> Result<Listen, Invalid> {
    let Some(path) = word.strip_prefix("unix:") else {
        return word.parse().map(Listen::Tcp).map_err(|_| {
            Invalid::expected("ADDRESS:PORT such as 127.0.0.1:8000, or unix:/path", word)
        });
    };
    let (path, mode) = match path.split_once("?mode=") {
        Some((path, bits)) => (path, mode(bits)?),
        None => (path, mode_default),
    };
    if path.is_empty() || path.len() > UNIX_PATH_BYTES_MAX || path.contains(['?', '\0']) {
        return Err(Invalid::expected(
            "unix:/path, at most 107 bytes long, such as unix:/run/ws4redis.sock?mode=0660",
            word,
        ));
    }
    Ok(Listen::Unix {
        path: PathBuf::from(path),
        mode,
    })
}

/// As `listen` reads it.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix { path, mode } => write!(f, "unix:{}?mode={mode:04o}", path.display()),
        }
    }
}

/// `ADDRESS:PORT`, or `off`.
pub(super) fn admin(word: &str) -> Result<Option<SocketAddr>, Invalid> {
    match word {
        "off" => Ok(None),
        _ => word
            .parse()
            .map(Some)
            .map_err(|_| Invalid::expected("ADDRESS:PORT such as 127.0.0.1:8001, or off", word)),
    }
}

/// `ADDRESS:PORT`, or whether at all.
pub(super) fn embedded(word: &str) -> Result<Option<SocketAddr>, Invalid> {
    if let Ok(on) = super::values::switch(word) {
        return Ok(on.then_some(EMBEDDED_DEFAULT));
    }
    word.parse()
        .map(Some)
        .map_err(|_| Invalid::expected("on, off or ADDRESS:PORT such as 127.0.0.1:6380", word))
}

/// `ADDRESS`, or `ADDRESS/BITS`.
pub(super) fn network(word: &str) -> Result<IpNet, Invalid> {
    word.parse()
        .or_else(|_| word.parse::<IpAddr>().map(IpNet::from))
        .map(|net| net.trunc())
        .map_err(|_| Invalid::expected("a network such as 10.0.0.0/8 or ::1", word))
}

/// `same-host` alone, `any` alone, or origins.
pub(super) fn origins(words: &[String]) -> Result<Origins, Invalid> {
    match words {
        [word] if word == "same-host" => Ok(Origins::SameHost),
        [word] if word == "any" => Ok(Origins::Any),
        [] => Err(Invalid(
            "must be same-host, any, or origins such as https://example.com".to_owned(),
        )),
        words => Ok(Origins::Listed(
            words
                .iter()
                .map(|word| origin(word))
                .collect::<Result<_, _>>()?,
        )),
    }
}

/// As browsers serialise it (RFC 6454 6.2): lower case, without the scheme's own port, without a path.
fn origin(word: &str) -> Result<String, Invalid> {
    let invalid = || {
        Invalid::expected(
            "scheme://host[:port] without a path, such as https://example.com or https://*.example.com (same-host and \
             any stand alone)",
            word,
        )
    };
    let lower = word.to_ascii_lowercase();
    let (scheme, host) = lower.split_once("://").ok_or_else(invalid)?;
    let port_of_scheme = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let host = host.strip_suffix(port_of_scheme).unwrap_or(host);
    // A browser sends a host in another script as punycode (xn--...), so anything else would never match.
    let is_strange = |c: char| !c.is_ascii_graphic() || "/?#@*,".contains(c);
    // A star anywhere else, or of a top-level domain, would let strangers in: `*.com`, `example.*`.
    let (stars, rest) = match host.strip_prefix("*.") {
        Some(rest) => (
            rest.split(':')
                .next()
                .is_some_and(|name| name.contains('.')),
            rest,
        ),
        None => (true, host),
    };
    if scheme.is_empty() || rest.is_empty() || !stars || rest.contains(is_strange) {
        return Err(invalid());
    }
    Ok(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_addresses_or_unix_sockets_with_a_mode() {
        assert_eq!(
            listen("[::1]:8000", 0),
            Ok(Listen::Tcp("[::1]:8000".parse().unwrap()))
        );
        let socket = |mode| Listen::Unix {
            path: "/run/x.sock".into(),
            mode,
        };
        assert_eq!(listen("unix:/run/x.sock", 0o660), Ok(socket(0o660)));
        assert_eq!(
            listen("unix:/run/x.sock?mode=0600", 0o660),
            Ok(socket(0o600))
        );
        for listener in ["127.0.0.1:80", "[::1]:0", "unix:/run/x.sock?mode=0600"] {
            assert_eq!(listen(listener, 0).unwrap().to_string(), listener);
        }
    }

    #[test]
    fn what_is_no_listener_says_what_one_looks_like() {
        for word in ["", "8000", "localhost:8000", "/run/x.sock", "127.0.0.1"] {
            assert!(
                listen(word, 0).unwrap_err().0.contains("127.0.0.1:8000"),
                "{word}"
            );
        }
        let long = format!("unix:/{}", "x".repeat(107));
        for word in ["unix:", "unix:/x?mod=0600", "unix:/x?mode=9", long.as_str()] {
            assert!(listen(word, 0).unwrap_err().0.contains("0660"), "{word}");
        }
    }

    #[test]
    fn the_embedded_redis_is_switched_or_placed() {
        assert_eq!(embedded("on"), Ok(Some(EMBEDDED_DEFAULT)));
        assert_eq!(embedded("off"), Ok(None));
        assert_eq!(
            embedded("127.0.0.1:0"),
            Ok(Some("127.0.0.1:0".parse().unwrap()))
        );
        assert!(embedded("6380").is_err());
    }

    #[test]
    fn a_network_may_be_one_address_and_its_host_bits_are_dropped() {
        assert_eq!(network("127.0.0.1").unwrap().to_string(), "127.0.0.1/32");
        assert_eq!(network("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert!(network("10.0.0.0/33").is_err());
    }

    #[test]
    fn origins_are_kept_as_browsers_send_them() {
        let listed = |words: &[&str]| {
            origins(
                &words
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(listed(&["same-host"]), Ok(Origins::SameHost));
        assert_eq!(listed(&["any"]), Ok(Origins::Any));
        assert_eq!(
            listed(&[
                "HTTPS://Example.com:443",
                "http://localhost:8080",
                "https://*.Example.com:443"
            ]),
            Ok(Origins::Listed(vec![
                "https://example.com".to_owned(),
                "http://localhost:8080".to_owned(),
                "https://*.example.com".to_owned()
            ]))
        );
        for words in [
            &["example.com"][..],
            &["https://example.com/"],
            &["https://*.com"],
            &["https://*"],
            &["https://a.*.example.com"],
            &["https://*example.com"],
            &["https://*.*.example.com"],
            &["https://*.example.com/"],
            &["null"],
            &["https://"],
            &["same-host", "https://example.com"],
            &[],
        ] {
            assert!(listed(words).is_err(), "{words:?}");
        }
    }
}
