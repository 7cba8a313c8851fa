//! What is to be measured.

use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Redis;

const CHANNEL: &str = "{channel}";
/// For each address of a host that has several.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// A benchmark: whom, how many, what, how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whom the clients connect to.
    pub target: Target,
    /// How many clients.
    pub connections: u32,
    /// On how many channels, dealt out in turn.
    pub channels: u32,
    /// Bytes of a message.
    pub size: usize,
    /// Handshakes under way at a time.
    pub concurrency: u32,
    /// Clients from one source address, which has about 28,000 ports unless the system is told otherwise.
    pub per_address: u32,
    /// A text that each client sends when it is open, for gateways that want to be told what to subscribe;
    /// `{channel}` in it is the number of its channel.
    pub hello: Option<String>,
    /// How long nothing is published after all clients are open, for gateways that answer before they are subscribed.
    pub settle: Duration,
    /// The benchmark never sleeps. Else the gateway's `send()` wakes it up, over and over if it is the faster one,
    /// and on loopback that counts as the gateway's CPU time.
    pub awake: bool,
    /// The gateway's process, if its cost is to be measured.
    pub pid: Option<u32>,
    /// How long it runs before anything counts.
    pub warm_up: Duration,
    /// How long what counts is.
    pub duration: Duration,
    /// What is done.
    pub work: Work,
}

/// Why a plan makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Nobody would hear what is published on some channels.
    #[error("{channels} channels are more than {clients} clients: some would have none")]
    Channels {
        /// How many.
        channels: u32,
        /// For so many.
        clients: u32,
    },
    /// All channels would be the same one, or none of those that clients listen to.
    #[error("{channels} channels need {{channel}} in {place}, where the channel's number goes")]
    Place {
        /// How many.
        channels: u32,
        /// Where it misses.
        place: &'static str,
    },
}

impl Plan {
    /// Does it make sense?
    pub fn check(&self) -> Result<(), Contradiction> {
        let channels = self.channels();
        let clients = match self.work {
            Work::Connect => self.concurrency,
            _ => self.connections,
        };
        if channels > clients {
            return Err(Contradiction::Channels { channels, clients });
        }
        let misses = |template: &str| channels > 1 && !template.contains(CHANNEL);
        let misplaced = |place| Err(Contradiction::Place { channels, place });
        if misses(&self.target.path) && self.hello.as_deref().is_none_or(misses) {
            return misplaced("the URL or in --hello");
        }
        match &self.work {
            Work::Fanout {
                through: Through::Redis { name, .. },
                ..
            } if misses(name) => misplaced("--publish-channel"),
            Work::Fanout {
                through: Through::Http { path, .. },
                ..
            } if misses(path) => misplaced("the URL of --post"),
            _ => Ok(()),
        }
    }

    /// Channels that have clients.
    pub(super) fn channels(&self) -> u32 {
        match self.work {
            Work::Publish { .. } => self.connections,
            Work::Connect | Work::Idle | Work::Fanout { .. } => self.channels,
        }
    }

    /// Connections to the gateway at a time, at most.
    pub(super) fn clients(&self) -> u32 {
        match self.work {
            Work::Connect => self.concurrency,
            Work::Fanout { slow, .. } => self.connections.saturating_add(slow),
            Work::Idle | Work::Publish { .. } => self.connections,
        }
    }
}

/// What the clients and the publisher do.
#[derive(Debug, Clone)]
pub enum Work {
    /// One program publishes, and all clients of a channel hear it.
    Fanout {
        /// How fast.
        pace: Pace,
        /// By which way.
        through: Through,
        /// The channel of each message is drawn from this seed; without one they take turns.
        random: Option<u64>,
        /// Clients more that never read; they are measured with and without.
        slow: u32,
    },
    /// Clients come, and go again at once.
    Connect,
    /// Clients are there and nothing happens.
    Idle,
    /// Each client publishes, and hears it on its own channel.
    Publish {
        /// So many messages of each are under way.
        window: u32,
    },
}

/// How fast messages are published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many a second, on time whether the last one has arrived or not: latency is counted from when a message was
    /// due, so that a gateway that stalls is not spared the messages that it held up.
    Rate(f64),
    /// So many are under way: the next is published when all subscribers have one.
    Window(u32),
}

/// How messages are published.
#[derive(Debug, Clone)]
pub enum Through {
    /// With PUBLISH; `{channel}` in the name is the number of the channel.
    Redis {
        /// Which.
        redis: Redis,
        /// The channel's name.
        name: String,
    },
    /// With POST, the message being the body.
    Http {
        /// Where.
        address: Address,
        /// What `Host` says.
        host: String,
        /// Path and query; `{channel}` in it is the number of the channel.
        path: String,
        /// Connections.
        publishers: u32,
    },
}

/// For messages; without a password.
impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Through::Redis { redis, .. } => write!(f, "through {redis}"),
            Through::Http { host, path, .. } => write!(f, "by POST to {host}{path}"),
        }
    }
}

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
    /// Path and query; `{channel}` in it is the number of the channel.
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

/// Puts the number of a channel where a template wants it.
pub(super) fn fill(template: &str, channel: u32) -> String {
    template.replace(CHANNEL, &channel.to_string())
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
        assert_eq!(fill(&target.path, 3), "/ws/b-3?subscribe-broadcast");
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
