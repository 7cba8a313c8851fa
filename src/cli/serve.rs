//! `ws4redis serve`.

use std::error::Error;
use std::net::SocketAddr;
use std::thread::available_parallelism;

use clap::ArgMatches;
use tracing::{info, warn};
use ws4redis::config::{Listen, Source};
use ws4redis::limits::Memory;
use ws4redis::net::{Bound, ServeError};
use ws4redis::peer::RedisOf;
use ws4redis::{Config, Gateway, RedisSubscriber};

use super::print::mebibytes;
use super::{Failure, logging, settings};

/// Rarely what one wants, and as in the original the default: so it is said, here and by `check`.
pub(super) const OPEN_TO_ALL: &str = "every client may subscribe and publish to every facility: set allowed_channels, \
     rules or a callback, or send nothing through it that not everybody may see";

/// Is it so? The application that is asked may say no to everybody.
pub(super) fn is_open_to_all(config: &Config) -> bool {
    config.rules.is_open() && !config.identity.contains(&Source::Callback)
}

/// What is to be said where workers can only take turns. They help nobody then, and each has Redis send it everything.
pub(super) fn too_many_workers(config: &Config) -> Option<String> {
    let cores = available_parallelism().ok()?.get();
    (config.workers > cores).then(|| {
        format!(
            "there are {}, and this process may use {cores} cores: more do not make it faster, and cost Redis more",
            config.workers
        )
    })
}

/// Runs the gateway until it is told to end.
pub(super) fn run(flags: &ArgMatches) -> Result<(), Failure> {
    let config = settings::load(flags)?.config;
    logging::start(&config.log)?;
    let memory = Memory::sum(&config.memory());
    let workers = config.workers;
    let serves_page = config.playground;
    let redis = config.redis.to_string();
    let sessions = config.sessions_redis().map(ToString::to_string);
    let open_to_all = is_open_to_all(&config);
    let too_many = too_many_workers(&config);
    let mut gateway = Gateway::bind(config, Box::new(RedisSubscriber))?;
    let flags = flags.clone();
    gateway.on_reload(move || load_again(&flags));
    gateway.watch_signals()?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        workers,
        memory_bytes_max = memory,
        "ws4redis takes at most {} of memory for its clients; `ws4redis check --print` has the sum",
        mebibytes(memory),
    );
    if open_to_all {
        warn!("{OPEN_TO_ALL}");
    }
    if let Some(line) = too_many {
        warn!("workers: {line}");
    }
    match gateway.bound().embedded {
        Some(address) => tell_embedded(address),
        None => info!(%redis, "connecting to Redis"),
    }
    if let Some(redis) = sessions {
        info!(%redis, "connecting to {}", RedisOf::Sessions.name());
    }
    tell_next(gateway.bound(), serves_page);
    Ok(gateway.run()?)
}

/// The configuration, from where it came from at the start: flags and environment still beat the file.
fn load_again(flags: &ArgMatches) -> Result<Config, Box<dyn Error + Send + Sync>> {
    let config = settings::loaded(flags)?.config;
    // Nothing follows it before a restart, which it must not keep from succeeding.
    logging::filter(&config.log)?;
    if is_open_to_all(&config) {
        warn!("{OPEN_TO_ALL}");
    }
    Ok(config)
}

fn tell_embedded(address: SocketAddr) {
    info!(
        %address,
        "this is EMBEDDED mode: a very small Redis inside this process, gone when it ends; \
         try `redis-cli -p {} publish broadcast:news hello`; \
         for a real Redis leave --embedded out and say --redis redis://host:6379/0",
        address.port(),
    );
}

/// What somebody who started it to look at it would do now.
fn tell_next(bound: &Bound, serves_page: bool) {
    let tcp = bound.clients.iter().find_map(|listen| match listen {
        Listen::Tcp(address) => Some(address),
        Listen::Unix { .. } => None,
    });
    if let (Some(address), true) = (tcp, serves_page) {
        info!("open http://{address}/ in a browser to try it");
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Failure {
        Failure::Failed(match error {
            ServeError::Bind { .. } => {
                format!("{error}: end what holds it, or choose another address")
            }
            ServeError::Keys(_) | ServeError::Worker { .. } | ServeError::System(_) => {
                error.to_string()
            }
        })
    }
}
