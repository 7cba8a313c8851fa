//! All listeners of a gateway, each at the worker that has it.

use std::net::SocketAddr;

use tracing::info;

use super::listener::Listener;
use super::{Bound, ServeError};
use crate::config::{Config, Listen};
use crate::peer::Door;

/// The listeners of the first worker, those of each further one, and where they listen.
pub(super) struct Bindings {
    pub(super) first: Vec<Listener>,
    pub(super) others: Vec<Vec<Listener>>,
    pub(super) bound: Bound,
}

impl Bindings {
    /// Binds them all. Every worker has clients; what there is once is the first's.
    pub(super) fn new(config: &Config) -> Result<Bindings, ServeError> {
        let workers = config.workers.max(1);
        let mut bindings = Bindings {
            first: Vec::new(),
            others: (1..workers).map(|_| Vec::new()).collect(),
            bound: Bound {
                clients: Vec::new(),
                admin: None,
                embedded: None,
            },
        };
        for listen in &config.listen {
            let address = bindings.bind(listen, Door::Client, workers)?;
            bindings.bound.clients.push(address);
        }
        bindings.bound.admin = bindings.bind_once(config.admin, Door::Admin)?;
        bindings.bound.embedded = bindings.bind_once(config.embedded, Door::Embedded)?;
        Ok(bindings)
    }

    fn bind_once(
        &mut self,
        address: Option<SocketAddr>,
        door: Door,
    ) -> Result<Option<SocketAddr>, ServeError> {
        let Some(address) = address else {
            return Ok(None);
        };
        match self.bind(&Listen::Tcp(address), door, 1)? {
            Listen::Tcp(address) => Ok(Some(address)),
            Listen::Unix { .. } => Ok(None),
        }
    }

    fn bind(&mut self, listen: &Listen, door: Door, workers: usize) -> Result<Listen, ServeError> {
        let failed = |error| ServeError::Bind {
            address: listen.to_string(),
            error,
        };
        let first = Listener::bind(listen, door, workers > 1).map_err(failed)?;
        let address = first.address().map_err(failed)?;
        self.first.push(first);
        // A unix socket cannot be bound twice: the first worker deals its connections out.
        if let Listen::Tcp(address) = address {
            for other in self.others.iter_mut().take(workers - 1) {
                other.push(Listener::bind_too(address, door).map_err(failed)?);
            }
        }
        let door = match door {
            Door::Client => "clients",
            Door::Admin => "admin",
            Door::Embedded => "embedded",
        };
        info!(door, %address, "listening");
        Ok(address)
    }
}
