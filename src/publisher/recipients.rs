//! For whom a message is, as the original's `RedisPublisher` has it.

use std::collections::HashSet;

use super::{RedisMessage, RedisStore, StoreError, transaction};
use crate::channel::{self, Audience, Identity};

/// Sends messages to audiences of one facility. One publisher may address several, and may be used again.
///
/// ```
/// use ws4redis::{Identity, RedisPublisher, SELF};
///
/// let john = Identity {
///     user: Some("john".to_owned()),
///     groups: vec!["staff".to_owned()],
///     session: None,
/// };
/// let publisher = RedisPublisher::new("chat")
///     .users([SELF, "mary".into()])
///     .groups(["chatters"])
///     .identity(&john);
/// assert_eq!(
///     publisher.channels(""),
///     ["user:john:chat", "user:mary:chat", "group:chatters:chat"]
/// );
/// ```
#[derive(Debug, Clone)]
pub struct RedisPublisher {
    facility: String,
    broadcast: bool,
    /// Names in an audience other than broadcast.
    items: Vec<(Audience, Item)>,
    identity: Option<Identity>,
}

/// One of the users, groups or sessions that a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// This one.
    Name(String),
    /// Whatever the publisher's identity is: its user, each of its groups, its session. Better known as [`SELF`].
    Own,
}

/// In a list of users, groups or sessions: those of the publisher's [`RedisPublisher::identity`].
pub const SELF: Item = Item::Own;

impl RedisPublisher {
    /// A publisher that addresses nobody yet.
    pub fn new(facility: impl Into<String>) -> RedisPublisher {
        RedisPublisher {
            facility: facility.into(),
            broadcast: false,
            items: Vec::new(),
            identity: None,
        }
    }

    /// Everybody on the facility, too.
    pub fn broadcast(mut self) -> RedisPublisher {
        self.broadcast = true;
        self
    }

    /// These users, too.
    pub fn users(self, users: impl IntoIterator<Item = impl Into<Item>>) -> RedisPublisher {
        self.named(Audience::User, users)
    }

    /// The members of these groups, too.
    pub fn groups(self, groups: impl IntoIterator<Item = impl Into<Item>>) -> RedisPublisher {
        self.named(Audience::Group, groups)
    }

    /// The browsers with these session keys, too.
    pub fn sessions(self, sessions: impl IntoIterator<Item = impl Into<Item>>) -> RedisPublisher {
        self.named(Audience::Session, sessions)
    }

    /// Who [`SELF`] is. An identity without user, groups or session adds none of those channels; the original
    /// sent to one accidental channel instead, which all anonymous clients shared.
    pub fn identity(mut self, identity: &Identity) -> RedisPublisher {
        self.identity = Some(identity.clone());
        self
    }

    /// The channels addressed, which are also the keys, each once.
    pub fn channels(&self, prefix: &str) -> Vec<String> {
        let mut channels = Vec::new();
        if self.broadcast {
            channels.push(channel::broadcast(prefix, &self.facility));
        }
        for (audience, item) in &self.items {
            match (item, &self.identity) {
                (Item::Name(name), _) => {
                    channels.push(channel::named(prefix, *audience, name, &self.facility));
                }
                (Item::Own, Some(identity)) => {
                    channels.extend(channel::of(prefix, *audience, identity, &self.facility));
                }
                (Item::Own, None) => {}
            }
        }
        // SELF may be among those that are named as well; whoever is meant twice gets the message once.
        let mut seen = HashSet::new();
        channels.retain(|channel| seen.insert(channel.clone()));
        channels
    }

    /// Publishes, and persists for `expire` seconds what clients get that connect later; 0 persists nothing and
    /// leaves alone what is persisted, `None` is the store's own. Both happen in one transaction for each
    /// channel, so whoever hears the message finds it persisted.
    ///
    /// Returns how many subscribers Redis counts, all channels together: a gateway is one, however many
    /// clients it has. After an error some of the channels may have got the message.
    pub fn publish_message(
        &self,
        store: &mut RedisStore,
        message: &RedisMessage,
        expire: Option<u32>,
    ) -> Result<u64, StoreError> {
        if !self.broadcast && self.items.is_empty() {
            return Err(StoreError::Misuse(
                "nobody is addressed: say .broadcast(), .users(), .groups() or .sessions()",
            ));
        }
        if self.identity.is_none() && self.items.iter().any(|(_, item)| *item == SELF) {
            return Err(StoreError::Misuse(
                "SELF stands for nobody: say who it is with .identity()",
            ));
        }
        transaction::publish(
            store,
            &self.channels(store.prefix_text()),
            message.as_bytes(),
            expire,
        )
    }

    fn named(
        mut self,
        audience: Audience,
        items: impl IntoIterator<Item = impl Into<Item>>,
    ) -> RedisPublisher {
        let items = items.into_iter().map(|item| (audience, item.into()));
        self.items.extend(items);
        self
    }
}

impl From<&str> for Item {
    fn from(name: &str) -> Item {
        Item::Name(name.to_owned())
    }
}

impl From<String> for Item {
    fn from(name: String) -> Item {
        Item::Name(name)
    }
}

impl From<&String> for Item {
    fn from(name: &String) -> Item {
        Item::Name(name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Redis;

    #[test]
    fn each_audience_has_its_channels_and_each_channel_is_there_once() {
        let john = Identity {
            user: Some("john".into()),
            groups: vec!["a".into(), "b".into(), "a".into()],
            session: Some("k3y".into()),
        };
        let publisher = RedisPublisher::new("f")
            .sessions([SELF, "other".into()])
            .users(vec!["john".to_owned(), "mary".to_owned()])
            .users([SELF])
            .groups([SELF, "b".into(), "c".into()])
            .broadcast()
            .broadcast()
            .identity(&john);
        let mut channels = publisher.channels("p");
        channels.sort();
        assert_eq!(
            channels,
            [
                "p:broadcast:f",
                "p:group:a:f",
                "p:group:b:f",
                "p:group:c:f",
                "p:session:k3y:f",
                "p:session:other:f",
                "p:user:john:f",
                "p:user:mary:f",
            ]
        );
    }

    #[test]
    fn who_has_no_such_identity_adds_no_channel() {
        let publisher = RedisPublisher::new("f")
            .users([SELF])
            .groups([SELF])
            .sessions([SELF])
            .identity(&Identity::default());
        assert!(publisher.channels("").is_empty());
    }

    #[test]
    fn to_address_nobody_is_a_mistake_unless_nobody_is_there() {
        let mut store = RedisStore::new(&Redis::default());
        let message = RedisMessage::new("m", None).unwrap();
        let mut publish = |publisher: RedisPublisher| {
            let published = publisher.publish_message(&mut store, &message, None);
            published.map_err(|error| error.to_string())
        };
        let nobody = publish(RedisPublisher::new("f").users(Vec::<String>::new()));
        for method in [".broadcast()", ".users()", ".groups()", ".sessions()"] {
            assert!(nobody.as_ref().is_err_and(|text| text.contains(method)));
        }
        let unknown = publish(RedisPublisher::new("f").users([SELF]).broadcast());
        assert!(unknown.is_err_and(|text| text.contains(".identity()")));
        let anonymous = RedisPublisher::new("f").users([SELF]);
        assert_eq!(publish(anonymous.identity(&Identity::default())), Ok(0));
    }
}
