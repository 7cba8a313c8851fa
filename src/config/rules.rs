//! Who may do what, as the operator wrote it. What it means is `hub::access::rules`' business.

use std::fmt;

use super::suggest::nearest;
use super::values::Invalid;

/// The flags that stand for channels, as they stand in a URL.
pub const CHANNEL_FLAGS: [&str; 8] = [
    "subscribe-broadcast",
    "subscribe-user",
    "subscribe-group",
    "subscribe-session",
    "publish-broadcast",
    "publish-user",
    "publish-group",
    "publish-session",
];

/// What may be done where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesConfig {
    /// Patterns of the facilities that there are.
    pub facilities: Vec<String>,
    /// What is allowed where no rule says something else (the original's `WS4REDIS_ALLOWED_CHANNELS`).
    pub allowed_channels: Allow,
    /// The first whose pattern matches counts.
    pub rules: Vec<Rule>,
}

/// One `[[rule]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The pattern of the facilities that it is for.
    pub facility: String,
    /// Flags that may be used there; `None` leaves it to [`RulesConfig::allowed_channels`].
    pub allow: Option<Allow>,
    /// Who may come at all; `None` is everybody.
    pub require: Option<Require>,
}

/// Which flags may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allow {
    /// All.
    All,
    /// These, and `echo`.
    Only(Vec<String>),
}

/// What a client must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Require {
    /// Somebody with a name.
    User,
    /// Somebody with a session.
    Session,
    /// A member of this group.
    Group(String),
}

impl Default for RulesConfig {
    fn default() -> RulesConfig {
        RulesConfig {
            facilities: vec!["**".to_owned()],
            allowed_channels: Allow::All,
            rules: Vec::new(),
        }
    }
}

impl RulesConfig {
    /// May everybody use every flag on some facility that no rule is for?
    pub fn is_open(&self) -> bool {
        self.allowed_channels == Allow::All && self.rules.is_empty()
    }
}

/// As it is written.
impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Require::User => f.write_str("user"),
            Require::Session => f.write_str("session"),
            Require::Group(group) => write!(f, "group:{group}"),
        }
    }
}

/// `all` alone, or flags; none at all allows nothing.
pub(super) fn allow(words: &[String]) -> Result<Allow, Invalid> {
    if let [word] = words
        && word == "all"
    {
        return Ok(Allow::All);
    }
    for word in words {
        if !CHANNEL_FLAGS.contains(&word.as_str()) {
            let hint = match nearest(word, CHANNEL_FLAGS) {
                Some(flag) => format!(": did you mean {flag}?"),
                None => String::new(),
            };
            let must = Invalid::expected("all, or flags such as subscribe-user", word);
            return Err(must.with(&hint));
        }
    }
    Ok(Allow::Only(words.to_vec()))
}

/// `user`, `session` or `group:NAME`.
pub(super) fn require(word: &str) -> Result<Require, Invalid> {
    match (word, word.strip_prefix("group:")) {
        ("user", _) => Ok(Require::User),
        ("session", _) => Ok(Require::Session),
        (_, Some(group)) if !group.is_empty() => Ok(Require::Group(group.to_owned())),
        _ => Err(Invalid::expected("user, session or group:NAME", word)),
    }
}

/// Patterns of facilities, at least one.
pub(super) fn facilities(words: &[String]) -> Result<Vec<String>, Invalid> {
    if words.is_empty() {
        return Err(Invalid(
            "must name at least one; ** is all of them".to_owned(),
        ));
    }
    words.iter().map(|word| facility(word)).collect()
}

/// A pattern that some facility can match.
pub(super) fn facility(word: &str) -> Result<String, Invalid> {
    let is_usable = !word.is_empty()
        && !word.starts_with('/')
        && word.len() <= crate::limits::FACILITY_BYTES_MAX
        && !word.chars().any(char::is_control);
    if is_usable {
        Ok(word.to_owned())
    } else {
        Err(Invalid::expected(
            "a facility or a pattern such as chat/*, at most 255 bytes long, without websocket_url before it",
            word,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn flags_are_those_of_the_protocol_and_a_slip_is_told() {
        assert_eq!(allow(&words(&["all"])), Ok(Allow::All));
        assert_eq!(allow(&[]), Ok(Allow::Only(Vec::new())));
        let both = words(&["subscribe-user", "publish-group"]);
        assert_eq!(allow(&both), Ok(Allow::Only(both.clone())));
        let slip = allow(&words(&["subscribe-usr"])).unwrap_err().to_string();
        assert!(slip.contains("did you mean subscribe-user?"), "{slip}");
        for wrong in [
            &["all", "subscribe-user"][..],
            &["echo"],
            &["SUBSCRIBE-USER"],
            &[""],
        ] {
            assert!(allow(&words(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_required_is_read_as_it_is_shown() {
        for word in ["user", "session", "group:staff", "group:a:b"] {
            assert_eq!(require(word).unwrap().to_string(), word);
        }
        for word in ["", "group:", "group", "users", "staff"] {
            assert!(
                require(word).unwrap_err().0.contains("group:NAME"),
                "{word}"
            );
        }
    }

    #[test]
    fn a_pattern_is_a_facility_and_no_path_of_the_url() {
        assert_eq!(
            facilities(&words(&["chat/*", "news"])),
            Ok(words(&["chat/*", "news"]))
        );
        assert!(facilities(&[]).is_err());
        for word in ["", "/ws/chat/*", "a\nb", &"x".repeat(256)] {
            assert!(facility(word).is_err(), "{word}");
        }
    }
}
