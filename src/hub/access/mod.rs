//! Who is it, and what may they: from a request to a grant, or to a refusal.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the hub asks nobody yet; its tests do")
)]
pub(crate) mod callback;
pub mod forwarded;
pub mod identity;
pub mod jwt;
mod origin;
mod pattern;
pub mod rules;
pub mod signed_headers;
pub mod subscriber;

use bytes::Bytes;

use self::rules::Rules;
use self::subscriber::{Ask, Subscriber};
use crate::channel::Identity;
use crate::config::Config;
use crate::limits::FACILITY_BYTES_MAX;
use crate::peer::From;
use crate::refusal::{Refusal, Refused};
use crate::wire::http::{self, Head, Upgrade};

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
}

/// Judges a request. The order decides which of several faults is told: the one that helps most first.
pub(crate) fn judge(
    head: &Head<'_>,
    trusted: bool,
    config: &Config,
    rules: &Rules,
    subscriber: &dyn Subscriber,
) -> Result<(Upgrade, Grant), Refused> {
    let (path, query) = head.split_target();
    let target = Target::new(path, query, config, rules)?;
    let upgrade = Upgrade::from_head(head)?;
    origin::check(head, trusted, config)?;
    let identity = identity::identify(head, config, trusted)?;
    Ok((upgrade, grant(target, identity, config, rules, subscriber)?))
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
    identity: Identity,
    config: &Config,
    rules: &Rules,
    subscriber: &dyn Subscriber,
) -> Result<Grant, Refusal> {
    let flags = rules.apply(&target.facility, &identity, target.flags)?;
    let ask = Ask {
        prefix: config.prefix.clone(),
        facility: target.facility,
        flags,
        identity,
    };
    let channels = subscriber.channels(&ask);
    let channels_max = config.limits.channels_per_session_max;
    let subscribe = unique(channels.subscribe, channels_max)?;
    let publish = unique(channels.publish, channels_max - subscribe.len())?;
    Ok(Grant {
        subscribe,
        publish,
        echo: ask.has("echo"),
        facility: ask.facility,
        flags: ask.flags,
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
