//! Every setting, once.
//!
//! From this table come the keys of the file, the names in the environment, the flags of the command line
//! with their help, what `check --print` prints, and the test of `docs/configuration.md`. A default is
//! nowhere but in [`Config::default`].

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::values::{self, Invalid};
use super::{Config, Listen, LogFormat, Origins, Redis, addresses};

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file; in `[limits]` for those of [`Group::Limits`].
    pub name: &'static str,
    /// Which settings it stands with.
    pub group: Group,
    /// What it is for, in one sentence without a full stop.
    pub meaning: &'static str,
    place: Place,
}

/// Settings that stand together in help and documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Where we listen.
    Listening,
    /// Redis and what is kept there.
    Redis,
    /// Who may connect and as whom.
    Clients,
    /// What is logged.
    Logging,
    /// The bounds; in the file the table `[limits]`.
    Limits,
}

impl Group {
    /// Each once, in the order of the documents.
    pub const ALL: [Group; 5] = [
        Group::Listening,
        Group::Redis,
        Group::Clients,
        Group::Logging,
        Group::Limits,
    ];

    /// The heading over the group.
    pub fn heading(self) -> &'static str {
        match self {
            Group::Listening => "Listening",
            Group::Redis => "Redis",
            Group::Clients => "Clients",
            Group::Logging => "Logging",
            Group::Limits => "Limits",
        }
    }
}

/// How often a flag may stand, and whether it needs a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One value.
    One,
    /// Any number of values, in several flags or between commas.
    Many,
    /// A value, or none; then it means this.
    Optional(&'static str),
}

/// A value of the configuration as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A number or a boolean.
    Bare(String),
    /// A string.
    Text(String),
    /// An array of strings.
    List(Vec<String>),
    /// Nothing, and nothing that a file could say for it.
    Unset,
}

/// Where a setting's value lives, and so of which kind it is.
#[derive(Debug)]
enum Place {
    Count(fn(&mut Config) -> &mut usize),
    Rate(fn(&mut Config) -> &mut u32),
    Size(fn(&mut Config) -> &mut usize),
    Time(fn(&mut Config) -> &mut Duration),
    Seconds(fn(&mut Config) -> &mut u32),
    Switch(fn(&mut Config) -> &mut bool),
    Mode(fn(&mut Config) -> &mut u32),
    Text(fn(&mut Config) -> &mut String),
    OptionalText(fn(&mut Config) -> &mut Option<String>),
    Listen(fn(&mut Config) -> &mut Vec<Listen>),
    Admin(fn(&mut Config) -> &mut Option<SocketAddr>),
    Redis(fn(&mut Config) -> &mut Redis),
    Embedded(fn(&mut Config) -> &mut Option<SocketAddr>),
    Networks(fn(&mut Config) -> &mut Vec<IpNet>),
    Origins(fn(&mut Config) -> &mut Origins),
    LogFormat(fn(&mut Config) -> &mut LogFormat),
}

impl Key {
    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Its name in the environment: the original's where it had one.
    pub fn variable(&self) -> String {
        match self.name {
            "websocket_url" => "WEBSOCKET_URL".to_owned(),
            "redis" => "WS4REDIS_CONNECTION".to_owned(),
            name => format!("WS4REDIS_{}", name.to_ascii_uppercase()),
        }
    }

    /// Its flag, without the dashes in front.
    pub fn flag(&self) -> String {
        match self.name {
            "origins" => "origin".to_owned(),
            name => name.replace('_', "-"),
        }
    }

    /// The word that stands for its value in help: `SIZE`.
    pub fn value_name(&self) -> &'static str {
        match self.place {
            Place::Count(_) | Place::Rate(_) => "N",
            Place::Size(_) => "SIZE",
            Place::Time(_) | Place::Seconds(_) => "TIME",
            Place::Switch(_) => "BOOL",
            Place::Mode(_) => "BITS",
            Place::Text(_) | Place::OptionalText(_) => "TEXT",
            Place::Listen(_) | Place::Admin(_) | Place::Embedded(_) => "ADDR",
            Place::Redis(_) => "URL",
            Place::Networks(_) => "CIDR",
            Place::Origins(_) => "ORIGIN",
            Place::LogFormat(_) => "FORMAT",
        }
    }

    /// What its flag takes.
    pub fn takes(&self) -> Takes {
        match self.place {
            Place::Listen(_) | Place::Networks(_) | Place::Origins(_) => Takes::Many,
            Place::Switch(_) | Place::Embedded(_) => Takes::Optional("on"),
            _ => Takes::One,
        }
    }

    /// The words of a value that stands in one string: a list has commas, any other value is one word.
    pub fn words(&self, value: &str) -> Vec<String> {
        match self.takes() {
            Takes::Many => value
                .split(',')
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect(),
            Takes::One | Takes::Optional(_) => vec![value.to_owned()],
        }
    }

    /// Puts the value that `words` say in its place.
    pub fn set(&self, config: &mut Config, words: &[String]) -> Result<(), Invalid> {
        match self.place {
            Place::Listen(at) => {
                let mode = config.socket_mode;
                *at(config) = words
                    .iter()
                    .map(|word| addresses::listen(word, mode))
                    .collect::<Result<_, _>>()?;
            }
            Place::Networks(at) => {
                *at(config) = words
                    .iter()
                    .map(|word| addresses::network(word))
                    .collect::<Result<_, _>>()?;
            }
            Place::Origins(at) => *at(config) = addresses::origins(words)?,
            _ => {
                let [word] = words else {
                    return Err(Invalid("must be one value, not a list".to_owned()));
                };
                self.set_one(config, word)?;
            }
        }
        Ok(())
    }

    fn set_one(&self, config: &mut Config, word: &str) -> Result<(), Invalid> {
        match self.place {
            Place::Count(at) => *at(config) = values::number(word)?,
            Place::Rate(at) => *at(config) = values::number(word)?,
            Place::Size(at) => *at(config) = values::size(word)?,
            Place::Time(at) => *at(config) = values::duration(word)?,
            Place::Seconds(at) => *at(config) = values::seconds(word)?,
            Place::Switch(at) => *at(config) = values::switch(word)?,
            Place::Mode(at) => *at(config) = values::mode(word)?,
            Place::Text(at) => *at(config) = word.to_owned(),
            Place::OptionalText(at) => *at(config) = Some(word.to_owned()),
            Place::Admin(at) => *at(config) = addresses::admin(word)?,
            Place::Redis(at) => {
                *at(config) = word
                    .parse()
                    .map_err(|error: super::UrlError| Invalid(error.to_string()))?;
            }
            Place::Embedded(at) => *at(config) = addresses::embedded(word)?,
            Place::LogFormat(at) => *at(config) = values::log_format(word)?,
            Place::Listen(_) | Place::Networks(_) | Place::Origins(_) => {}
        }
        Ok(())
    }

    /// Its value, secrets masked, as [`Key::set`] would read it.
    pub fn shown(&self, config: &Config) -> Shown {
        // The places are told by `&mut`, once for reading and writing; a copy is cheap at the rate of printing.
        let config = &mut config.clone();
        match self.place {
            Place::Count(at) => Shown::Bare(at(config).to_string()),
            Place::Rate(at) => Shown::Bare(at(config).to_string()),
            Place::Size(at) => Shown::Text(values::show_size(*at(config) as u64)),
            Place::Time(at) => Shown::Text(values::show_duration(*at(config))),
            Place::Seconds(at) => Shown::Bare(at(config).to_string()),
            Place::Switch(at) => Shown::Bare(at(config).to_string()),
            Place::Mode(at) => Shown::Text(format!("{:04o}", at(config))),
            Place::Text(at) => Shown::Text(at(config).clone()),
            Place::OptionalText(at) => at(config).clone().map_or(Shown::Unset, Shown::Text),
            Place::Listen(at) => Shown::List(strings(at(config))),
            Place::Admin(at) | Place::Embedded(at) => Shown::Text(
                at(config).map_or_else(|| "off".to_owned(), |address| address.to_string()),
            ),
            Place::Redis(at) => Shown::Text(at(config).to_string()),
            Place::Networks(at) => Shown::List(strings(at(config))),
            Place::Origins(at) => match at(config) {
                Origins::SameHost => Shown::Text("same-host".to_owned()),
                Origins::Any => Shown::Text("any".to_owned()),
                Origins::Listed(origins) => Shown::List(origins.clone()),
            },
            Place::LogFormat(at) => Shown::Text(
                match at(config) {
                    LogFormat::Auto => "auto",
                    LogFormat::Text => "text",
                    LogFormat::Json => "json",
                }
                .to_owned(),
            ),
        }
    }
}

fn strings<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

const fn key(name: &'static str, group: Group, place: Place, meaning: &'static str) -> Key {
    Key {
        name,
        group,
        meaning,
        place,
    }
}

const fn limit(name: &'static str, place: Place, meaning: &'static str) -> Key {
    key(name, Group::Limits, place, meaning)
}

/// The table. `socket_mode` stands before `listen`, which is read with it.
#[rustfmt::skip]
pub static KEYS: [Key; 34] = [
    key("socket_mode", Group::Listening, Place::Mode(|c| &mut c.socket_mode),
        "Permission bits of the unix sockets that name none themselves"),
    key("listen", Group::Listening, Place::Listen(|c| &mut c.listen),
        "Where clients connect: ADDRESS:PORT or unix:/path[?mode=0660]"),
    key("admin", Group::Listening, Place::Admin(|c| &mut c.admin),
        "Where /healthz, /readyz and /metrics are served, or off"),
    key("websocket_url", Group::Listening, Place::Text(|c| &mut c.websocket_url),
        "The path under which facilities stand; begins and ends with a slash"),
    key("playground", Group::Listening, Place::Switch(|c| &mut c.playground),
        "Serve a page at / to try the gateway with; on in embedded mode unless switched off"),
    key("redis", Group::Redis, Place::Redis(|c| &mut c.redis),
        "The Redis to speak to: redis://[user[:password]@]host[:port][/db] or unix:///path?db=N"),
    key("embedded", Group::Redis, Place::Embedded(|c| &mut c.embedded),
        "The very small Redis inside `serve`, instead of a real one: on, off or ADDRESS:PORT"),
    key("prefix", Group::Redis, Place::Text(|c| &mut c.prefix),
        "Put before every channel and key, with a colon"),
    key("expire", Group::Redis, Place::Seconds(|c| &mut c.expire),
        "For how long the last message of a channel is kept for clients that come later; 0 keeps none"),
    key("heartbeat", Group::Clients, Place::OptionalText(|c| &mut c.heartbeat),
        "A text that is sent to clients every 4 s, and not published when a client sends it"),
    key("session_cookie", Group::Clients, Place::Text(|c| &mut c.session_cookie),
        "The cookie that holds the session key"),
    key("trusted", Group::Clients, Place::Networks(|c| &mut c.trusted),
        "Proxies whose X-Ws4redis-* headers are believed; those on a unix socket always are"),
    key("origins", Group::Clients, Place::Origins(|c| &mut c.origins),
        "Whose pages may connect: same-host, any, or scheme://host[:port]"),
    key("log", Group::Logging, Place::Text(|c| &mut c.log.filter),
        "What is logged: error, warn, info, debug, or a tracing filter such as ws4redis=debug"),
    key("log_format", Group::Logging, Place::LogFormat(|c| &mut c.log.format),
        "text, json, or auto: text on a terminal, JSON otherwise"),
    limit("sessions_max", Place::Count(|c| &mut c.limits.sessions_max),
        "Sessions at once, pending handshakes included; each takes a file descriptor"),
    limit("pending_max", Place::Count(|c| &mut c.limits.pending_max),
        "Handshakes under way at once; follows sessions_max down if not set"),
    limit("sessions_per_address_max", Place::Count(|c| &mut c.limits.sessions_per_address_max),
        "Sessions from one address, trusted proxies aside; 0 is no limit"),
    limit("channels_per_session_max", Place::Count(|c| &mut c.limits.channels_per_session_max),
        "Channels that one session may hear and speak to, together"),
    limit("head_bytes_max", Place::Size(|c| &mut c.limits.head_bytes_max),
        "Bytes of a request head"),
    limit("message_bytes_max", Place::Size(|c| &mut c.limits.message_bytes_max),
        "Bytes of a message from a client, fragments summed"),
    limit("messages_per_second_max", Place::Rate(|c| &mut c.limits.messages_per_second_max),
        "Messages a second from one client"),
    limit("queue_bytes_max", Place::Size(|c| &mut c.limits.queue_bytes_max),
        "Bytes that may wait for one client; a slower one is closed"),
    limit("budget_bytes_max", Place::Size(|c| &mut c.limits.budget_bytes_max),
        "Bytes that may wait for all clients and be half-received from them, together"),
    limit("redis_message_bytes_max", Place::Size(|c| &mut c.limits.redis_message_bytes_max),
        "Bytes of one message from Redis; a larger one is skipped and counted"),
    limit("publish_queue_max", Place::Count(|c| &mut c.limits.publish_queue_max),
        "Messages of clients that may wait for Redis"),
    limit("publish_queue_bytes_max", Place::Size(|c| &mut c.limits.publish_queue_bytes_max),
        "Their bytes"),
    limit("publish_queue_age_max", Place::Time(|c| &mut c.limits.publish_queue_age_max),
        "Their age; an older one is dropped and counted"),
    limit("handshake_timeout", Place::Time(|c| &mut c.limits.handshake_timeout),
        "From accept to the answer of the handshake"),
    limit("ping_interval", Place::Time(|c| &mut c.limits.ping_interval),
        "Silence of a client after which it is pinged"),
    limit("pong_timeout", Place::Time(|c| &mut c.limits.pong_timeout),
        "From a ping until something must be heard, or the client is closed"),
    limit("close_timeout", Place::Time(|c| &mut c.limits.close_timeout),
        "From our Close frame until the client's"),
    limit("drain_per_second", Place::Rate(|c| &mut c.limits.drain_per_second),
        "Sessions closed a second while draining"),
    limit("drain_timeout", Place::Time(|c| &mut c.limits.drain_timeout),
        "From SIGTERM to exit; the pace rises if it would take longer"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_settings_share_a_name_a_flag_or_a_variable() {
        let distinct = |name: fn(&Key) -> String| KEYS.iter().map(name).collect::<BTreeSet<_>>();
        assert_eq!(distinct(|key| key.name.to_owned()).len(), KEYS.len());
        assert_eq!(distinct(Key::flag).len(), KEYS.len());
        assert_eq!(distinct(Key::variable).len(), KEYS.len());
    }

    #[test]
    fn the_original_settings_keep_their_names_in_the_environment() {
        for (name, variable) in [
            ("websocket_url", "WEBSOCKET_URL"),
            ("redis", "WS4REDIS_CONNECTION"),
            ("prefix", "WS4REDIS_PREFIX"),
            ("expire", "WS4REDIS_EXPIRE"),
            ("heartbeat", "WS4REDIS_HEARTBEAT"),
            ("sessions_max", "WS4REDIS_SESSIONS_MAX"),
        ] {
            assert_eq!(Key::named(name).unwrap().variable(), variable);
        }
    }

    #[test]
    fn what_is_shown_of_a_setting_sets_it_to_the_same() {
        let mut config = Config {
            heartbeat: Some("--beat--".to_owned()),
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            origins: Origins::Listed(vec!["https://example.com".to_owned()]),
            embedded: Some(addresses::EMBEDDED_DEFAULT),
            ..Config::default()
        };
        let before = config.clone();
        for key in &KEYS {
            let words = match key.shown(&before) {
                Shown::Bare(word) | Shown::Text(word) => vec![word],
                Shown::List(words) => words,
                Shown::Unset => panic!("{} is unset", key.name),
            };
            key.set(&mut config, &words).unwrap();
            assert_eq!(config, before, "{}", key.name);
        }
    }
}
