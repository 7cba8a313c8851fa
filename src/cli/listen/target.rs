//! Whom to connect to, and what to ask for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request;
use tungstenite::http::{HeaderName, HeaderValue, Uri, header};
use ws4redis::Config;
use ws4redis::config::Listen as Address;

use crate::cli::Failure;
use crate::cli::arguments::Listen;

/// A WebSocket server, and the handshake for it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) request: Request,
    /// Does the request ask for a channel to publish to?
    pub(super) publishes: bool,
}

/// Where a socket is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A host and a port.
    Tcp(String, u16),
    /// A unix socket.
    Unix(PathBuf),
}

/// What must be escaped in a path (RFC 3986 3.3); slashes stand for themselves in a facility.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl Target {
    /// What the arguments name: a URL, or a facility of the configured gateway.
    pub(super) fn new(arguments: &Listen, config: &Config) -> Result<Target, Failure> {
        let flags = arguments.flags.typed();
        let (place, url) = match arguments.target.split_once("://") {
            Some(("ws", _)) => with_flags(&arguments.target, &flags)?,
            Some(("wss", _)) => {
                return usage("wss:// is not supported: connect to the gateway itself, by ws://");
            }
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
                return usage("the URL must begin with ws://");
            }
            _ => of_facility(&arguments.target, &flags, config)?,
        };
        let publishes = url.split_once('?').is_some_and(|(_, query)| {
            query
                .split('&')
                .any(|flag| flag.trim().to_ascii_lowercase().starts_with("publish-"))
        });
        let mut request = url
            .into_client_request()
            .map_err(|error| Failure::Usage(format!("this URL cannot be used: {error}")))?;
        add_fields(&mut request, arguments)?;
        Ok(Target {
            place,
            request,
            publishes,
        })
    }

    /// For messages; without the query, which may hold a token.
    pub(super) fn name(&self) -> String {
        let path = self.request.uri().path();
        match &self.place {
            Place::Tcp(host, port) if host.contains(':') => format!("ws://[{host}]:{port}{path}"),
            Place::Tcp(host, port) => format!("ws://{host}:{port}{path}"),
            Place::Unix(socket) => format!("{path} on {}", socket.display()),
        }
    }
}

fn with_flags(url: &str, flags: &[&str]) -> Result<(Place, String), Failure> {
    let uri: Uri = url
        .parse()
        .map_err(|error| Failure::Usage(format!("this is no URL: {error}")))?;
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return usage("the URL must have a host, such as ws://127.0.0.1:8000/ws/news");
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let place = Place::Tcp(host.to_owned(), uri.port_u16().unwrap_or(80));
    let mut url = url.to_owned();
    for flag in flags {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(flag);
    }
    Ok((place, url))
}

fn of_facility(
    facility: &str,
    flags: &[&str],
    config: &Config,
) -> Result<(Place, String), Failure> {
    let (place, host) = match config.listen.first() {
        Some(Address::Tcp(address)) if address.port() != 0 => {
            let address = reachable(*address);
            (
                Place::Tcp(address.ip().to_string(), address.port()),
                address.to_string(),
            )
        }
        Some(Address::Unix { path, .. }) => (Place::Unix(path.clone()), "localhost".to_owned()),
        _ => {
            return usage("listen must begin with the address of a running gateway, or name a URL");
        }
    };
    let path = utf8_percent_encode(facility, PATH);
    let flags = match flags {
        [] | ["echo"] => [&["subscribe-broadcast"], flags].concat(),
        flags => flags.to_vec(),
    };
    let url = format!(
        "ws://{host}{}{path}?{}",
        config.websocket_url,
        flags.join("&")
    );
    Ok((place, url))
}

/// A gateway that listens on all addresses is reached on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn add_fields(request: &mut Request, arguments: &Listen) -> Result<(), Failure> {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| Failure::Usage("a header's value must be one line of ASCII".to_owned()))
    };
    if !arguments.cookies.is_empty() {
        let cookies = value(&arguments.cookies.join("; "))?;
        request.headers_mut().insert(header::COOKIE, cookies);
    }
    for (name, text) in &arguments.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| Failure::Usage(format!("{name:?} is no name of a header field")))?;
        match name {
            // A handshake has one of each.
            header::HOST | header::ORIGIN => {
                request.headers_mut().insert(name, value(text)?).is_some()
            }
            name => request.headers_mut().append(name, value(text)?),
        };
    }
    // With a cookie we pass for a browser, and a browser says whose page it shows: one of that host.
    let host = request.headers().get(header::HOST).cloned();
    if let (false, Some(host)) = (arguments.cookies.is_empty(), host) {
        let origin = [b"http://", host.as_bytes()].concat();
        if let Ok(origin) = HeaderValue::from_bytes(&origin) {
            request
                .headers_mut()
                .entry(header::ORIGIN)
                .or_insert(origin);
        }
    }
    Ok(())
}

fn usage<T>(what: &str) -> Result<T, Failure> {
    Err(Failure::Usage(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::cli::arguments::{Cli, Command, command};

    fn target(words: &[&str], config: &Config) -> Result<Target, String> {
        let words = [&["ws4redis", "listen"], words].concat();
        let matches = command().try_get_matches_from(words).unwrap();
        let Command::Listen(arguments) = Cli::from_arg_matches(&matches).unwrap().command else {
            panic!("not listen");
        };
        Target::new(&arguments, config).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn a_facility_is_a_path_of_the_configured_gateway() {
        let config = Config::default();
        let news = target(&["news"], &config).unwrap();
        assert_eq!(news.place, Place::Tcp("127.0.0.1".to_owned(), 8000));
        assert_eq!(
            news.request.uri(),
            "ws://127.0.0.1:8000/ws/news?subscribe-broadcast"
        );
        assert!(!news.publishes);
        let odd = target(&["a b/ü?%", "--subscribe-user", "--publish-group"], &config).unwrap();
        assert_eq!(
            odd.request.uri(),
            "ws://127.0.0.1:8000/ws/a%20b/%C3%BC%3F%25?subscribe-user&publish-group"
        );
        assert!(odd.publishes);
    }

    #[test]
    fn a_gateway_on_a_unix_socket_or_on_all_addresses_is_found() {
        let mut config = Config {
            listen: vec![Address::Unix {
                path: "/run/x.sock".into(),
                mode: 0o660,
            }],
            ..Config::default()
        };
        let news = target(&["news"], &config).unwrap();
        assert_eq!(news.place, Place::Unix("/run/x.sock".into()));
        assert_eq!(news.request.headers()[header::HOST], "localhost");
        config.listen = vec![Address::Tcp("[::]:81".parse().unwrap())];
        let news = target(&["news"], &config).unwrap();
        assert_eq!(news.place, Place::Tcp("::1".to_owned(), 81));
        assert_eq!(news.name(), "ws://[::1]:81/ws/news");
    }

    #[test]
    fn a_url_is_taken_as_it_is_and_flags_are_added() {
        let config = Config::default();
        let url = target(&["ws://h/ws/f?publish-user", "--echo"], &config).unwrap();
        assert_eq!(url.place, Place::Tcp("h".to_owned(), 80));
        assert_eq!(url.request.uri(), "ws://h/ws/f?publish-user&echo");
        assert!(url.publishes);
        for wrong in ["wss://h/ws/f", "http://h/", "ws:///ws/f"] {
            assert!(
                target(&[wrong], &config).unwrap_err().contains("Usage"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn cookies_and_header_fields_are_sent() {
        let words = [
            "f",
            "--cookie",
            "sessionid=k",
            "--cookie",
            "a=b",
            "--header",
            "X-Y: z",
            "--header",
            "Host: h",
        ];
        let request = target(&words, &Config::default()).unwrap().request;
        assert_eq!(request.headers()[header::COOKIE], "sessionid=k; a=b");
        assert_eq!(request.headers()["x-y"], "z");
        assert_eq!(request.headers().get_all(header::HOST).iter().count(), 1);
        assert_eq!(request.headers()[header::ORIGIN], "http://h");
        let own = ["f", "--cookie", "a=b", "--header", "Origin: https://page"];
        let request = target(&own, &Config::default()).unwrap().request;
        assert_eq!(request.headers()[header::ORIGIN], "https://page");
        let without = target(&["f"], &Config::default()).unwrap().request;
        assert!(!without.headers().contains_key(header::ORIGIN));
    }
}
