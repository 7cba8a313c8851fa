//! Who is it, and what may they: from a request to a grant, or to a refusal.

pub(crate) mod callback;
pub mod django;
pub mod forwarded;
pub mod identity;
pub mod jwt;
mod origin;
mod pattern;
pub mod rules;
pub mod signed_headers;
pub mod subscriber;
pub mod testimony;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use self::callback::Question;
use self::django::DjangoSessions;
use self::jwt::{JwtConfig, KeyError, Places, Verifier};
use self::rules::Rules;
use self::signed_headers::SignedHeaders;
use self::subscriber::{Ask, Subscriber};
use self::testimony::Testimony;
use crate::channel::{self, Identity};
use crate::config::{Config, Jwt, KeyMaterial, Secret, Source};
use crate::limits::FACILITY_BYTES_MAX;
use crate::peer::From;
use crate::refusal::{Refusal, Refused};
use crate::wire::django::Bad;
use crate::wire::http::{self, Head, Upgrade};
use crate::wire::order::OrderReader;
use crate::wire::signature::{SigningKeyError, SigningKeys};

/// What requests are judged by, made once from the configuration.
#[derive(Debug)]
pub struct Access {
    pub(crate) rules: Rules,
    django: Option<Arc<DjangoSessions>>,
    jwt: Option<(Verifier, Places)>,
    signed_headers: Option<SignedHeaders>,
    /// What counts as an order on the control channel, where that is heard.
    pub(crate) orders: Option<OrderReader>,
}

/// What is to be done to know who a client is, one source after the other.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing: the head of the request has said this.
    Said(Box<Testimony>),
    /// Nothing: it has a session in a cookie that cannot be read.
    Unreadable(Bad),
    /// Ask Redis for a session of Django.
    Stored(StoredAt),
    /// Ask the application.
    Ask(Box<Question>),
}

/// Where a session of Django is, and how it is to be read. A reload may exchange the reader while Redis is asked, and
/// what another one makes of the session is nobody.
#[derive(Debug)]
pub(crate) struct StoredAt {
    pub(crate) key: String,
    pub(crate) redis_key: String,
    pub(crate) django: Arc<DjangoSessions>,
}

/// Keys that cannot be used: the operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessError {
    /// Those of the tokens.
    #[error("the keys of [jwt]{}: {error}", shown(path))]
    Jwt {
        /// The file that they come from.
        path: Option<PathBuf>,
        /// What is wrong with them.
        error: KeyError,
    },
    /// Those of the signed headers.
    #[error("headers_secret{}: {error}", shown(path))]
    Headers {
        /// The file that they come from.
        path: Option<PathBuf>,
        /// What is wrong with them.
        error: SigningKeyError,
    },
    /// Those of the orders on the control channel.
    #[error("the secret of [control]{}: {error}", shown(path))]
    Control {
        /// The file that they come from.
        path: Option<PathBuf>,
        /// What is wrong with them.
        error: SigningKeyError,
    },
}

/// What a request asks for, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The facility.
    pub facility: String,
    /// The names of the query's parameters.
    pub flags: Vec<String>,
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The facility.
    pub facility: String,
    /// The flags that the rules left.
    pub flags: Vec<String>,
    /// Channels that the session hears, each once.
    pub subscribe: Vec<Bytes>,
    /// Channels that its messages go to, each once.
    pub publish: Vec<Bytes>,
    /// Does it want its own messages back?
    pub echo: bool,
    /// From when on (since 1970) it is to have nothing.
    pub expires: Option<Duration>,
    /// Who it is.
    pub identity: Identity,
    /// Channels that were named for it and are the gateways' own, so that it does not get them.
    pub reserved: usize,
}

impl Access {
    /// Reads the keys of the sources that are asked. What is wrong with them is told now, not when the first client
    /// comes.
    pub fn new(config: &Config) -> Result<Access, AccessError> {
        let jwt = config.identity.contains(&Source::Jwt);
        let jwt = config.jwt.keys.as_ref().filter(|_| jwt);
        let signed_headers = config.headers_secret.as_ref().map(|keys| {
            SignedHeaders::new(&keys.lines(), config.headers_max_age).map_err(|error| {
                let path = keys.path.clone();
                AccessError::Headers { path, error }
            })
        });
        Ok(Access {
            rules: Rules::new(&config.rules),
            django: (config.identity.contains(&Source::Django))
                .then(|| Arc::new(DjangoSessions::new(&config.django))),
            jwt: jwt.map(|keys| verifier(keys, &config.jwt)).transpose()?,
            signed_headers: signed_headers.transpose()?,
            orders: orders(config)?,
        })
    }

    /// Judges a request. The order decides which of several faults is told: the one that helps most first.
    pub(crate) fn judge(
        &self,
        head: &Head<'_>,
        trusted: bool,
        config: &Config,
        unix: Duration,
    ) -> Result<(Upgrade, Target, VecDeque<Step>), Refused> {
        let (path, query) = head.split_target();
        let target = Target::new(path, query, config, &self.rules)?;
        let upgrade = Upgrade::from_head(head)?;
        origin::check(head, trusted, config)?;
        let steps = self.identify(head, &target, config, trusted, unix)?;
        Ok((upgrade, target, steps))
    }
}

fn orders(config: &Config) -> Result<Option<OrderReader>, AccessError> {
    let control = &config.control;
    let keys = control.secret.as_ref().map(|keys| {
        let lines = keys.lines();
        SigningKeys::new(lines.iter().map(Secret::reveal), control.max_age).map_err(|error| {
            let path = keys.path.clone();
            AccessError::Control { path, error }
        })
    });
    let (channel, keys) = (channel::control(&config.prefix), keys.transpose()?);
    let reader = || OrderReader::new(channel, keys, control.unsigned);
    Ok(control.is_on().then(reader))
}

fn verifier(keys: &KeyMaterial, jwt: &Jwt) -> Result<(Verifier, Places), AccessError> {
    let config = JwtConfig {
        keys: keys.text.clone(),
        algorithms: jwt.algorithms.clone(),
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
        leeway: jwt.leeway,
        require_exp: jwt.require_exp,
    };
    let places = Places {
        cookie: jwt.cookie.clone(),
        query: jwt.query.clone(),
    };
    match Verifier::new(config) {
        Ok(verifier) => Ok((verifier, places)),
        Err(error) => Err(AccessError::Jwt {
            path: keys.path.clone(),
            error,
        }),
    }
}

fn shown(path: &Option<PathBuf>) -> String {
    match path {
        Some(path) => format!(", {}", path.display()),
        None => String::new(),
    }
}

/// Is what this peer says of others believed?
pub(crate) fn is_trusted(from: From, config: &Config) -> bool {
    match from {
        From::Unix => true,
        From::Ip(ip) => config.trusts(ip),
    }
}

impl Target {
    /// Reads a request target's path and query, neither of them decoded.
    pub fn new(path: &str, query: &str, config: &Config, rules: &Rules) -> Result<Target, Refusal> {
        let path = http::decode_path(path);
        let facility = path
            .strip_prefix(&*config.websocket_url)
            .ok_or(Refusal::NotFound)?;
        if facility.len() > FACILITY_BYTES_MAX || facility.chars().any(char::is_control) {
            return Err(Refusal::BadFacility);
        }
        if !rules.serves(facility) {
            return Err(Refusal::NotFound);
        }
        Ok(Target {
            facility: facility.to_owned(),
            flags: http::query_names(query).collect(),
        })
    }
}

/// What somebody gets who asks for this.
pub fn grant(
    target: Target,
    testimony: Testimony,
    config: &Config,
    rules: &Rules,
    subscriber: &dyn Subscriber,
) -> Result<Grant, Refusal> {
    let Testimony {
        identity, channels, ..
    } = testimony;
    let mut flags = rules.apply(&target.facility, &identity, target.flags)?;
    if let Some(channels) = channels {
        // As for rules: `echo` opens no channel.
        flags.retain(|flag| flag == "echo" || channels.contains(flag));
    }
    let ask = Ask {
        prefix: config.prefix.clone(),
        facility: target.facility,
        flags,
        identity,
    };
    let mut channels = subscriber.channels(&ask);
    // Named by who may name any; the rules are about what clients ask for.
    channels.subscribe.extend(testimony.subscribe);
    channels.publish.extend(testimony.publish);
    let mut reserved = 0;
    for names in [&mut channels.subscribe, &mut channels.publish] {
        let named = names.len();
        names.retain(|name| !channel::is_reserved(&config.prefix, name));
        reserved += named - names.len();
    }
    let channels_max = config.limits.channels_per_session_max;
    let subscribe = unique(channels.subscribe, channels_max)?;
    let publish = unique(channels.publish, channels_max - subscribe.len())?;
    Ok(Grant {
        subscribe,
        publish,
        echo: ask.has("echo"),
        facility: ask.facility,
        flags: ask.flags,
        expires: testimony.expires,
        identity: ask.identity,
        reserved,
    })
}

/// Groups may be named twice; a channel is heard, and published to, once.
fn unique(names: Vec<String>, max: usize) -> Result<Vec<Bytes>, Refusal> {
    let mut unique: Vec<Bytes> = Vec::new();
    for name in names {
        if unique.iter().any(|known| known.as_ref() == name.as_bytes()) {
            continue;
        }
        if unique.len() == max {
            return Err(Refusal::TooManyChannels);
        }
        unique.push(Bytes::from(name));
    }
    Ok(unique)
}
