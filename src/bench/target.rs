//! Where to connect.

use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// For each address of a host that has several.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// A socket to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A WebSocket URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub address: Address,
    /// What `Host` says.
    pub host: String,
    /// Path and query. `{channel}` in it is the number of the client's channel, the first if it has several, and
    /// `{channels}` the numbers of all, with commas.
    pub path: String,
}

/// Why a URL cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme.
    #[error(
        "{0:?} must begin with ws:// (or http:// where one publishes), or be unix:/path/to/socket:/path"
    )]
    Scheme(String),
    /// TLS.
    #[error("{0:?} asks for TLS, which is not measured: connect to the gateway itself")]
    Tls(String),
    /// User and password.
    #[error("{0:?} has a user, and handshakes here have none: put a token into the query")]
    User(String),
    /// A query or a path that is no part of an HTTP request.
    #[error("{0:?} has a blank or a control character, or a # behind which nothing is sent")]
    Characters(String),
    /// The host is not found.
    #[error("the host of {url:?} is not found: {why}")]
    Host {
        /// The URL.
        url: String,
        /// The system's words.
        why: String,
    },
}

impl Target {
    /// Takes `ws://host[:port]/path`, `http://...` or `unix:/socket:/path` apart, and looks the host up.
    pub fn parse(url: &str) -> Result<Target, UrlError> {
        // They would end the request's line, or go nowhere.
        if url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(UrlError::Characters(url.to_owned()));
        }
        if let Some(rest) = url.strip_prefix("unix:") {
            let (socket, path) = rest.split_once(":/").unwrap_or((rest, ""));
            return Ok(Target {
                address: Address::Unix(socket.into()),
                host: "localhost".to_owned(),
                path: format!("/{path}"),
            });
        }
        if url.starts_with("wss://") || url.starts_with("https://") {
            return Err(UrlError::Tls(url.to_owned()));
        }
        let rest = url
            .strip_prefix("ws://")
            .or_else(|| url.strip_prefix("http://"));
        let rest = rest.ok_or_else(|| UrlError::Scheme(url.to_owned()))?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        if host.contains('@') {
            return Err(UrlError::User(url.to_owned()));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Target {
            address: look_up(host, url)?,
            host: host.to_owned(),
            path: format!("{slash}{path}"),
        })
    }
}

fn look_up(host: &str, url: &str) -> Result<Address, UrlError> {
    let failed = |why: &dyn fmt::Display| UrlError::Host {
        url: url.to_owned(),
        why: why.to_string(),
    };
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let found = with_port.to_socket_addrs();
    let found: Vec<SocketAddr> = found.map_err(|error| failed(&error))?.collect();
    let first = found.first().ok_or_else(|| failed(&"it has no address"))?;
    // `localhost` is ::1 first, and most gateways listen on 127.0.0.1 only.
    let answers = |to: &&SocketAddr| TcpStream::connect_timeout(to, LOOK_UP_TIMEOUT).is_ok();
    let answering = found.iter().find(|to| found.len() > 1 && answers(to));
    Ok(Address::Tcp(*answering.unwrap_or(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target =
            Target::parse("ws://127.0.0.1:8080/ws/b-{channel}?subscribe-broadcast").unwrap();
        assert_eq!(target.address, Address::Tcp(([127, 0, 0, 1], 8080).into()));
        assert_eq!(target.host, "127.0.0.1:8080");
        assert_eq!(target.path, "/ws/b-{channel}?subscribe-broadcast");
        let target = Target::parse("unix:/run/ws4redis.sock:/ws/x?echo").unwrap();
        assert_eq!(target.address, Address::Unix("/run/ws4redis.sock".into()));
        assert_eq!(target.path, "/ws/x?echo");
        assert_eq!(Target::parse("ws://127.0.0.1").unwrap().path, "/");
        let with_url = Target::parse("unix:/run/a.sock:/ws/x?u=http://y/z").unwrap();
        assert_eq!(with_url.address, Address::Unix("/run/a.sock".into()));
        assert_eq!(with_url.path, "/ws/x?u=http://y/z");
        let six = Target::parse("ws://[::1]/a").unwrap();
        assert_eq!(six.address, Address::Tcp("[::1]:80".parse().unwrap()));
        for (url, says) in [
            ("ws://me:secret@127.0.0.1/a", "has a user"),
            ("ws://127.0.0.1/a b", "blank"),
            ("ws://127.0.0.1/a#b", "#"),
            ("ws://127.0.0.1:99999/a", "not found"),
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(matches!(Target::parse("wss://a/b"), Err(UrlError::Tls(_))));
        assert!(matches!(Target::parse("a/b"), Err(UrlError::Scheme(_))));
    }
}
