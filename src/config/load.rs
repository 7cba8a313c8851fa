//! From defaults, file, environment and flags, in rising order, to one [`Config`].

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::keys::{KEYS, Key};
use super::values::Invalid;
use super::{Config, Redis, RedisAddress, environment, file};

/// Where settings are looked for.
#[derive(Debug, Default)]
pub struct Sources {
    /// The TOML file; `None` leaves it to `WS4REDIS_CONFIG`, and there may be none at all.
    pub file: Option<PathBuf>,
    /// The environment; what is no business of ours in it is passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// What the command line says.
    pub flags: Vec<Setting>,
}

/// A value for a key, as it was written.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Whose value.
    pub key: &'static Key,
    /// The value: one word, or several for a key that takes a list.
    pub words: Vec<String>,
    /// Where it was written.
    pub origin: Origin,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag, `--listen`.
    Flag(String),
    /// A variable of the environment, `WS4REDIS_LISTEN`.
    Variable(String),
    /// A variable that holds keys, `WS4REDIS_JWT_KEY`, where the setting names a file.
    Secret(String),
    /// A file.
    File {
        /// Its path as it was given.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) | Origin::Variable(name) | Origin::Secret(name) => f.write_str(name),
            Origin::File { path, line } => write!(f, "{}, line {line}", path.display()),
        }
    }
}

/// A configuration, and where its values come from.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, checked.
    pub config: Config,
    settings: Vec<Setting>,
}

/// What the operator has to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML. The parser's own rendering would quote the line, and with it a password.
    #[error("{origin}: not TOML: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser says.
        message: String,
    },
    /// A key of the file that means nothing.
    #[error("{origin}: unknown key {name}{}", hint(.nearest.as_deref()))]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// The key as it stands, and in which table.
        name: String,
        /// What was perhaps meant.
        nearest: Option<String>,
    },
    /// A variable that begins like ours and means nothing.
    #[error("{name}: unknown variable{}", hint(.nearest.as_deref()))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// What was perhaps meant.
        nearest: Option<String>,
    },
    /// A variable that is the original's, and cannot be ours.
    #[error("{0} names Python code, which the gateway cannot run: take it out of its environment")]
    Python(String),
    /// A value that is none, or does not go with the others.
    #[error("{subject} {must}")]
    Invalid {
        /// Where it was written, and the key if that does not say it.
        subject: String,
        /// What it must be.
        must: String,
    },
    /// A Redis of our own, and another one.
    #[error("{embedded} and {redis} contradict each other: leave one of them out")]
    TwoRedis {
        /// Where `embedded` was written.
        embedded: String,
        /// Where `redis` was written.
        redis: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(": did you mean {name}?"))
}

/// Reads all sources and checks the whole.
pub fn load(sources: Sources) -> Result<Loaded, ConfigError> {
    let environment = environment::read(sources.environment)?;
    let file = match sources.file.or(environment.file) {
        Some(path) => file::read(path)?,
        None => file::Contents::default(),
    };
    let settings = winners([file.settings, environment.settings, sources.flags]);
    let mut config = Config::default();
    for setting in &settings {
        setting
            .put(&mut config)
            .map_err(|Invalid(must)| ConfigError::Invalid {
                subject: setting.subject(),
                must,
            })?;
    }
    config.rules.rules = file.rules;
    let mut loaded = Loaded { config, settings };
    loaded.derive()?;
    loaded.config = loaded
        .config
        .clone()
        .checked()
        .map_err(|unfit| ConfigError::Invalid {
            subject: loaded
                .setting(unfit.key)
                .map_or_else(|| unfit.key.to_owned(), Setting::subject),
            must: unfit.must,
        })?;
    Ok(loaded)
}

impl Loaded {
    /// Where the value of a key was written; `None` if it is the default.
    pub fn origin(&self, key: &Key) -> Option<&Origin> {
        self.setting(key.name).map(|setting| &setting.origin)
    }

    fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings
            .iter()
            .find(|setting| setting.key.name == name)
    }

    /// The defaults that follow from other settings.
    fn derive(&mut self) -> Result<(), ConfigError> {
        if let Some(address) = self.config.embedded {
            if let (Some(embedded), Some(redis)) = (self.setting("embedded"), self.setting("redis"))
            {
                return Err(ConfigError::TwoRedis {
                    embedded: embedded.subject(),
                    redis: redis.subject(),
                });
            }
            self.config.redis = Redis {
                address: RedisAddress::Tcp {
                    host: address.ip().to_string(),
                    port: address.port(),
                },
                ..Redis::default()
            };
        }
        if self.setting("playground").is_none() {
            self.config.playground = self.config.embedded.is_some();
        }
        // Who lowers the one need not know of the other.
        if self.setting("pending_max").is_none() {
            let limits = &mut self.config.limits;
            limits.pending_max = limits.pending_max.min(limits.sessions_max);
        }
        Ok(())
    }
}

impl Setting {
    fn put(&self, config: &mut Config) -> Result<(), Invalid> {
        match &self.origin {
            Origin::Secret(_) => self.key.keep(config, &self.words.concat()),
            _ => self.key.set(config, &self.words),
        }
    }

    /// Where it was written, with its name: the beginning of a sentence about it.
    fn subject(&self) -> String {
        match &self.origin {
            Origin::Flag(_) | Origin::Variable(_) | Origin::Secret(_) => self.origin.to_string(),
            Origin::File { .. } => format!("{}: {}", self.origin, self.key.name_in_file()),
        }
    }
}

/// For each key the setting of the highest layer that has one, in the order of the table. A list replaces
/// the list below it: to add to it, one would have to know it.
fn winners(layers: [Vec<Setting>; 3]) -> Vec<Setting> {
    let all: Vec<Setting> = layers.into_iter().flatten().collect();
    KEYS.iter()
        .filter_map(|key| all.iter().rfind(|setting| setting.key.name == key.name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Listen;

    fn loaded(
        text: &str,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let flag = |(name, value): &(&str, &str)| {
            let key = Key::named(name).unwrap();
            Setting {
                key,
                words: key.words(value),
                origin: Origin::Flag(format!("--{}", key.flag())),
            }
        };
        load(Sources {
            file: Some(file.path().to_owned()),
            environment: environment
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            flags: flags.iter().map(flag).collect(),
        })
        .map(|loaded| loaded.config)
        .map_err(|error| {
            error
                .to_string()
                .replace(file.path().to_str().unwrap(), "ws4redis.toml")
        })
    }

    fn config(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Config {
        loaded(file, environment, flags).unwrap_or_else(|error| panic!("{error}"))
    }

    fn error(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
        loaded(file, environment, flags).unwrap_err()
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(config("", &[], &[]), Config::default());
    }

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_file() {
        let file =
            "prefix = 'file'\nexpire = 1\nheartbeat = 'file'\n[limits]\nping_interval = '7s'";
        let environment = [
            ("WS4REDIS_EXPIRE", "2"),
            ("WS4REDIS_HEARTBEAT", "environment"),
        ];
        let config = config(file, &environment, &[("heartbeat", "flag")]);
        assert_eq!(config.prefix, "file");
        assert_eq!(config.expire, 2);
        assert_eq!(config.heartbeat.as_deref(), Some("flag"));
        assert_eq!(config.limits.ping_interval.as_secs(), 7);
    }

    #[test]
    fn a_list_replaces_the_list_below_it_and_the_socket_mode_is_for_all_that_name_none() {
        let file = "listen = ['127.0.0.1:1', '127.0.0.1:2']";
        let environment = [("WS4REDIS_LISTEN", "unix:/a, unix:/b?mode=0600")];
        let config = config(file, &environment, &[("socket_mode", "0666")]);
        let socket = |path: &str, mode| Listen::Unix {
            path: path.into(),
            mode,
        };
        assert_eq!(config.listen, [socket("/a", 0o666), socket("/b", 0o600)]);
    }

    #[test]
    fn a_wrong_value_is_named_by_the_place_where_it_stands() {
        assert_eq!(
            error("prefix = 'p'\nwebsocket_url = '/ws'", &[], &[]),
            "ws4redis.toml, line 2: websocket_url must begin and end with a slash, such as /ws/"
        );
        assert_eq!(
            error("", &[("WS4REDIS_EXPIRE", "soon")], &[]),
            "WS4REDIS_EXPIRE must be whole seconds, such as 3600, 90s or 1h, not \"soon\""
        );
        assert_eq!(
            error("", &[], &[("queue_bytes_max", "0")]),
            "--queue-bytes-max must be at least 1, not 0"
        );
    }

    #[test]
    fn embedded_mode_is_its_own_redis_and_shows_the_playground() {
        let config = config("", &[], &[("embedded", "127.0.0.1:0")]);
        assert_eq!(config.redis.to_string(), "redis://127.0.0.1:0/0");
        assert!(config.playground);
        let without = [("embedded", "on"), ("playground", "off")];
        assert!(!self::config("", &[], &without).playground);
    }

    #[test]
    fn embedded_mode_and_a_redis_contradict_each_other() {
        assert_eq!(
            error(
                "embedded = true",
                &[("WS4REDIS_CONNECTION", "redis://:secret@h")],
                &[]
            ),
            "ws4redis.toml, line 1: embedded and WS4REDIS_CONNECTION contradict each other: \
             leave one of them out"
        );
        let off = config("redis = 'redis://h'", &[], &[("embedded", "off")]);
        assert_eq!(off.redis.to_string(), "redis://h:6379/0");
    }

    #[test]
    fn fewer_sessions_need_no_word_about_pending_ones() {
        let config = config("", &[], &[("sessions_max", "100")]);
        assert_eq!(config.limits.pending_max, 100);
        let both = [("sessions_max", "100"), ("pending_max", "101")];
        assert!(error("", &[], &both).contains("--pending-max must be at most"));
    }

    #[test]
    fn a_source_that_identity_names_has_what_it_needs() {
        let key = [("WS4REDIS_JWT_KEY", "hunter2")];
        assert_eq!(
            error(
                "prefix = 'p'\nidentity = ['jwt']\n[jwt]\nalgorithms = ['HS256']",
                &[],
                &[]
            ),
            "ws4redis.toml, line 2: identity must not name jwt without a key: say key_file in [jwt], \
             --jwt-key-file or WS4REDIS_JWT_KEY"
        );
        assert!(error("identity = ['jwt']", &key, &[]).contains("algorithms"));
        for unknown in ["none", "hs256", "HS512", ""] {
            let file = format!("[jwt]\nalgorithms = ['{unknown}']");
            assert!(error(&file, &[], &[]).contains("one of HS256, RS256, ES256, EdDSA"));
        }
        let jwt = config("[jwt]\nalgorithms = ['HS256']", &key, &[]).jwt;
        assert_eq!(jwt.keys.unwrap().text.reveal(), "hunter2");
        assert!(error("identity = 'callback'", &[], &[]).contains("url in [callback]"));
        assert!(
            error(
                "identity = 'django'\n[django]\nengine = 'signed_cookies'",
                &[],
                &[]
            )
            .contains("SECRET_KEY")
        );
        config("identity = 'django'", &[], &[]);
    }

    #[test]
    fn sessions_have_a_link_of_their_own_only_where_they_have_another_redis_or_other_credentials() {
        let other = |identity: &str, redis: &str, of_sessions: &str| {
            let file = format!(
                "redis = '{redis}'\nidentity = '{identity}'\n[django]\nredis = '{of_sessions}'"
            );
            let config = config(&file, &[], &[]);
            config.sessions_redis().map(ToString::to_string)
        };
        let messages = "redis://:hunter2@h/1";
        for (same, of_sessions) in [
            (true, "redis://h/1"),
            (true, "redis://:hunter2@h:6379/1"),
            (false, "redis://h/2"),
            (false, "redis://h:6380/1"),
            (false, "redis://other/1"),
            (false, "redis://:other@h/1"),
            (false, "redis://app:hunter2@h/1"),
            (false, "unix:///s?db=1"),
        ] {
            let found = other("django", messages, of_sessions);
            assert_eq!(found.is_none(), same, "{of_sessions}: {found:?}");
            assert_eq!(other("cookie", messages, of_sessions), None);
        }
        assert_eq!(
            config("identity = 'django'", &[], &[]).sessions_redis(),
            None
        );
        let signed =
            "identity = 'django'\n[django]\nredis = 'redis://other'\nengine = 'signed_cookies'";
        let key = [("WS4REDIS_DJANGO_SECRET_KEY", "k")];
        assert_eq!(config(signed, &key, &[]).sessions_redis(), None);
    }

    #[test]
    fn a_key_file_that_is_not_there_is_named_and_where_it_was_named() {
        assert!(error("[jwt]\nkey_file = '/nowhere'", &[], &[]).starts_with(
            "ws4redis.toml, line 2: key_file must be a file with a key, and /nowhere cannot be read"
        ));
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let missing = Sources {
            file: Some("/nowhere/ws4redis.toml".into()),
            ..Sources::default()
        };
        let error = load(missing).unwrap_err().to_string();
        assert!(error.contains("/nowhere/ws4redis.toml"), "{error}");
    }
}
