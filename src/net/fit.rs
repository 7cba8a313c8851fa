//! What this process can give of what a configuration asks for: now, and whenever it is read anew.

use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::{Config, RedisAddress};

/// What does not change while the process lives.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    files: u64,
    workers: usize,
    /// Descriptors that are for no client, whatever is not accounted for.
    reserved: u64,
    /// All that are not for sessions.
    others: u64,
    /// Where the embedded Redis listens.
    embedded: Option<SocketAddr>,
}

impl Fit {
    /// Raises the limit of open files as far as it may be.
    pub(super) fn new(config: &Config, embedded: Option<SocketAddr>) -> Fit {
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            let raised = Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            };
            if setrlimit(Resource::Nofile, raised).is_ok() {
                limit = raised;
            }
        }
        Fit {
            files: limit.current.unwrap_or(u64::MAX),
            workers: config.workers.max(1),
            reserved: config.reserved_descriptors(),
            others: config.other_descriptors(),
            embedded,
        }
    }

    /// From this number on, descriptors are not for clients.
    pub(super) fn client_descriptors(&self) -> u64 {
        self.files.saturating_sub(self.reserved)
    }

    /// How many workers there are, whatever is said of that later.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// No more sessions than there are descriptors for, and the embedded Redis where it listens.
    pub(super) fn apply(&self, config: &mut Config) {
        if let Some(address) = self.embedded {
            // The link has no second way: it connects to our own Redis as to any.
            let (host, port) = (address.ip().to_string(), address.port());
            config.redis.address = RedisAddress::Tcp { host, port };
        }
        let room = self.files.saturating_sub(self.others);
        let room = usize::try_from(room).unwrap_or(usize::MAX).max(1);
        let limits = &mut config.limits;
        if limits.sessions_max > room {
            warn!(
                asked = limits.sessions_max,
                sessions_max = room,
                "fewer sessions than asked for: the limit of open files is {} (ulimit -n)",
                self.files,
            );
            limits.sessions_max = room;
            limits.pending_max = limits.pending_max.min(room);
        }
    }
}
