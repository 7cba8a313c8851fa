//! Who is at the other end of a socket: names that all floors share.

use std::fmt;
use std::net::IpAddr;

/// One connection, for as long as it lives.
///
/// The index is its place in the hub's slab and in the reactor's socket table. Places are used again; the
/// generation is not, so an event for a connection that was closed in the same turn finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId {
    /// Place in the tables.
    pub index: u32,
    /// The how-manieth connection of its worker it is, modulo 2^32.
    pub generation: u32,
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// Which Redis, by what is kept there. They may be one; then it is that of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisOf {
    /// Channels and persisted messages.
    Messages,
    /// Django's sessions.
    Sessions,
}

impl RedisOf {
    /// Each once.
    pub const ALL: [RedisOf; 2] = [RedisOf::Messages, RedisOf::Sessions];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            RedisOf::Messages => "Redis",
            RedisOf::Sessions => "the Redis of Django's sessions",
        }
    }
}

/// Through which listener a connection came, and so what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// A client's: WebSocket handshakes, and the playground page if it is on.
    Client,
    /// The operator's: health, readiness, metrics.
    Admin,
    /// The embedded Redis.
    Embedded,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum From {
    /// A TCP peer.
    Ip(IpAddr),
    /// A peer on a unix socket: somebody on this machine whom the socket's mode lets in.
    Unix,
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Ip(ip) => ip.fmt(f),
            From::Unix => f.write_str("unix"),
        }
    }
}
