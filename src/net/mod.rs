//! The upper floor: decisions into system calls.
//!
//! Laws of this floor: it alone has mio, descriptors and the clock, and it knows nothing of what the bytes mean:
//! no protocol, no channel, no close code. To the reactor Redis is just another peer.

mod accepting;
mod binding;
pub(crate) mod clock;
mod connect;
mod connecting;
mod crew;
mod fit;
mod handle;
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
use tracing::error_span;

use self::binding::Bindings;
use self::clock::Clock;
use self::connect::{Connector, Connectors};
use self::crew::{Crew, further};
use self::fit::Fit;
use self::listener::Listener;
use self::reactor::{Reactor, WAKER};
use crate::config::{Config, Listen, RedisAddress};
use crate::hub::Hub;
use crate::hub::access::AccessError;
use crate::hub::access::subscriber::Subscriber;

pub use self::handle::Handle;

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
    /// The first, which runs on the thread that calls.
    reactor: Reactor,
    others: Vec<Reactor>,
    bound: Bound,
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
    /// One of several workers is gone.
    #[error("worker {number} is gone: {why}")]
    Worker {
        /// Which; the one on the caller's thread is 0.
        number: usize,
        /// What became of it.
        why: String,
    },
    /// The system refuses something without which there is no event loop.
    #[error("the event loop failed: {0}")]
    System(#[from] io::Error),
}

impl Gateway {
    /// Binds all listeners and makes everything ready, for as many workers as `config` says.
    pub fn bind(
        mut config: Config,
        subscriber: Box<dyn Subscriber>,
    ) -> Result<Gateway, ServeError> {
        let Bindings {
            first,
            others,
            bound,
        } = Bindings::new(&config)?;
        let fit = Fit::new(&config, bound.embedded);
        fit.apply(&mut config);
        let share = config.share(fit.workers());
        let subscriber: Arc<dyn Subscriber> = subscriber.into();
        let clock = Clock::start();
        let worker = |share, listeners| {
            let subscriber = Arc::clone(&subscriber);
            worker(share, subscriber, clock.clone(), listeners, fit.clone())
        };
        let others = others.into_iter();
        let others = others.map(|listeners| worker(further(&share), listeners));
        Ok(Gateway {
            others: others.collect::<Result<_, _>>()?,
            reactor: worker(share.clone(), first)?,
            bound,
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
        self.reactor.handle.clone()
    }

    /// Serves until drained: on this thread, and if there are several workers on one for each further one. If one of
    /// them fails, all end.
    pub fn run(mut self) -> Result<(), ServeError> {
        let is_alone = self.others.is_empty();
        let _span = (!is_alone).then(|| error_span!("worker", number = 0).entered());
        self.reactor.crew = Crew::start(self.others, &self.reactor.handle)?;
        self.reactor.run()
    }
}

/// A worker with its part of everything.
fn worker(
    share: Config,
    subscriber: Arc<dyn Subscriber>,
    clock: Clock,
    listeners: Vec<Listener>,
    fit: Fit,
) -> Result<Reactor, ServeError> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let connector = |address: &RedisAddress| Connector::new(address.clone(), Arc::clone(&waker));
    let connectors = Connectors {
        redis: connector(&share.redis.address),
        // Whether Django's sessions are asked for, and the application, may change by a reload.
        sessions: (share.django.redis.as_ref()).map(|redis| connector(&redis.address)),
        application: (share.callback.url.as_ref()).map(|url| connector(&url.address)),
    };
    let handle = Handle::new(Arc::clone(&waker));
    let hub = Hub::new(share, Box::new(subscriber), fastrand::u64(..), clock.unix())?;
    Ok(Reactor::new(
        hub, clock, poll, handle, listeners, connectors, fit,
    )?)
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
