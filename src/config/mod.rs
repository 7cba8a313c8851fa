//! The checked whole of what the operator asked for.
//!
//! A [`Config`] can be used as it is: everything in it was parsed, cross-checked and given its default.
//! Defaults are the original's where it had one (`original name` in each comment), so that a site moves over
//! by starting us. How it comes about: [`load`] puts file, environment and flags on top of the defaults, by
//! the table of [`keys`], and then asks [`Config::checked`].

mod addresses;
mod callback;
mod checks;
mod control;
mod environment;
mod file;
pub mod keys;
pub mod load;
mod memory;
mod place;
mod reload;
mod rules;
mod secret;
mod share;
mod sources;
mod suggest;
mod table;
mod url;
pub mod values;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::limits::Limits;

pub use callback::{CallbackConfig, CallbackUrl, CallbackUrlError};
pub use control::ControlConfig;
pub use reload::{Reloaded, Unfitting};
pub use rules::{Allow, CHANNEL_FLAGS, Require, Rule, RulesConfig};
pub use secret::{KeyMaterial, Secret};
pub use sources::{Django, DjangoEngine, Jwt, JwtAlgorithm, Source, UsernameFallback};
pub use url::UrlError;
pub use values::Invalid;

/// Everything that the gateway is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listen: Vec<Listen>,
    /// The permission bits of unix sockets for which [`Listen`] was told none.
    pub socket_mode: u32,
    /// Where the operator connects: `/healthz`, `/readyz`, `/metrics`. `None` is off.
    pub admin: Option<SocketAddr>,
    /// Threads that serve clients, each with its own connection to Redis. [`Config::share`] is what each has of the
    /// bounds.
    pub workers: usize,
    /// The Redis to speak to (`WS4REDIS_CONNECTION`). In embedded mode, our own.
    pub redis: Redis,
    /// Where the embedded Redis listens; `None` is no embedded Redis.
    pub embedded: Option<SocketAddr>,
    /// Serve the playground page at `/`.
    pub playground: bool,
    /// The path under which facilities stand (`WEBSOCKET_URL`); begins and ends with a slash.
    pub websocket_url: String,
    /// Put before every channel and key, with a colon (`WS4REDIS_PREFIX`); empty is none.
    pub prefix: String,
    /// Seconds for which a client's message is persisted (`WS4REDIS_EXPIRE`); 0 persists nothing.
    pub expire: u32,
    /// The text of the heartbeat (`WS4REDIS_HEARTBEAT`).
    pub heartbeat: Option<String>,
    /// The cookie that holds the session key (Django's `SESSION_COOKIE_NAME`).
    pub session_cookie: String,
    /// Peers whose `X-Ws4redis-*` headers are believed, besides those on a unix socket.
    pub trusted: Vec<IpNet>,
    /// Which pages may connect.
    pub origins: Origins,
    /// Is a client refused that has the session cookie and sends no `Origin`?
    pub origin_required_with_cookie: bool,
    /// How many trusted proxies add to `X-Forwarded-For`; 0 ignores it.
    pub forwarded_hops: u8,
    /// How it is found out who a client is: the first that knows the user says so, and the first that knows a
    /// session says that.
    pub identity: Vec<Source>,
    /// Keys of the signature that the `X-Ws4redis-*` headers must carry, one a line; `None` asks for none.
    pub headers_secret: Option<KeyMaterial>,
    /// How old such a signature may be.
    pub headers_max_age: Duration,
    /// For [`Source::Django`].
    pub django: Django,
    /// For [`Source::Jwt`].
    pub jwt: Jwt,
    /// For [`Source::Callback`].
    pub callback: CallbackConfig,
    /// Whose orders end sessions.
    pub control: ControlConfig,
    /// What clients may do.
    pub rules: RulesConfig,
    /// Every bound.
    pub limits: Limits,
    /// What is logged and how.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8000)))],
            socket_mode: 0o660,
            admin: Some(SocketAddr::from(([127, 0, 0, 1], 8001))),
            workers: 1,
            redis: Redis::default(),
            embedded: None,
            playground: false,
            websocket_url: "/ws/".to_owned(),
            prefix: String::new(),
            expire: 3600,
            heartbeat: None,
            session_cookie: "sessionid".to_owned(),
            trusted: Vec::new(),
            origins: Origins::SameHost,
            origin_required_with_cookie: true,
            forwarded_hops: 1,
            identity: vec![Source::Headers, Source::Cookie],
            headers_secret: None,
            headers_max_age: Duration::from_secs(60),
            django: Django::default(),
            jwt: Jwt::default(),
            callback: CallbackConfig::default(),
            control: ControlConfig::default(),
            rules: RulesConfig::default(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

/// One address on which clients are awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A unix socket. A stale file in its place is replaced, one in use is not.
    Unix {
        /// The socket's file.
        path: PathBuf,
        /// Its permission bits, such as `0o660`.
        mode: u32,
    },
}

/// A Redis and how to be let in: `redis://[user[:password]@]host[:port][/db]` or `unix:///path?db=N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// Where it listens.
    pub address: RedisAddress,
    /// ACL user; `None` is Redis' `default`.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The database of the persisted messages. Channels know no databases.
    pub db: u32,
}

/// Where a Redis listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAddress {
    /// A host, by name or address, and a port.
    Tcp {
        /// A name is looked up anew at every connect, so that a failover by DNS is followed.
        host: String,
        /// 6379 unless told otherwise.
        port: u16,
    },
    /// A socket's file.
    Unix(PathBuf),
}

/// Which pages may connect, by the request's `Origin`. A request without one is no page's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Those served from the host (and port) of the request's own `Host`.
    SameHost,
    /// These, as `scheme://host[:port]`, lower case, without a default port. A host that begins with `*.` is all
    /// sub-domains of the rest, at any depth, and not the rest itself.
    Listed(Vec<String>),
    /// All; for gateways whose clients carry no ambient identity.
    Any,
}

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The shape of a line.
    pub format: LogFormat,
    /// A tracing filter: `info`, `debug`, `ws4redis=debug`.
    pub filter: String,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Redis {
    fn default() -> Redis {
        Redis {
            address: RedisAddress::Tcp {
                host: "localhost".to_owned(),
                port: 6379,
            },
            username: None,
            password: None,
            db: 0,
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log {
            format: LogFormat::Auto,
            filter: "info".to_owned(),
        }
    }
}

impl Config {
    /// The Redis that is asked for Django's sessions, if it is another than that of the messages, or other credentials
    /// are given for it.
    pub fn sessions_redis(&self) -> Option<&Redis> {
        let asked = self.identity.contains(&Source::Django) && self.django.engine.is_in_redis();
        let other = self.django.redis.as_ref().filter(|_| asked)?;
        let is_same = other.address == self.redis.address
            && other.db == self.redis.db
            && (other.password.is_none()
                || (&other.username, &other.password)
                    == (&self.redis.username, &self.redis.password));
        (!is_same).then_some(other)
    }

    /// Are the identity headers of a peer at this address believed?
    pub fn trusts(&self, ip: IpAddr) -> bool {
        // A dual-stack listener sees IPv4 peers as ::ffff:a.b.c.d; the operator wrote a.b.c.d.
        let ip = ip.to_canonical();
        self.trusted.iter().any(|net| net.contains(&ip))
    }
}
