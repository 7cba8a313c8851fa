//! Every setting, once.
//!
//! From this table come the keys of the file, the names in the environment, the flags of the command line
//! with their help, what `check --print` prints, and the test of `docs/configuration.md`. A default is
//! nowhere but in [`Config::default`].

use super::Config;
use super::place::Place;
use super::values::Invalid;

pub use super::table::KEYS;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Its name among all settings. [`Key::name_in_file`] is shorter where the table says the rest.
    pub name: &'static str,
    /// Which settings it stands with.
    pub group: Group,
    /// What it is for, in one sentence without a full stop.
    pub meaning: &'static str,
    /// When a change of it is taken.
    pub taken: Taken,
    pub(super) place: Place,
}

/// When a change of a setting is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// By a restart only.
    AtStart,
    /// By a reload, too.
    AtReload,
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
    /// What they may do.
    Permission,
    /// What is logged.
    Logging,
    /// Django's sessions.
    Django,
    /// Tokens.
    Jwt,
    /// The application, asked.
    Callback,
    /// Orders that end sessions.
    Control,
    /// The bounds.
    Limits,
}

impl Group {
    /// Each once, in the order of the documents. Those with a table of their own stand last, as they must in a
    /// file.
    pub const ALL: [Group; 10] = [
        Group::Listening,
        Group::Redis,
        Group::Clients,
        Group::Permission,
        Group::Logging,
        Group::Django,
        Group::Jwt,
        Group::Callback,
        Group::Control,
        Group::Limits,
    ];

    /// The heading over the group.
    pub fn heading(self) -> &'static str {
        match self {
            Group::Listening => "Listening",
            Group::Redis => "Redis",
            Group::Clients => "Clients",
            Group::Permission => "Permission",
            Group::Logging => "Logging",
            Group::Django => "Django sessions",
            Group::Jwt => "Tokens",
            Group::Callback => "Callback",
            Group::Control => "Control channel",
            Group::Limits => "Limits",
        }
    }

    /// Its table in the file; `None` is above all tables.
    pub fn table(self) -> Option<&'static str> {
        match self {
            Group::Listening
            | Group::Redis
            | Group::Clients
            | Group::Permission
            | Group::Logging => None,
            Group::Django => Some("django"),
            Group::Jwt => Some("jwt"),
            Group::Callback => Some("callback"),
            Group::Control => Some("control"),
            Group::Limits => Some("limits"),
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

impl Key {
    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Its name in the file, in the table of its group: `key_file` in `[jwt]` for `jwt_key_file`.
    pub fn name_in_file(&self) -> &'static str {
        let table = self.group.table().unwrap_or_default();
        let rest = self.name.strip_prefix(table);
        rest.and_then(|rest| rest.strip_prefix('_'))
            .unwrap_or(self.name)
    }

    /// The setting that has this name in a table of the file, or above all tables.
    pub fn in_file(table: Option<&str>, name: &str) -> Option<&'static Key> {
        KEYS.iter()
            .find(|key| key.group.table() == table && key.name_in_file() == name)
    }

    /// Its name in the environment: the original's where it had one.
    pub fn variable(&self) -> String {
        match self.name {
            "websocket_url" => "WEBSOCKET_URL".to_owned(),
            "redis" => "WS4REDIS_CONNECTION".to_owned(),
            name => format!("WS4REDIS_{}", name.to_ascii_uppercase()),
        }
    }

    /// The variable that holds the keys themselves, where the setting names a file: `WS4REDIS_JWT_KEY` for
    /// `WS4REDIS_JWT_KEY_FILE`.
    pub fn secret_variable(&self) -> Option<String> {
        match self.place {
            Place::KeyMaterial(_) => self.variable().strip_suffix("_FILE").map(str::to_owned),
            _ => None,
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
        self.place.value_name()
    }

    /// What its flag takes.
    pub fn takes(&self) -> Takes {
        self.place.takes()
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
        self.place.set(config, words)
    }

    /// Puts keys in their place that [`Key::secret_variable`] holds.
    pub(crate) fn keep(&self, config: &mut Config, text: &str) -> Result<(), Invalid> {
        self.place.keep(config, text)
    }

    /// Is its value in `new` another than in `old`? If a reload takes it, both have the new one from now on.
    pub(super) fn follow(&self, new: &mut Config, old: &mut Config) -> bool {
        self.place.follow(self.taken, new, old)
    }

    /// Its value, secrets masked, as [`Key::set`] would read it.
    pub fn shown(&self, config: &Config) -> Shown {
        self.place.shown(config)
    }
}

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
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a key").unwrap();
        let file = file.path().to_str().unwrap();
        let mut config = Config::default();
        for (name, words) in [
            ("heartbeat", "--beat--"),
            ("trusted", "10.0.0.0/8"),
            ("origins", "https://example.com,https://*.example.com:8443"),
            ("embedded", "on"),
            ("facilities", "chat/*,news"),
            ("allowed_channels", "subscribe-user"),
            ("identity", "jwt,cookie"),
            ("headers_secret_file", file),
            ("django_secret_key_file", file),
            ("django_redis", "redis://h:1/2"),
            ("jwt_key_file", file),
            ("jwt_algorithms", "ES256,EdDSA"),
            ("jwt_issuer", "i"),
            ("jwt_audience", "a"),
            ("jwt_cookie", "c"),
            ("jwt_query", "q"),
            ("callback_url", "unix:/s:/p"),
            ("control_secret_file", file),
        ] {
            let key = Key::named(name).unwrap();
            key.set(&mut config, &key.words(words)).unwrap();
        }
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
