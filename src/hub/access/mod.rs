//! Who is it, and what may they: from a request to a grant, or to a refusal.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the hub asks nobody yet; its tests do")
)]
pub(crate) mod callback;
pub mod identity;
mod origin;
pub mod subscriber;

use bytes::Bytes;

use self::subscriber::{Ask, Subscriber};
use crate::config::Config;
use crate::limits::FACILITY_BYTES_MAX;
use crate::peer::From;
use crate::refusal::Refusal;
use crate::wire::http::{self, Head, Upgrade};

/// What a request may become.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The 101 to come.
    pub(crate) upgrade: Upgrade,
    pub(crate) facility: String,
    /// Channels that the session hears, each once.
    pub(crate) subscribe: Vec<Bytes>,
    /// Channels that its messages go to, each once.
    pub(crate) publish: Vec<Bytes>,
    /// Does it want its own messages back?
    pub(crate) echo: bool,
}

/// Judges a request. The order decides which of several faults is told: the one that helps most first.
pub(crate) fn judge(
    head: &Head<'_>,
    from: From,
    config: &Config,
    subscriber: &dyn Subscriber,
) -> Result<Grant, Refusal> {
    let (path, query) = head.split_target();
    let path = http::decode_path(path);
    let facility = path
        .strip_prefix(&*config.websocket_url)
        .ok_or(Refusal::NotFound)?;
    let upgrade = Upgrade::from_head(head)?;
    if facility.len() > FACILITY_BYTES_MAX || facility.chars().any(char::is_control) {
        return Err(Refusal::BadFacility);
    }
    origin::check(head, &config.origins)?;
    let trusted = match from {
        From::Unix => true,
        From::Ip(ip) => config.trusts(ip),
    };
    let ask = Ask {
        prefix: config.prefix.clone(),
        facility: facility.to_owned(),
        flags: http::query_names(query).collect(),
        identity: identity::identify(head, &config.session_cookie, trusted)?,
    };
    let echo = ask.has("echo");
    let channels = subscriber.channels(&ask);
    let channels_max = config.limits.channels_per_session_max;
    let subscribe = unique(channels.subscribe, channels_max)?;
    let publish = unique(channels.publish, channels_max - subscribe.len())?;
    Ok(Grant {
        upgrade,
        facility: ask.facility,
        subscribe,
        publish,
        echo,
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
