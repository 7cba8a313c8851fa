//! What the sources of identity say of one client, and how it adds up.

use std::time::Duration;

use super::callback::Answer;
use super::jwt::Claims;
use crate::channel::Identity;

/// What one source says, or all that were asked so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Testimony {
    /// Who it is.
    pub identity: Identity,
    /// The flags that it may use; `None` takes none away.
    pub channels: Option<Vec<String>>,
    /// Channels that it hears besides, by their whole names.
    pub subscribe: Vec<String>,
    /// Channels that its messages go to besides, by their whole names.
    pub publish: Vec<String>,
    /// From when on (since 1970) it is not true any more.
    pub expires: Option<Duration>,
}

impl Testimony {
    /// Adds what the next source says: the first one that knows the user says who it is, and the first one that
    /// knows a session says that. What a client may is what all of them leave to it.
    pub(crate) fn add(&mut self, next: Testimony) {
        let identity = &mut self.identity;
        // Together: the groups of one user and the name of another would be somebody who does not exist.
        if identity.user.is_none() && identity.groups.is_empty() {
            identity.user = next.identity.user;
            identity.groups = next.identity.groups;
        }
        identity.session = identity.session.take().or(next.identity.session);
        self.channels = match (self.channels.take(), next.channels) {
            (Some(mut channels), Some(narrower)) => {
                channels.retain(|flag| narrower.contains(flag));
                Some(channels)
            }
            (channels, narrower) => channels.or(narrower),
        };
        self.subscribe.extend(next.subscribe);
        self.publish.extend(next.publish);
        self.expires = [self.expires, next.expires].into_iter().flatten().min();
    }
}

impl Testimony {
    /// What the application says, at this time (since 1970).
    pub(crate) fn of_answer(answer: Answer, unix: Duration) -> Testimony {
        Testimony {
            identity: Identity {
                user: answer.user,
                groups: answer.groups,
                session: answer.session,
            },
            channels: answer.channels.map(lower_case),
            subscribe: answer.subscribe.unwrap_or_default(),
            publish: answer.publish.unwrap_or_default(),
            expires: answer.expires_in.map(|time| unix.saturating_add(time)),
        }
    }
}

impl From<Identity> for Testimony {
    fn from(identity: Identity) -> Testimony {
        Testimony {
            identity,
            ..Testimony::default()
        }
    }
}

impl From<Claims> for Testimony {
    fn from(claims: Claims) -> Testimony {
        Testimony {
            identity: Identity {
                user: claims.user,
                groups: claims.groups,
                session: claims.session,
            },
            channels: claims.channels.map(lower_case),
            subscribe: claims.subscribe.unwrap_or_default(),
            publish: claims.publish.unwrap_or_default(),
            expires: claims.expires,
        }
    }
}

/// Flags are in lower case from the URL on.
fn lower_case(flags: Vec<String>) -> Vec<String> {
    flags.iter().map(|flag| flag.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(user: &str, channels: Option<&[&str]>, expires: Option<u64>) -> Testimony {
        Testimony {
            identity: Identity {
                user: Some(user.to_owned()),
                groups: vec![format!("{user}s")],
                session: None,
            },
            channels: channels.map(|flags| flags.iter().map(ToString::to_string).collect()),
            subscribe: vec![user.to_owned()],
            publish: Vec::new(),
            expires: expires.map(Duration::from_secs),
        }
    }

    #[test]
    fn the_first_says_who_it_is_and_what_it_may_is_what_all_leave_to_it() {
        let mut all = Testimony::default();
        all.add(says("ann", None, Some(20)));
        all.add(says("bob", Some(&["a", "b"]), Some(10)));
        all.add(says("eve", Some(&["b", "c"]), None));
        let mut expected = says("ann", Some(&["b"]), Some(10));
        expected.subscribe = ["ann", "bob", "eve"].map(str::to_owned).to_vec();
        assert_eq!(all, expected);
    }
}
