//! JSON Web Tokens, good and forged, made by another implementation (`tests/python/make_tokens.py`).

use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;
use ws4redis::config::{JwtAlgorithm, Secret};
use ws4redis::hub::access::jwt::{Claims, JwtConfig, JwtRefused, KeyError, Verifier};

/// When the tokens of the fixture are looked at.
const NOW: Duration = Duration::from_secs(1_700_000_000);

/// A line of the fixture.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Key {
        key: String,
        text: String,
    },
    Token {
        token: String,
        of: String,
        algorithms: Vec<String>,
        verdict: String,
        text: String,
    },
}

#[test]
fn tokens_of_another_implementation_get_the_verdict_that_they_deserve() {
    let mut judged = 0;
    for line in fixture() {
        let Line::Token {
            token,
            of,
            algorithms,
            verdict,
            text,
        } = line
        else {
            continue;
        };
        let words: Vec<&str> = algorithms.iter().map(String::as_str).collect();
        let result = verifier(&key(&of), &words).unwrap().verify(&text, NOW);
        match result {
            Ok(claims) => {
                assert_eq!(verdict, "good", "{token}");
                assert_eq!(claims.user.as_deref(), Some("jörg"), "{token}");
                assert_eq!(claims.groups, ["chatters", "staff"], "{token}");
                let channels = claims.channels.unwrap();
                assert_eq!(channels, ["subscribe-user", "echo"], "{token}");
            }
            Err(refused) => assert_eq!(word(refused), verdict, "{token}"),
        }
        judged += 1;
    }
    assert!(judged > 80, "the fixture lost its tokens");
}

#[test]
fn a_token_that_is_cut_or_changed_anywhere_is_refused() {
    for algorithm in JwtAlgorithm::ALL {
        let (text, verifier) = good(algorithm);
        for length in 0..text.len() {
            let cut = verifier.verify(&text[..length], NOW);
            assert!(cut.is_err(), "{algorithm:?} cut at {length}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone();
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            changed.replace_range(at..=at, other);
            let changed = verifier.verify(&changed, NOW);
            assert!(changed.is_err(), "{algorithm:?} changed at {at}");
        }
        let (message, signature) = text.rsplit_once('.').unwrap();
        for garbage in [
            String::new(),
            ".".into(),
            "..".into(),
            "...".into(),
            "\u{e9}.\u{e9}.\u{e9}".into(),
            format!("{text}="),
            format!("{text}."),
            format!(".{text}"),
            format!("{text} "),
            format!("{message}.{signature}.{signature}"),
            message.to_owned(),
        ] {
            let refused = verifier.verify(&garbage, NOW);
            assert_eq!(refused, Err(JwtRefused::Malformed), "{garbage:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_client_are_a_token_by_chance(
        text in ".*",
        parts in "(e[wy][A-Za-z0-9_-]{0,40}|eyJhbGciOiJIUzI1NiJ9)\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,44}",
    ) {
        let verifier = verifier(&key("test HS256"), &["HS256"]).unwrap();
        prop_assert!(verifier.verify(&text, NOW).is_err());
        prop_assert!(verifier.verify(&parts, NOW).is_err());
    }
}

#[test]
fn a_token_is_believed_until_it_expires_and_says_when_that_is() {
    for algorithm in JwtAlgorithm::ALL {
        let (text, verifier) = good(algorithm);
        let Claims {
            session, expires, ..
        } = verifier.verify(&text, NOW).unwrap();
        assert_eq!(session.as_deref(), Some("k3y"));
        let expires = expires.unwrap();
        assert_eq!(expires, NOW + Duration::from_secs(330));
        let before = expires - Duration::from_millis(1);
        assert!(verifier.verify(&text, before).is_ok());
        assert_eq!(verifier.verify(&text, expires), Err(JwtRefused::Expired));
        let long_ago = verifier.verify(&text, Duration::ZERO);
        assert_eq!(long_ago, Err(JwtRefused::NotYetValid));
    }
}

#[test]
fn what_is_wrong_with_the_keys_is_told_at_once() {
    let error = |text: &str, algorithms: &[&str]| verifier(text, algorithms).unwrap_err();
    for public in ["RS256", "ES256", "EdDSA"] {
        for text in [key(&format!("test {public}")), key("test JWKS")] {
            assert_eq!(error(&text, &["HS256"]), KeyError::PublicSecret);
            assert_eq!(error(&text, &[public, "HS256"]), KeyError::PublicSecret);
        }
    }
    let a_private_jwk = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"}]}"#;
    for (text, allowed, expected) in [
        (" \n".into(), "HS256", KeyError::Empty),
        (key("test OpenSSH"), "HS256", KeyError::OpenSsh),
        (key("test RS256 short"), "RS256", KeyError::ShortRsa),
        (key("test JWKS short"), "RS256", KeyError::ShortRsa),
        (key("test P-384"), "ES256", KeyError::Pem),
        (block("PUBLIC KEY"), "RS256", KeyError::Pem),
        (block("PRIVATE KEY"), "RS256", KeyError::Private),
        (block("RSA PRIVATE KEY"), "RS256", KeyError::Private),
        (block("CERTIFICATE"), "RS256", KeyError::Certificate),
        (a_private_jwk.into(), "EdDSA", KeyError::Private),
        (
            key("test RS256") + &key("test ES256"),
            "RS256",
            KeyError::SeveralPem,
        ),
        (
            key("test JWKS twice"),
            "ES256",
            KeyError::SameId {
                id: "test-ES256".into(),
                algorithm: "ES256",
            },
        ),
        ("x".repeat(31), "HS256", KeyError::ShortSecret(31)),
        ("x".repeat(32), "RS256", KeyError::NoKey("RS256".into())),
        (key("test RS256"), "ES256", KeyError::NoKey("ES256".into())),
        (
            key("test JWKS of others"),
            "RS256",
            KeyError::NoKey("RS256".into()),
        ),
    ] {
        assert_eq!(error(&text, &[allowed]), expected, "{text}");
    }
    assert_eq!(error(&key("test HS256"), &[]), KeyError::NoAlgorithm);
    assert!(matches!(error("{}", &["RS256"]), KeyError::Jwks(_)));
}

fn verifier(keys: &str, algorithms: &[&str]) -> Result<Verifier, KeyError> {
    Verifier::new(JwtConfig {
        keys: Secret::new(keys.to_owned()),
        algorithms: JwtAlgorithm::ALL
            .into_iter()
            .filter(|algorithm| algorithms.contains(&algorithm.word()))
            .collect(),
        issuer: None,
        audience: None,
        leeway: Duration::from_secs(30),
        require_exp: true,
    })
}

/// The good token of an algorithm, and who believes it.
fn good(algorithm: JwtAlgorithm) -> (String, Verifier) {
    let name = format!("{} good", algorithm.word());
    let text = fixture().into_iter().find_map(|line| match line {
        Line::Token { token, text, .. } if token == name => Some(text),
        _ => None,
    });
    let keys = key(&format!("test {}", algorithm.word()));
    (text.unwrap(), verifier(&keys, &[algorithm.word()]).unwrap())
}

fn key(name: &str) -> String {
    let text = fixture().into_iter().find_map(|line| match line {
        Line::Key { key, text } if key == name => Some(text),
        _ => None,
    });
    text.unwrap()
}

/// A PEM block with nothing of use in it.
fn block(label: &str) -> String {
    format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n")
}

fn fixture() -> Vec<Line> {
    include_str!("tokens.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The fixture's word for a refusal.
fn word(refused: JwtRefused) -> &'static str {
    match refused {
        JwtRefused::TooLong => "too long",
        JwtRefused::Malformed => "malformed",
        JwtRefused::Algorithm => "algorithm",
        JwtRefused::UnknownKey => "unknown key",
        JwtRefused::Signature => "signature",
        JwtRefused::Claims => "claims",
        JwtRefused::Control => "control",
        JwtRefused::TooMany => "too many",
        JwtRefused::Expired => "expired",
        JwtRefused::NoExpiry => "no expiry",
        JwtRefused::NotYetValid => "not yet valid",
        JwtRefused::Issuer => "issuer",
        JwtRefused::Audience => "audience",
    }
}
