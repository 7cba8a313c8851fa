//! From the configuration that is in use and a new one to the one that can be used from now on.

use super::Config;
use super::keys::{KEYS, Taken};
use crate::limits::Unfit;

/// What a reload comes to.
#[derive(Debug)]
pub struct Reloaded {
    /// The configuration from now on.
    pub config: Config,
    /// The settings that are different now; `rule` for the `[[rule]]`s.
    pub changed: Vec<&'static str>,
    /// Those that would be, had there been a restart.
    pub kept: Vec<&'static str>,
}

/// The new settings do not go with the old ones that only a restart takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{unfit}{}", because(kept))]
pub struct Unfitting {
    unfit: Unfit,
    kept: Vec<&'static str>,
}

impl Config {
    /// What becomes of this configuration by reloading `new`: all that a reload takes, or nothing. Of several workers'
    /// configurations each is a [share](Config::share), and so must the new one be.
    pub fn reloaded(&self, mut new: Config) -> Result<Reloaded, Unfitting> {
        let mut config = self.clone();
        let (mut changed, mut kept) = (Vec::new(), Vec::new());
        for key in &KEYS {
            if key.follow(&mut new, &mut config) {
                match key.taken {
                    Taken::AtReload => changed.push(key.name),
                    Taken::AtStart => kept.push(key.name),
                }
            }
        }
        if config.rules.rules != new.rules.rules {
            config.rules.rules = new.rules.rules;
            changed.push("rule");
        }
        // Whether the control channel is heard is settled at the start: a key may be exchanged, and not be the first.
        if config.control.is_on() != self.control.is_on() {
            config.control = self.control.clone();
            let control: Vec<_> = changed
                .extract_if(.., |name| name.starts_with("control_"))
                .collect();
            kept.extend(control);
        }
        match config.check() {
            Ok(()) => Ok(Reloaded {
                config,
                changed,
                kept,
            }),
            Err(unfit) => Err(Unfitting { unfit, kept }),
        }
    }
}

fn because(kept: &[&str]) -> String {
    match kept {
        [] => String::new(),
        kept => format!("; only a restart takes the change of {}", kept.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KeyMaterial, RedisAddress, Secret, Source};

    fn reloaded(change: impl FnOnce(&mut Config)) -> Reloaded {
        let mut new = Config::default();
        change(&mut new);
        Config::default().reloaded(new).unwrap()
    }

    #[test]
    fn what_a_reload_takes_is_taken_and_what_it_does_not_take_stays_and_is_named() {
        let Reloaded {
            config,
            changed,
            kept,
        } = reloaded(|new| {
            new.expire = 7;
            new.prefix = "shop".to_owned();
            new.redis.address = RedisAddress::Unix("/run/redis.sock".into());
            new.limits.ping_interval *= 2;
            new.rules.rules.push(crate::config::Rule {
                facility: "chat/*".to_owned(),
                allow: None,
                require: None,
            });
        });
        assert_eq!(changed, ["expire", "ping_interval", "rule"]);
        assert_eq!(kept, ["redis", "prefix"]);
        assert_eq!((config.expire, config.rules.rules.len()), (7, 1));
        assert_eq!(config.redis, Config::default().redis);
        assert_eq!(config.prefix, "");
    }

    #[test]
    fn a_secret_that_looks_the_same_when_it_is_shown_is_another_all_the_same() {
        let Reloaded { kept, .. } =
            reloaded(|new| new.redis.password = Some(Secret::new("other".to_owned())));
        assert_eq!(kept, ["redis"]);
        let key = |text: &str| {
            Some(KeyMaterial {
                path: Some("/etc/key".into()),
                text: Secret::new(text.to_owned()),
            })
        };
        let mut old = Config::default();
        old.jwt.keys = key("old");
        let mut new = old.clone();
        assert!(old.reloaded(new.clone()).unwrap().changed.is_empty());
        new.jwt.keys = key("new");
        let Reloaded {
            config, changed, ..
        } = old.reloaded(new).unwrap();
        assert_eq!(changed, ["jwt_key_file"]);
        assert_eq!(config.jwt.keys, key("new"));
    }

    #[test]
    fn a_key_of_the_control_channel_is_exchanged_and_neither_the_first_nor_the_last_is_taken() {
        let with = |text: &str| {
            let mut config = Config::default();
            config.control.secret = Some(KeyMaterial {
                path: None,
                text: Secret::new(text.to_owned()),
            });
            config
        };
        let exchanged = with("old").reloaded(with("new")).unwrap();
        assert_eq!(exchanged.changed, ["control_secret_file"]);
        for (old, new) in [
            (Config::default(), with("new")),
            (with("old"), Config::default()),
        ] {
            let was_on = old.control.is_on();
            let Reloaded {
                config,
                changed,
                kept,
            } = old.reloaded(new).unwrap();
            assert_eq!(config.control.is_on(), was_on);
            assert!(changed.is_empty());
            assert_eq!(kept, ["control_secret_file"]);
        }
    }

    #[test]
    fn a_setting_that_needs_another_one_which_only_a_restart_takes_is_refused_and_both_are_named() {
        let mut new = Config {
            identity: vec![Source::Callback],
            ..Config::default()
        };
        new.callback.url = "http://127.0.0.1/".parse().ok();
        assert!(new.clone().checked().is_ok());
        let why = Config::default().reloaded(new).unwrap_err().to_string();
        assert!(why.starts_with("identity must not name callback"), "{why}");
        assert!(why.ends_with("the change of callback_url"), "{why}");
    }
}
