//! Where a setting's value lives, and so of which kind it is: how it is read, and how it is shown.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::keys::{Shown, Taken, Takes};
use super::rules::{self, Allow};
use super::secret::KeyMaterial;
use super::sources::{
    DjangoEngine, ENGINES, FALLBACKS, JwtAlgorithm, SOURCES, Source, UsernameFallback, algorithms,
};
use super::values::{self, Invalid, LOG_FORMATS};
use super::{CallbackUrl, CallbackUrlError, Config, Listen, LogFormat, Origins, Redis, addresses};

/// Told by `&mut`, once for reading and writing.
type At<T> = fn(&mut Config) -> &mut T;

#[derive(Debug)]
pub(super) enum Place {
    Count(At<usize>),
    Rate(At<u32>),
    Hops(At<u8>),
    Size(At<usize>),
    Time(At<Duration>),
    Seconds(At<u32>),
    Switch(At<bool>),
    Mode(At<u32>),
    Text(At<String>),
    OptionalText(At<Option<String>>),
    Listen(At<Vec<Listen>>),
    Admin(At<Option<SocketAddr>>),
    Redis(At<Redis>),
    OtherRedis(At<Option<Redis>>),
    Embedded(At<Option<SocketAddr>>),
    Networks(At<Vec<IpNet>>),
    Origins(At<Origins>),
    Facilities(At<Vec<String>>),
    Allow(At<Allow>),
    Sources(At<Vec<Source>>),
    KeyMaterial(At<Option<KeyMaterial>>),
    Engine(At<DjangoEngine>),
    Fallback(At<UsernameFallback>),
    Algorithms(At<Vec<JwtAlgorithm>>),
    CallbackUrl(At<Option<CallbackUrl>>),
    LogFormat(At<LogFormat>),
}

impl Place {
    /// The word that stands for a value in help: `SIZE`.
    pub(super) fn value_name(&self) -> &'static str {
        match self {
            Place::Count(_) | Place::Rate(_) | Place::Hops(_) => "N",
            Place::Size(_) => "SIZE",
            Place::Time(_) | Place::Seconds(_) => "TIME",
            Place::Switch(_) => "BOOL",
            Place::Mode(_) => "BITS",
            Place::Text(_) | Place::OptionalText(_) => "TEXT",
            Place::Listen(_) | Place::Admin(_) | Place::Embedded(_) => "ADDR",
            Place::Redis(_) | Place::OtherRedis(_) | Place::CallbackUrl(_) => "URL",
            Place::Networks(_) => "CIDR",
            Place::Origins(_) => "ORIGIN",
            Place::Facilities(_) => "PATTERN",
            Place::Allow(_) => "FLAG",
            Place::Sources(_) => "SOURCE",
            Place::KeyMaterial(_) => "FILE",
            Place::Engine(_) => "ENGINE",
            Place::Fallback(_) => "WHO",
            Place::Algorithms(_) => "ALGORITHM",
            Place::LogFormat(_) => "FORMAT",
        }
    }

    pub(super) fn takes(&self) -> Takes {
        match self {
            Place::Listen(_)
            | Place::Networks(_)
            | Place::Origins(_)
            | Place::Facilities(_)
            | Place::Allow(_)
            | Place::Sources(_)
            | Place::Algorithms(_) => Takes::Many,
            Place::Switch(_) | Place::Embedded(_) => Takes::Optional("on"),
            _ => Takes::One,
        }
    }

    /// Puts the value that `words` say in its place.
    pub(super) fn set(&self, config: &mut Config, words: &[String]) -> Result<(), Invalid> {
        match self {
            Place::Listen(at) => {
                let mode = config.socket_mode;
                *at(config) = each(words, |word| addresses::listen(word, mode))?;
            }
            Place::Networks(at) => *at(config) = each(words, addresses::network)?,
            Place::Origins(at) => *at(config) = addresses::origins(words)?,
            Place::Facilities(at) => *at(config) = rules::facilities(words)?,
            Place::Allow(at) => *at(config) = rules::allow(words)?,
            Place::Sources(at) => *at(config) = each(words, |word| values::choice(word, &SOURCES))?,
            Place::Algorithms(at) => {
                *at(config) = each(words, |word| values::choice(word, &algorithms()))?;
            }
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
        match self {
            Place::Count(at) => *at(config) = values::number(word)?,
            Place::Rate(at) => *at(config) = values::number(word)?,
            Place::Hops(at) => *at(config) = values::number(word)?,
            Place::Size(at) => *at(config) = values::size(word)?,
            Place::Time(at) => *at(config) = values::duration(word)?,
            Place::Seconds(at) => *at(config) = values::seconds(word)?,
            Place::Switch(at) => *at(config) = values::switch(word)?,
            Place::Mode(at) => *at(config) = values::mode(word)?,
            Place::Text(at) => *at(config) = word.to_owned(),
            Place::OptionalText(at) => *at(config) = Some(word.to_owned()),
            Place::Admin(at) => *at(config) = addresses::admin(word)?,
            Place::Redis(at) => *at(config) = redis(word)?,
            Place::OtherRedis(at) => *at(config) = Some(redis(word)?),
            Place::Embedded(at) => *at(config) = addresses::embedded(word)?,
            Place::KeyMaterial(at) => *at(config) = Some(KeyMaterial::read(word)?),
            Place::Engine(at) => *at(config) = values::choice(word, &ENGINES)?,
            Place::Fallback(at) => *at(config) = values::choice(word, &FALLBACKS)?,
            Place::CallbackUrl(at) => *at(config) = Some(callback_url(word)?),
            Place::LogFormat(at) => *at(config) = values::choice(word, &LOG_FORMATS)?,
            Place::Listen(_)
            | Place::Networks(_)
            | Place::Origins(_)
            | Place::Facilities(_)
            | Place::Allow(_)
            | Place::Sources(_)
            | Place::Algorithms(_) => {}
        }
        Ok(())
    }

    /// Puts keys in their place that were said, and not kept in a file.
    pub(super) fn keep(&self, config: &mut Config, text: &str) -> Result<(), Invalid> {
        if let Place::KeyMaterial(at) = self {
            *at(config) = Some(KeyMaterial::said(text)?);
        }
        Ok(())
    }

    /// Is the value in `new` another than in `old`? One that a reload takes is taken over.
    pub(super) fn follow(&self, taken: Taken, new: &mut Config, old: &mut Config) -> bool {
        match self {
            Place::Count(at) => follow(*at, taken, new, old),
            Place::Rate(at) => follow(*at, taken, new, old),
            Place::Hops(at) => follow(*at, taken, new, old),
            Place::Size(at) => follow(*at, taken, new, old),
            Place::Time(at) => follow(*at, taken, new, old),
            Place::Seconds(at) => follow(*at, taken, new, old),
            Place::Switch(at) => follow(*at, taken, new, old),
            Place::Mode(at) => follow(*at, taken, new, old),
            Place::Text(at) => follow(*at, taken, new, old),
            Place::OptionalText(at) => follow(*at, taken, new, old),
            Place::Listen(at) => follow(*at, taken, new, old),
            Place::Admin(at) => follow(*at, taken, new, old),
            Place::Redis(at) => follow(*at, taken, new, old),
            Place::OtherRedis(at) => follow(*at, taken, new, old),
            Place::Embedded(at) => follow(*at, taken, new, old),
            Place::Networks(at) => follow(*at, taken, new, old),
            Place::Origins(at) => follow(*at, taken, new, old),
            Place::Facilities(at) => follow(*at, taken, new, old),
            Place::Allow(at) => follow(*at, taken, new, old),
            Place::Sources(at) => follow(*at, taken, new, old),
            Place::KeyMaterial(at) => follow(*at, taken, new, old),
            Place::Engine(at) => follow(*at, taken, new, old),
            Place::Fallback(at) => follow(*at, taken, new, old),
            Place::Algorithms(at) => follow(*at, taken, new, old),
            Place::CallbackUrl(at) => follow(*at, taken, new, old),
            Place::LogFormat(at) => follow(*at, taken, new, old),
        }
    }

    /// The value, secrets masked, as [`Place::set`] would read it.
    pub(super) fn shown(&self, config: &Config) -> Shown {
        // A copy is cheap at the rate of printing.
        let config = &mut config.clone();
        match self {
            Place::Count(at) => Shown::Bare(at(config).to_string()),
            Place::Rate(at) => Shown::Bare(at(config).to_string()),
            Place::Hops(at) => Shown::Bare(at(config).to_string()),
            Place::Size(at) => Shown::Text(values::show_size(*at(config) as u64)),
            Place::Time(at) => Shown::Text(values::show_duration(*at(config))),
            Place::Seconds(at) => Shown::Bare(at(config).to_string()),
            Place::Switch(at) => Shown::Bare(at(config).to_string()),
            Place::Mode(at) => Shown::Text(format!("{:04o}", at(config))),
            Place::Text(at) => Shown::Text(at(config).clone()),
            Place::OptionalText(at) => text(at(config).as_ref()),
            Place::Listen(at) => Shown::List(strings(at(config))),
            Place::Admin(at) | Place::Embedded(at) => Shown::Text(
                at(config).map_or_else(|| "off".to_owned(), |address| address.to_string()),
            ),
            Place::Redis(at) => Shown::Text(at(config).to_string()),
            Place::OtherRedis(at) => text(at(config).as_ref()),
            Place::Networks(at) => Shown::List(strings(at(config))),
            Place::Origins(at) => match at(config) {
                Origins::SameHost => Shown::Text("same-host".to_owned()),
                Origins::Any => Shown::Text("any".to_owned()),
                Origins::Listed(origins) => Shown::List(origins.clone()),
            },
            Place::Facilities(at) => Shown::List(at(config).clone()),
            Place::Allow(at) => Shown::from(&*at(config)),
            Place::Sources(at) => Shown::List(names(at(config), &SOURCES)),
            Place::Algorithms(at) => Shown::List(names(at(config), &algorithms())),
            Place::KeyMaterial(at) => match at(config) {
                Some(KeyMaterial {
                    path: Some(path), ..
                }) => Shown::Text(path.display().to_string()),
                Some(KeyMaterial { path: None, .. }) | None => Shown::Unset,
            },
            Place::Engine(at) => Shown::Text(values::name(*at(config), &ENGINES)),
            Place::Fallback(at) => Shown::Text(values::name(*at(config), &FALLBACKS)),
            Place::CallbackUrl(at) => text(at(config).as_ref()),
            Place::LogFormat(at) => Shown::Text(values::name(*at(config), &LOG_FORMATS)),
        }
    }
}

/// As the file has it, in a rule too.
impl From<&Allow> for Shown {
    fn from(allow: &Allow) -> Shown {
        match allow {
            Allow::All => Shown::Text("all".to_owned()),
            Allow::Only(flags) => Shown::List(flags.clone()),
        }
    }
}

fn follow<T: Clone + PartialEq>(
    at: At<T>,
    taken: Taken,
    new: &mut Config,
    old: &mut Config,
) -> bool {
    let (new, old) = (at(new), at(old));
    let differs = new != old;
    if differs && taken == Taken::AtReload {
        old.clone_from(new);
    }
    differs
}

fn each<T>(words: &[String], read: impl Fn(&str) -> Result<T, Invalid>) -> Result<Vec<T>, Invalid> {
    words.iter().map(|word| read(word)).collect()
}

fn redis(word: &str) -> Result<Redis, Invalid> {
    word.parse()
        .map_err(|error: super::UrlError| Invalid(error.to_string()))
}

fn callback_url(word: &str) -> Result<CallbackUrl, Invalid> {
    word.parse()
        .map_err(|error: CallbackUrlError| Invalid(error.to_string()))
}

fn text<T: ToString>(value: Option<&T>) -> Shown {
    value.map_or(Shown::Unset, |value| Shown::Text(value.to_string()))
}

fn strings<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

fn names<T: Copy + PartialEq>(items: &[T], choices: &[(&str, T)]) -> Vec<String> {
    items
        .iter()
        .map(|item| values::name(*item, choices))
        .collect()
}
