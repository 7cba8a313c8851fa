//! The upper floor: decisions into system calls.
//!
//! Laws of this floor: it alone has mio, descriptors and the clock, and it knows nothing of what the bytes mean:
//! no protocol, no channel, no close code. To the reactor Redis is just another peer.

mod accepting;
pub(crate) mod clock;
mod connect;
mod connecting;
mod fit;
mod listener;
mod reactor;
mod reading;
mod reloading;
mod signals;
pub(crate) mod socket;
mod tell;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::{Poll, Waker};
use tracing::info;

use self::clock::Clock;
use self::connect::{Connector, Connectors};
use self::fit::Fit;
use self::listener::Listener;
use self::reactor::{Reactor, WAKER};
use crate::config::{Config, Listen, RedisAddress};
use crate::hub::Hub;
use crate::hub::access::AccessError;
use crate::hub::access::subscriber::Subscriber;
use crate::peer::Door;

pub use self::reactor::Handle;

/// A gateway with its sockets bound.
///
/// ```no_run
/// use ws4redis::{Config, Gateway, RedisSubscriber};
///
/// let mut gateway = Gateway::bind(Config::default(), Box::new(RedisSubscriber))?;
/// gateway.watch_signals()?;
/// gateway.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Gateway {
    reactor: Reactor,
    bound: Bound,
    waker: Arc<Waker>,
}

/// Where a gateway listens, with the ports that the system chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// For clients.
    pub clients: Vec<Listen>,
    /// For the operator.
    pub admin: Option<SocketAddr>,
    /// The embedded Redis.
    pub embedded: Option<SocketAddr>,
}

/// The gateway could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Which.
        address: String,
        /// The system's words.
        error: io::Error,
    },
    /// Keys that tokens or headers are signed with cannot be used.
    #[error("{0}")]
    Keys(#[from] AccessError),
    /// The system refuses something without which there is no event loop.
    #[error("the event loop failed: {0}")]
    System(#[from] io::Error),
}

impl Gateway {
    /// Binds all listeners and makes everything ready.
    pub fn bind(
        mut config: Config,
        subscriber: Box<dyn Subscriber>,
    ) -> Result<Gateway, ServeError> {
        let mut listeners = Vec::new();
        let mut bound = Bound {
            clients: Vec::new(),
            admin: None,
            embedded: None,
        };
        for listen in &config.listen {
            let (listener, address) = bind(listen, Door::Client)?;
            listeners.push(listener);
            bound.clients.push(address);
        }
        if let Some(admin) = config.admin {
            let (listener, address) = bind(&Listen::Tcp(admin), Door::Admin)?;
            listeners.push(listener);
            bound.admin = tcp(&address);
        }
        if let Some(embedded) = config.embedded {
            let (listener, address) = bind(&Listen::Tcp(embedded), Door::Embedded)?;
            listeners.push(listener);
            bound.embedded = tcp(&address);
        }
        let fit = Fit::new(&config, bound.embedded);
        fit.apply(&mut config);
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let connector =
            |address: &RedisAddress| Connector::new(address.clone(), Arc::clone(&waker));
        let connectors = Connectors {
            redis: connector(&config.redis.address),
            // Whether Django's sessions are asked for, and the application, may change by a reload.
            sessions: (config.django.redis.as_ref()).map(|redis| connector(&redis.address)),
            application: (config.callback.url.as_ref()).map(|url| connector(&url.address)),
        };
        let clock = Clock::start();
        let hub = Hub::new(config, subscriber, fastrand::u64(..), clock.unix())?;
        Ok(Gateway {
            reactor: Reactor::new(hub, clock, poll, listeners, connectors, fit)?,
            bound,
            waker,
        })
    }

    /// Where it listens.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Says where the configuration comes from when [`Handle::reload`] or SIGHUP asks for it to be read anew. It is
    /// read on the gateway's thread, which does nothing else meanwhile. What cannot be read, or is no good, changes
    /// nothing.
    pub fn on_reload(
        &mut self,
        load: impl FnMut() -> Result<Config, Box<dyn Error + Send + Sync>> + Send + 'static,
    ) {
        self.reactor.loader = Some(Box::new(load));
    }

    /// Makes SIGTERM and SIGINT drain the gateway; a second one stops it at once. SIGHUP reloads it, if
    /// [`Gateway::on_reload`] was called before. A program that has signals of its own uses [`Gateway::handle`]
    /// instead.
    pub fn watch_signals(&mut self) -> Result<(), ServeError> {
        Ok(self.reactor.watch_signals()?)
    }

    /// By which another thread ends or reloads it.
    pub fn handle(&self) -> Handle {
        Handle {
            drain: Arc::clone(&self.reactor.drain),
            reload: Arc::clone(&self.reactor.reload),
            waker: Arc::clone(&self.waker),
        }
    }

    /// Serves on this thread until drained.
    pub fn run(mut self) -> Result<(), ServeError> {
        Ok(self.reactor.run()?)
    }
}

fn bind(listen: &Listen, door: Door) -> Result<(Listener, Listen), ServeError> {
    let failed = |error| ServeError::Bind {
        address: listen.to_string(),
        error,
    };
    let listener = Listener::bind(listen, door).map_err(failed)?;
    let address = listener.address().map_err(failed)?;
    let door = match door {
        Door::Client => "clients",
        Door::Admin => "admin",
        Door::Embedded => "embedded",
    };
    info!(door, %address, "listening");
    Ok((listener, address))
}

fn tcp(listen: &Listen) -> Option<SocketAddr> {
    match listen {
        Listen::Tcp(address) => Some(*address),
        Listen::Unix { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Gateway;

    #[test]
    fn a_gateway_may_be_bound_on_one_thread_and_run_on_another() {
        fn is_send<T: Send>() {}
        is_send::<Gateway>();
    }
}
