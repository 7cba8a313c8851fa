//! Which channels a client's flags turn into: the original's `WS4REDIS_SUBSCRIBER`, as a trait.

use std::sync::Arc;

use crate::channel::{self, Audience, Identity};

/// What a client asks for, and who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The configured prefix; empty is none.
    pub prefix: String,
    /// The facility of the URL.
    pub facility: String,
    /// The names of the query's parameters, lower case, in their order, unknown ones too.
    pub flags: Vec<String>,
    /// Who is behind the connection.
    pub identity: Identity,
}

impl Ask {
    /// Is this flag among those asked for?
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|asked| asked == flag)
    }
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Channels {
    /// Channels that it hears.
    pub subscribe: Vec<String>,
    /// Channels that its messages go to.
    pub publish: Vec<String>,
}

/// Turns what a client asks for into channels. The one seam for programs that embed the gateway with a mapping
/// of their own; it is called once for each handshake and must not block. All workers of a gateway share one.
///
/// ```
/// use ws4redis::{Ask, RedisSubscriber, Subscriber, SubscriberChannels};
///
/// /// Everybody hears the site's announcements as well.
/// struct WithNews;
///
/// impl Subscriber for WithNews {
///     fn channels(&self, ask: &Ask) -> SubscriberChannels {
///         let mut channels = RedisSubscriber.channels(ask);
///         channels.subscribe.push("broadcast:news".to_owned());
///         channels
///     }
/// }
/// ```
pub trait Subscriber: Send + Sync {
    /// The channels for one client.
    fn channels(&self, ask: &Ask) -> Channels;
}

impl<S: Subscriber + ?Sized> Subscriber for Arc<S> {
    fn channels(&self, ask: &Ask) -> Channels {
        (**self).channels(ask)
    }
}

/// The original's mapping: `subscribe-` and `publish-` with `broadcast`, `user`, `group` and `session`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RedisSubscriber;

impl Subscriber for RedisSubscriber {
    fn channels(&self, ask: &Ask) -> Channels {
        let mut channels = Channels::default();
        for audience in Audience::ALL {
            let named = || channel::of(&ask.prefix, audience, &ask.identity, &ask.facility);
            if ask.has(&format!("subscribe-{}", audience.word())) {
                channels.subscribe.extend(named());
            }
            if ask.has(&format!("publish-{}", audience.word())) {
                channels.publish.extend(named());
            }
        }
        channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_turn_into_the_channels_of_the_original() {
        let ask = Ask {
            prefix: "p".into(),
            facility: "f".into(),
            flags: [
                "subscribe-group",
                "subscribe-broadcast",
                "publish-session",
                "subscribe-user",
                "x",
            ]
            .map(String::from)
            .into(),
            identity: Identity {
                user: None,
                groups: vec!["a".into(), "b".into()],
                session: Some("k".into()),
            },
        };
        let channels = RedisSubscriber.channels(&ask);
        assert_eq!(
            channels.subscribe,
            ["p:broadcast:f", "p:group:a:f", "p:group:b:f"]
        );
        assert_eq!(channels.publish, ["p:session:k:f"]);
    }
}
