//! What is to be measured.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Redis;

/// A benchmark: whom, how many, what, how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whom the clients connect to.
    pub target: Target,
    /// How many clients.
    pub connections: u32,
    /// On how many channels, dealt out in turn: a channel has several clients, or a client several channels.
    pub channels: u32,
    /// Bytes of a message.
    pub size: usize,
    /// Handshakes under way at a time.
    pub concurrency: u32,
    /// Fields of each handshake beside those of RFC 6455, as `Name: value`, with the blanks of [`Target::path`].
    pub headers: Vec<String>,
    /// A text that each client sends when it is open, for gateways that want to be told what to subscribe, with the
    /// blanks of [`Target::path`].
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

/// A socket to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
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
        if let Some(rest) = url.strip_prefix("unix:") {
            let (socket, path) = rest.rsplit_once(":/").unwrap_or((rest, ""));
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
    let mut addresses = with_port
        .to_socket_addrs()
        .map_err(|error| failed(&error))?;
    let address = addresses
        .next()
        .ok_or_else(|| failed(&"it has no address"))?;
    Ok(Address::Tcp(address))
}

impl Plan {
    /// The channels of a client.
    pub(super) fn channels_of(&self, client: u32) -> Dealt {
        let channels = match self.work {
            Work::Publish { .. } => self.connections,
            _ => self.channels,
        };
        Dealt::new(client, self.connections, channels)
    }
}

/// Channels dealt out to one client: every `step`th of those before `end`, one at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dealt {
    pub(super) first: u32,
    step: u32,
    end: u32,
}

impl Dealt {
    pub(super) fn new(client: u32, connections: u32, channels: u32) -> Dealt {
        Dealt {
            first: client % connections.min(channels).max(1),
            step: connections.max(1),
            end: channels,
        }
    }

    /// All but the first.
    pub(super) fn others(self) -> impl Iterator<Item = u32> {
        (self.first..self.end).step_by(self.step as usize).skip(1)
    }

    /// Which of the others it is.
    pub(super) fn other(self, channel: u32) -> Option<usize> {
        let beyond = channel.checked_sub(self.first)?;
        let is_ours = beyond > 0 && beyond % self.step == 0 && channel < self.end;
        is_ours.then(|| (beyond / self.step) as usize - 1)
    }
}

/// Puts the numbers of a client's channels where a template wants them.
pub(super) fn fill(template: &str, dealt: Dealt) -> String {
    let filled = fill_one(template, dealt.first);
    if !filled.contains(CHANNELS) {
        return filled;
    }
    let others = dealt.others().map(|channel| format!(",{channel}"));
    filled.replace(
        CHANNELS,
        &format!("{}{}", dealt.first, others.collect::<String>()),
    )
}

/// Puts the number of a channel where a template wants it.
pub(super) fn fill_one(template: &str, channel: u32) -> String {
    template.replace("{channel}", &channel.to_string())
}

/// What a template says that wants to be told all of a client's channels.
pub const CHANNELS: &str = "{channels}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target =
            Target::parse("ws://127.0.0.1:8080/ws/b-{channel}?subscribe-broadcast").unwrap();
        assert_eq!(target.address, Address::Tcp(([127, 0, 0, 1], 8080).into()));
        assert_eq!(target.host, "127.0.0.1:8080");
        assert_eq!(fill_one(&target.path, 3), "/ws/b-3?subscribe-broadcast");
        let target = Target::parse("unix:/run/ws4redis.sock:/ws/x?echo").unwrap();
        assert_eq!(target.address, Address::Unix("/run/ws4redis.sock".into()));
        assert_eq!(target.path, "/ws/x?echo");
        assert_eq!(Target::parse("ws://127.0.0.1").unwrap().path, "/");
        assert!(matches!(Target::parse("wss://a/b"), Err(UrlError::Tls(_))));
        assert!(matches!(Target::parse("a/b"), Err(UrlError::Scheme(_))));
    }

    #[test]
    fn channels_are_dealt_out_to_clients_and_clients_to_channels() {
        for (connections, channels) in [(1, 1), (3, 1), (3, 3), (10, 3), (3, 10), (4, 8), (1, 5)] {
            let mut members = vec![0; channels as usize];
            for client in 0..connections {
                let dealt = Dealt::new(client, connections, channels);
                let first = dealt.first;
                members[first as usize] += 1;
                assert_eq!(dealt.other(first), None);
                for (at, channel) in dealt.others().enumerate() {
                    members[channel as usize] += 1;
                    assert_eq!(dealt.other(channel), Some(at));
                }
                assert_eq!(dealt.other(channels + first), None);
            }
            let (least, most) = (members.iter().min().unwrap(), members.iter().max().unwrap());
            assert!(*least >= 1 && most - least <= 1, "{members:?}");
        }
    }

    #[test]
    fn a_template_is_told_all_channels_of_a_client() {
        let dealt = Dealt::new(2, 10, 25);
        assert_eq!(fill("/{channel}/{channels}", dealt), "/2/2,12,22");
    }
}
