//! What is to be measured.

use std::fmt;
use std::time::Duration;

use super::target::{Address, Target};
use crate::config::Redis;

/// In a template: the number of a channel.
const CHANNEL: &str = "{channel}";
/// In a template: the numbers of all of a client's channels.
const CHANNELS: &str = "{channels}";

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
    /// Clients from one source address, which has about 28,000 ports unless the system is told otherwise.
    pub per_address: u32,
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

/// Why a plan makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// A client with several channels must be able to say which.
    #[error(
        "{channels} channels are more than {connections} clients: then a client has several, and {CHANNELS} in \
         --url, --header or --hello is where it names them"
    )]
    Several {
        /// How many.
        channels: u32,
        /// For so many.
        connections: u32,
    },
    /// All channels would be the same one, or none of those that clients listen to.
    #[error("{channels} channels need {CHANNEL} in {place}, where the channel's number goes")]
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
        let (channels, connections) = (self.channels(), self.connections);
        let templates = || {
            let path = std::iter::once(&self.target.path);
            path.chain(&self.headers).chain(&self.hello)
        };
        let named = |blank: &str| templates().any(|text| text.contains(blank));
        // Those that come and go listen to nothing.
        let listens = !matches!(self.work, Work::Connect);
        if listens && channels > connections && !named(CHANNELS) {
            return Err(Contradiction::Several {
                channels,
                connections,
            });
        }
        let misplaced = |place| Err(Contradiction::Place { channels, place });
        if channels > 1 && !named(CHANNEL) && !named(CHANNELS) {
            return misplaced("--url, --header or --hello");
        }
        let misses = |template: &str| channels > 1 && !template.contains(CHANNEL);
        match &self.work {
            Work::Fanout {
                through: Through::Redis { name, .. },
                ..
            } if misses(name) => misplaced("--publish-channel"),
            Work::Fanout {
                through: Through::Http { path, .. },
                ..
            } if misses(path) => misplaced("--post"),
            _ => Ok(()),
        }
    }

    /// The channels of a client.
    pub(super) fn channels_of(&self, client: u32) -> Dealt {
        Dealt::new(client, self.connections, self.channels())
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
    template.replace(CHANNEL, &channel.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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
