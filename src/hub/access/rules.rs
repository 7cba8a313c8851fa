//! What may a client do on a facility? The operator's rules, compiled.
//!
//! The first rule whose pattern names the facility counts, and no other: so what a rule means does not depend on
//! what stands below it. A rule can take flags away and turn clients away; it gives nothing that was not asked for.

use super::pattern::Pattern;
use crate::channel::Identity;
use crate::config::{Allow, Require, RulesConfig};
use crate::refusal::Refusal;

/// The rules.
#[derive(Debug, Clone)]
pub struct Rules {
    facilities: Vec<Pattern>,
    /// Where no rule says something else.
    allow: Allow,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    facility: Pattern,
    allow: Option<Allow>,
    require: Option<Require>,
}

impl Rules {
    /// Compiles what the operator wrote.
    pub fn new(config: &RulesConfig) -> Rules {
        Rules {
            facilities: config
                .facilities
                .iter()
                .map(|text| Pattern::new(text))
                .collect(),
            allow: config.allowed_channels.clone(),
            rules: config
                .rules
                .iter()
                .map(|rule| Rule {
                    facility: Pattern::new(&rule.facility),
                    allow: rule.allow.clone(),
                    require: rule.require.clone(),
                })
                .collect(),
        }
    }

    /// Is there such a facility? Asked before anybody is asked who the client is.
    pub fn serves(&self, facility: &str) -> bool {
        self.facilities
            .iter()
            .any(|pattern| pattern.matches(facility))
    }

    /// The place of the rule that counts for a facility, in the order of the file, from 0.
    pub fn matching(&self, facility: &str) -> Option<usize> {
        self.rules
            .iter()
            .position(|rule| rule.facility.matches(facility))
    }

    /// The flags that are left. As in the original, one that is not allowed is discarded in silence: it is the
    /// page that asks, and the page may be for people who may more.
    pub fn apply(
        &self,
        facility: &str,
        identity: &Identity,
        mut flags: Vec<String>,
    ) -> Result<Vec<String>, Refusal> {
        if !self.serves(facility) {
            return Err(Refusal::NotFound);
        }
        let rule = self.matching(facility).and_then(|at| self.rules.get(at));
        let require = rule.and_then(|rule| rule.require.as_ref());
        if require.is_some_and(|require| !is_met(require, identity)) {
            return Err(Refusal::Forbidden);
        }
        let allow = rule
            .and_then(|rule| rule.allow.as_ref())
            .unwrap_or(&self.allow);
        if let Allow::Only(allowed) = allow {
            // `echo` opens no channel: it is about what one has said oneself.
            flags.retain(|flag| flag == "echo" || allowed.contains(flag));
        }
        Ok(flags)
    }
}

fn is_met(require: &Require, identity: &Identity) -> bool {
    match require {
        Require::User => identity.user.is_some(),
        Require::Session => identity.session.is_some(),
        Require::Group(group) => identity.groups.contains(group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn rule(facility: &str, allow: Option<&[&str]>, require: Option<Require>) -> config::Rule {
        config::Rule {
            facility: facility.to_owned(),
            allow: allow.map(only),
            require,
        }
    }

    fn only(flags: &[&str]) -> Allow {
        Allow::Only(words(flags))
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn john() -> Identity {
        Identity {
            user: Some("john".to_owned()),
            groups: words(&["chatters"]),
            session: None,
        }
    }

    const ASKED: [&str; 4] = ["subscribe-user", "publish-broadcast", "echo", "colour"];

    fn apply(
        config: &RulesConfig,
        facility: &str,
        identity: &Identity,
    ) -> Result<Vec<String>, Refusal> {
        Rules::new(config).apply(facility, identity, words(&ASKED))
    }

    #[test]
    fn without_a_rule_everything_is_served_and_allowed() {
        let flags = apply(&RulesConfig::default(), "any/thing", &Identity::default());
        assert_eq!(flags, Ok(words(&ASKED)));
    }

    #[test]
    fn flags_that_are_not_allowed_are_discarded_in_silence_and_echo_never_is() {
        let config = RulesConfig {
            allowed_channels: only(&["subscribe-user", "subscribe-group"]),
            ..RulesConfig::default()
        };
        assert_eq!(
            apply(&config, "f", &john()),
            Ok(words(&["subscribe-user", "echo"]))
        );
        let nothing = RulesConfig {
            allowed_channels: only(&[]),
            ..RulesConfig::default()
        };
        assert_eq!(apply(&nothing, "f", &john()), Ok(words(&["echo"])));
    }

    #[test]
    fn the_first_rule_that_matches_counts_and_no_other() {
        let config = RulesConfig {
            allowed_channels: only(&["subscribe-user"]),
            rules: vec![
                rule("chat/lobby", Some(&["publish-broadcast"]), None),
                rule("chat/*", None, Some(Require::User)),
                rule("**", Some(&[]), None),
            ],
            ..RulesConfig::default()
        };
        let nobody = Identity::default();
        let lobby = apply(&config, "chat/lobby", &nobody);
        assert_eq!(
            lobby,
            Ok(words(&["publish-broadcast", "echo"])),
            "its own list replaces the global one"
        );
        assert_eq!(apply(&config, "chat/1", &nobody), Err(Refusal::Forbidden));
        let chat = apply(&config, "chat/1", &john());
        assert_eq!(
            chat,
            Ok(words(&["subscribe-user", "echo"])),
            "without a list, the global one"
        );
        assert_eq!(apply(&config, "news", &john()), Ok(words(&["echo"])));
        let rules = Rules::new(&config);
        assert_eq!(
            ["chat/lobby", "chat/1", "x"].map(|at| rules.matching(at)),
            [Some(0), Some(1), Some(2)]
        );
    }

    #[test]
    fn who_does_not_meet_what_a_rule_requires_is_forbidden() {
        let config = |require| RulesConfig {
            rules: vec![rule("*", None, Some(require))],
            ..RulesConfig::default()
        };
        let keyed = Identity {
            session: Some("k".to_owned()),
            ..Identity::default()
        };
        for (require, met_by, not_by) in [
            (Require::User, john(), keyed.clone()),
            (Require::Session, keyed.clone(), john()),
            (Require::Group("chatters".to_owned()), john(), keyed.clone()),
        ] {
            let config = config(require);
            assert!(apply(&config, "f", &met_by).is_ok());
            assert_eq!(apply(&config, "f", &not_by), Err(Refusal::Forbidden));
        }
        let staff = config(Require::Group("staff".to_owned()));
        assert_eq!(apply(&staff, "f", &john()), Err(Refusal::Forbidden));
    }

    #[test]
    fn what_is_not_on_the_list_of_facilities_is_not_found_whatever_its_rule_says() {
        let config = RulesConfig {
            facilities: words(&["chat/*", "news"]),
            rules: vec![rule("secret", None, Some(Require::User))],
            ..RulesConfig::default()
        };
        for facility in ["chat/1", "news"] {
            assert!(apply(&config, facility, &john()).is_ok(), "{facility}");
        }
        for facility in ["", "chat", "chat/1/2", "news/x", "secret"] {
            assert_eq!(
                apply(&config, facility, &Identity::default()),
                Err(Refusal::NotFound),
                "{facility}"
            );
        }
    }
}
