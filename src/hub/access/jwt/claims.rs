//! What a token claims: read, bounded, and held against the rules.

use std::time::Duration;

use serde::Deserialize;

use super::{JwtRefused, Rules};
use crate::limits::CLAIM_NAMES_MAX;

/// What a token says, after all checks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// `sub`: the user's name. An empty one is none.
    pub user: Option<String>,
    /// `groups`: a list, or one text with commas.
    pub groups: Vec<String>,
    /// `session`: the session key.
    pub session: Option<String>,
    /// `channels`: the flags that the client may use; `None` says nothing about them, an empty list allows none.
    pub channels: Option<Vec<String>>,
    /// `subscribe`: channels that it hears, named outright.
    pub subscribe: Option<Vec<String>>,
    /// `publish`: channels that its messages go to, named outright.
    pub publish: Option<Vec<String>>,
    /// From when on (since 1970) the token would be refused: `exp`, and the leeway.
    pub expires: Option<Duration>,
}

/// The payload as it comes. A claim that stands twice is refused by serde, so no two readers see two users.
#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    sub: Option<String>,
    groups: Option<Names>,
    session: Option<String>,
    channels: Option<Names>,
    subscribe: Option<Names>,
    publish: Option<Names>,
    iss: Option<String>,
    aud: Option<Audience>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
}

/// Several names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    List(Vec<String>),
    Text(String),
}

/// RFC 7519 4.1.3.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// RFC 7519 2: seconds since 1970, a fraction is allowed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct NumericDate(Duration);

impl Payload {
    pub(super) fn checked(self, rules: &Rules, unix: Duration) -> Result<Claims, JwtRefused> {
        if rules.issuer.is_some() && self.iss != rules.issuer {
            return Err(JwtRefused::Issuer);
        }
        // RFC 7519 4.1.3: a token for an audience must be refused by whoever does not find himself in it.
        match (&self.aud, &rules.audience) {
            (None, None) => {}
            (Some(Audience::One(aud)), Some(us)) if aud == us => {}
            (Some(Audience::Many(aud)), Some(us)) if aud.contains(us) => {}
            _ => return Err(JwtRefused::Audience),
        }
        let expires = self.exp.map(|NumericDate(exp)| later(exp, rules.leeway));
        match expires {
            None if rules.require_exp => return Err(JwtRefused::NoExpiry),
            // 4.1.4: not "on or after" it.
            Some(expires) if unix >= expires => return Err(JwtRefused::Expired),
            _ => {}
        }
        if let Some(NumericDate(nbf)) = self.nbf
            && later(unix, rules.leeway) < nbf
        {
            return Err(JwtRefused::NotYetValid);
        }
        Ok(Claims {
            user: name(self.sub)?,
            groups: names(self.groups)?.unwrap_or_default(),
            session: name(self.session)?,
            channels: names(self.channels)?,
            subscribe: names(self.subscribe)?,
            publish: names(self.publish)?,
            expires,
        })
    }
}

impl TryFrom<serde_json::Number> for NumericDate {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<NumericDate, &'static str> {
        let date = match number.as_u64() {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => number
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        };
        date.map(NumericDate).ok_or("not a time since 1970")
    }
}

fn later(time: Duration, leeway: Duration) -> Duration {
    time.saturating_add(leeway)
}

/// A name that may become part of a channel's name and of a log line.
fn name(claim: Option<String>) -> Result<Option<String>, JwtRefused> {
    match claim {
        Some(name) if name.chars().any(char::is_control) => Err(JwtRefused::Control),
        claim => Ok(claim.filter(|name| !name.is_empty())),
    }
}

fn names(claim: Option<Names>) -> Result<Option<Vec<String>>, JwtRefused> {
    let Some(claim) = claim else { return Ok(None) };
    let given = match claim {
        Names::List(list) => list,
        Names::Text(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    if given.len() > CLAIM_NAMES_MAX {
        return Err(JwtRefused::TooMany);
    }
    let mut names = Vec::with_capacity(given.len());
    for given in given {
        names.extend(name(Some(given))?);
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn rules() -> Rules {
        Rules {
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(10),
            require_exp: false,
        }
    }

    fn checked_by(rules: &Rules, json: &str) -> Result<Claims, JwtRefused> {
        let payload: Payload = serde_json::from_str(json).map_err(|_| JwtRefused::Claims)?;
        payload.checked(rules, NOW)
    }

    fn checked(json: &str) -> Result<Claims, JwtRefused> {
        checked_by(&rules(), json)
    }

    #[test]
    fn names_come_as_a_list_or_as_one_text_with_commas() {
        let claims = checked(
            r#"{"sub": "john", "groups": "staff, chatters,,", "session": "k3y", "more": {"x": 1},
                "channels": ["echo", ""], "subscribe": [], "publish": "user:john:f"}"#,
        );
        assert_eq!(
            claims,
            Ok(Claims {
                user: Some("john".into()),
                groups: vec!["staff".into(), "chatters".into()],
                session: Some("k3y".into()),
                channels: Some(vec!["echo".into()]),
                subscribe: Some(Vec::new()),
                publish: Some(vec!["user:john:f".into()]),
                expires: None,
            })
        );
        let list = checked(r#"{"groups": ["a, b", "c"]}"#).unwrap();
        assert_eq!(list.groups, ["a, b", "c"]);
        for nobody in ["{}", r#"{"sub": "", "groups": "", "session": null}"#] {
            assert_eq!(checked(nobody), Ok(Claims::default()), "{nobody}");
        }
    }

    #[test]
    fn claims_of_other_types_and_claims_that_stand_twice_are_refused() {
        for json in [
            "[]",
            "null",
            "1",
            r#"{"sub": 7}"#,
            r#"{"sub": ["john"]}"#,
            r#"{"sub": "john", "sub": "root"}"#,
            r#"{"groups": {"a": true}}"#,
            r#"{"groups": [["a"]]}"#,
            r#"{"groups": ["a", 1]}"#,
            r#"{"aud": 5}"#,
            r#"{"exp": "2000"}"#,
            r#"{"exp": -1}"#,
            r#"{"exp": 1e30}"#,
            r#"{"nbf": true}"#,
        ] {
            assert_eq!(checked(json), Err(JwtRefused::Claims), "{json}");
        }
    }

    #[test]
    fn control_characters_and_long_lists_are_refused() {
        for json in [
            r#"{"sub": "jo\nhn"}"#,
            r#"{"session": "\u0000"}"#,
            r#"{"groups": ["a", "\u007f"]}"#,
            r#"{"groups": "a\r\nb"}"#,
            r#"{"channels": ["\u0085"]}"#,
        ] {
            assert_eq!(checked(json), Err(JwtRefused::Control), "{json}");
        }
        let listed = |count| format!(r#"{{"groups": "{}"}}"#, vec!["a"; count].join(","));
        assert!(checked(&listed(CLAIM_NAMES_MAX)).is_ok());
        assert_eq!(
            checked(&listed(CLAIM_NAMES_MAX + 1)),
            Err(JwtRefused::TooMany)
        );
    }

    #[test]
    fn a_token_holds_from_nbf_until_exp_give_or_take_the_leeway() {
        for (json, verdict) in [
            (r#"{"exp": 991}"#, Ok(Some(1_001_000))),
            (r#"{"exp": 990.5}"#, Ok(Some(1_000_500))),
            (r#"{"exp": 990}"#, Err(JwtRefused::Expired)),
            (r#"{"exp": 0}"#, Err(JwtRefused::Expired)),
            (r#"{"nbf": 1010}"#, Ok(None)),
            (r#"{"nbf": 1010.5}"#, Err(JwtRefused::NotYetValid)),
            (
                r#"{"nbf": 18446744073709551615}"#,
                Err(JwtRefused::NotYetValid),
            ),
        ] {
            let expires = checked(json).map(|claims| claims.expires.map(|at| at.as_millis()));
            assert_eq!(expires, verdict, "{json}");
        }
        assert_eq!(
            checked(r#"{"exp": 18446744073709551615}"#).map(|claims| claims.expires.is_some()),
            Ok(true)
        );
        let strict = Rules {
            require_exp: true,
            ..rules()
        };
        assert_eq!(checked_by(&strict, "{}"), Err(JwtRefused::NoExpiry));
        assert!(checked_by(&strict, r#"{"exp": 2000}"#).is_ok());
    }

    #[test]
    fn a_token_is_from_the_issuer_and_for_us() {
        let rules = Rules {
            issuer: Some("site".into()),
            audience: Some("ws".into()),
            ..rules()
        };
        for (json, verdict) in [
            (r#"{"iss": "site", "aud": "ws"}"#, None),
            (r#"{"iss": "site", "aud": ["api", "ws"]}"#, None),
            (r#"{"aud": "ws"}"#, Some(JwtRefused::Issuer)),
            (r#"{"iss": "Site", "aud": "ws"}"#, Some(JwtRefused::Issuer)),
            (r#"{"iss": "site"}"#, Some(JwtRefused::Audience)),
            (
                r#"{"iss": "site", "aud": "api"}"#,
                Some(JwtRefused::Audience),
            ),
            (r#"{"iss": "site", "aud": []}"#, Some(JwtRefused::Audience)),
        ] {
            assert_eq!(checked_by(&rules, json).err(), verdict, "{json}");
        }
        assert_eq!(checked(r#"{"aud": "ws"}"#), Err(JwtRefused::Audience));
        assert!(checked(r#"{"iss": "anybody"}"#).is_ok());
    }
}
