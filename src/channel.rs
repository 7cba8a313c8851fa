//! Channel names: one string that is the pub/sub channel and the key of the persisted message.
//!
//! `[prefix:]broadcast:<facility>`, `[prefix:]user:<name>:<facility>`, `[prefix:]group:<group>:<facility>`,
//! `[prefix:]session:<key>:<facility>`, as in the original; nothing is escaped.

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody on the facility.
    Broadcast,
    /// One user.
    User,
    /// The members of a group.
    Group,
    /// One browser session.
    Session,
}

impl Audience {
    /// Each once, in the order in which the original subscribes.
    pub const ALL: [Audience; 4] = [
        Audience::Broadcast,
        Audience::Group,
        Audience::User,
        Audience::Session,
    ];

    /// The word in channel names and flags.
    pub fn word(self) -> &'static str {
        match self {
            Audience::Broadcast => "broadcast",
            Audience::User => "user",
            Audience::Group => "group",
            Audience::Session => "session",
        }
    }
}

/// Who is behind a connection or a request, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The user's name; `None` is anonymous.
    pub user: Option<String>,
    /// The groups of the user.
    pub groups: Vec<String>,
    /// The session key.
    pub session: Option<String>,
}

impl Identity {
    /// The names under which this identity belongs to an audience: none, one, or one for each group.
    pub fn names(&self, audience: Audience) -> Vec<&str> {
        match audience {
            Audience::Broadcast => Vec::new(),
            Audience::User => self.user.iter().map(String::as_str).collect(),
            Audience::Group => self.groups.iter().map(String::as_str).collect(),
            Audience::Session => self.session.iter().map(String::as_str).collect(),
        }
    }
}

/// The channel of everybody on a facility. An empty `prefix` is none.
pub fn broadcast(prefix: &str, facility: &str) -> String {
    let colon = if prefix.is_empty() { "" } else { ":" };
    format!("{prefix}{colon}broadcast:{facility}")
}

/// The channel of one name in an audience other than broadcast.
pub fn named(prefix: &str, audience: Audience, name: &str, facility: &str) -> String {
    let colon = if prefix.is_empty() { "" } else { ":" };
    format!("{prefix}{colon}{}:{name}:{facility}", audience.word())
}

/// The channel by which a gateway proves that its link is alive; `random` tells it from other gateways'.
pub fn probe(prefix: &str, random: u64) -> String {
    format!("{}probe:{random:016x}", reserved(prefix))
}

/// The channel on which gateways take orders.
pub fn control(prefix: &str) -> String {
    format!("{}control", reserved(prefix))
}

/// Is this channel the gateways' own? Whoever could speak on it could end sessions, or keep a dead link alive; so no
/// client ever gets one, whoever names it.
pub fn is_reserved(prefix: &str, name: &str) -> bool {
    name.starts_with(&reserved(prefix))
}

/// How the names of the gateways' own channels begin.
fn reserved(prefix: &str) -> String {
    let colon = if prefix.is_empty() { "" } else { ":" };
    format!("{prefix}{colon}ws4redis:")
}

/// The channels of an identity in an audience: who has no such identity has no such channel.
pub fn of(prefix: &str, audience: Audience, identity: &Identity, facility: &str) -> Vec<String> {
    match audience {
        Audience::Broadcast => vec![broadcast(prefix, facility)],
        _ => identity
            .names(audience)
            .into_iter()
            .map(|name| named(prefix, audience, name, facility))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_named_as_in_the_original() {
        let john = Identity {
            user: Some("john".into()),
            groups: vec!["chatters".into(), "staff".into()],
            session: Some("k3y".into()),
        };
        assert_eq!(of("", Audience::Broadcast, &john, "f/1"), ["broadcast:f/1"]);
        assert_eq!(of("", Audience::User, &john, "f"), ["user:john:f"]);
        assert_eq!(
            of("p", Audience::Group, &john, "f"),
            ["p:group:chatters:f", "p:group:staff:f"]
        );
        assert_eq!(of("p", Audience::Session, &john, "f"), ["p:session:k3y:f"]);
    }

    #[test]
    fn the_gateways_own_channels_are_nobody_elses_and_no_audience_is_among_them() {
        for prefix in ["", "p", "ws4redis"] {
            assert!(is_reserved(prefix, &control(prefix)));
            assert!(is_reserved(prefix, &probe(prefix, 7)));
            let john = Identity {
                user: Some("ws4redis".into()),
                groups: vec!["ws4redis".into()],
                session: Some("ws4redis".into()),
            };
            for audience in Audience::ALL {
                let channels = of(prefix, audience, &john, "ws4redis:control");
                assert!(!channels.iter().any(|name| is_reserved(prefix, name)));
            }
        }
        assert_eq!(control(""), "ws4redis:control");
        assert_eq!(control("p"), "p:ws4redis:control");
    }

    #[test]
    fn who_has_no_such_identity_has_no_such_channel() {
        for audience in [Audience::User, Audience::Group, Audience::Session] {
            assert!(of("", audience, &Identity::default(), "f").is_empty());
        }
    }
}
