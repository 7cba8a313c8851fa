//! Sessions that real Django wrote, through each engine, and what becomes of them when somebody meddles.
//!
//! `tests/sessions.jsonl` is what `tests/python/make_sessions.py` printed under Django 3.2, 4.2 and 5.2.

use std::time::Duration;

use data_encoding::BASE64;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use ws4redis::config::DjangoEngine as Engine;
use ws4redis::wire::django::{Bad, Secrets, Session, decode, redis_key};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn every_session_of_real_django_is_read_or_refused_as_expected() {
    for stored in sessions() {
        assert_eq!(
            stored.decode(Some(&stored.secrets())),
            stored.expected(),
            "{stored:?}"
        );
        let unverified = stored.decode(None);
        if stored.engine() == Engine::SignedCookies {
            assert_eq!(unverified, Err(Bad::NoSecrets), "{stored:?}");
        } else {
            assert_eq!(unverified, stored.expected(), "{stored:?}");
        }
    }
}

#[test]
fn the_corpus_has_every_engine_of_every_django_and_both_kinds_of_token() {
    let sessions = sessions();
    for engine in ["RedisSessions", "Cache", "CachedDb", "SignedCookies"] {
        for django in ["3.2.", "4.2.", "5.2."] {
            let found = sessions
                .iter()
                .any(|stored| stored.engine == engine && stored.django.starts_with(django));
            assert!(found, "{engine} {django}");
        }
    }
    for engine in ["RedisSessions", "SignedCookies"] {
        for compressed in [true, false] {
            let found = sessions.iter().any(|stored| {
                stored.engine == engine && stored.raw().starts_with(b".") == compressed
            });
            assert!(found, "{engine} {compressed}");
        }
    }
}

#[test]
fn sessions_lie_where_their_engine_put_them() {
    for stored in sessions() {
        let key = redis_key(
            stored.engine(),
            &stored.prefix,
            stored.version,
            &stored.session_key,
        );
        assert_eq!(key, stored.key, "{stored:?}");
    }
}

#[test]
fn a_key_that_signed_before_is_still_believed_and_any_other_is_not() {
    for stored in sessions().iter().filter(|stored| stored.is_signed()) {
        let rotated = Secrets::new("new", [&*stored.secret]).unwrap();
        assert_eq!(
            stored.decode(Some(&rotated)),
            stored.expected(),
            "{stored:?}"
        );
        let wrong = Secrets::new("new", ["another"]).unwrap();
        assert_eq!(
            stored.decode(Some(&wrong)),
            Err(Bad::WrongSignature),
            "{stored:?}"
        );
    }
}

#[test]
fn a_changed_byte_anywhere_in_what_is_signed_is_noticed() {
    for stored in sessions().iter().filter(|stored| stored.is_signed()) {
        let secrets = stored.secrets();
        let raw = stored.raw();
        // Every byte of the short ones; of the long ones the ends, where the dot, the time and the signature are.
        let places = (0..raw.len()).filter(|at| raw.len() < 700 || *at < 20 || at + 60 > raw.len());
        for at in places {
            let mut changed = raw.clone();
            changed[at] = if raw[at] == b'A' { b'B' } else { b'A' };
            let said = stored.decode_raw(&changed, Some(&secrets));
            let noticed = matches!(
                said,
                Err(Bad::WrongSignature | Bad::NoSignature | Bad::NotASession)
            );
            assert!(noticed, "{at}: {said:?} {stored:?}");
        }
    }
}

#[test]
fn a_session_that_is_cut_off_anywhere_is_refused_also_without_a_key() {
    for stored in sessions() {
        let raw = stored.raw();
        for end in 0..raw.len() {
            if raw.len() < 700 || end % 7 == 0 || end + 60 > raw.len() {
                let cut = &raw[..end];
                assert!(stored.decode_raw(cut, None).is_err(), "{end}: {stored:?}");
                let said = stored.decode_raw(cut, Some(&stored.secrets()));
                assert!(said.is_err(), "{end}: {stored:?}");
            }
        }
    }
}

#[test]
fn a_signature_for_another_purpose_is_wrong() {
    let sessions = sessions();
    let tokens = |engine| {
        let of = move |stored: &&Stored| stored.engine == engine && stored.raw().contains(&b':');
        sessions.iter().filter(of)
    };
    for (made_by, engine) in [
        ("RedisSessions", Engine::SignedCookies),
        ("SignedCookies", Engine::RedisSessions),
    ] {
        for stored in tokens(made_by) {
            let secrets = stored.secrets();
            let said = decode(engine, &stored.raw(), Some(&secrets), stored.now(), None);
            assert_eq!(said, Err(Bad::WrongSignature), "{stored:?}");
        }
    }
}

#[test]
fn a_cookie_is_a_session_for_as_long_as_its_signature_says() {
    for stored in sessions()
        .iter()
        .filter(|stored| stored.engine() == Engine::SignedCookies)
    {
        let secrets = stored.secrets();
        let at = |unix, max_age| {
            decode(
                Engine::SignedCookies,
                &stored.raw(),
                Some(&secrets),
                unix,
                max_age,
            )
        };
        let second = Duration::from_secs(1);
        assert_eq!(at(stored.now() + DAY, Some(DAY)), stored.expected());
        assert_eq!(
            at(stored.now() + DAY + second, Some(DAY)),
            Err(Bad::Expired)
        );
        assert_eq!(at(stored.now() + 100 * DAY, None), stored.expected());
        // The clock of the application may be ahead of ours.
        assert_eq!(at(stored.now() - DAY, Some(second)), stored.expected());
    }
}

#[test]
fn what_is_not_signed_is_nothing_in_a_cookie_and_in_the_store() {
    let stored = &sessions()[0];
    let secrets = stored.secrets();
    let payload = "eyJfYXV0aF91c2VyX2lkIjoiMSJ9"; // {"_auth_user_id":"1"}
    for (raw, said) in [
        (String::new(), Err(Bad::NoSignature)),
        (payload.to_owned(), Err(Bad::NoSignature)),
        (format!("{payload}:"), Err(Bad::NoSignature)),
        (format!("{payload}:1uRhRU:"), Err(Bad::NoSignature)),
        (format!("{payload}:1uRhRU:none"), Err(Bad::NoSignature)),
        (
            format!("{payload}:1uRhRU:{}", "A".repeat(43)),
            Err(Bad::WrongSignature),
        ),
        (
            format!("{payload}:1uRhRU:{}", "A".repeat(26)),
            Err(Bad::NoSignature),
        ),
    ] {
        let cookie = decode(
            Engine::SignedCookies,
            raw.as_bytes(),
            Some(&secrets),
            DAY,
            None,
        );
        assert_eq!(cookie, said, "{raw}");
        let store = decode(
            Engine::RedisSessions,
            raw.as_bytes(),
            Some(&secrets),
            DAY,
            None,
        );
        assert!(store.is_err(), "{raw}");
    }
    // The old form without its hash, and with one that is not.
    for (inner, said) in [
        ("{}", Bad::NoSignature),
        (":{}", Bad::NoSignature),
        (
            "da39a3ee5e6b4b0d3255bfef95601890afd80709:{}",
            Bad::WrongSignature,
        ),
    ] {
        let raw = BASE64.encode(inner.as_bytes());
        let store = decode(
            Engine::RedisSessions,
            raw.as_bytes(),
            Some(&secrets),
            DAY,
            None,
        );
        assert_eq!(store, Err(said), "{inner}");
    }
}

#[test]
fn an_integer_of_the_cache_is_not_a_session() {
    for raw in [&b"17"[..], b"-1", b"", b"\x81\xa1a\x01"] {
        let said = decode(Engine::Cache, raw, None, DAY, None);
        assert_eq!(said, Err(Bad::NotASession));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_decoder_panic(raw in prop_oneof![noise(), token_like(), legacy_like(), pickle_like()]) {
        let secrets = Secrets::new("key", ["old"]).unwrap();
        for engine in [Engine::RedisSessions, Engine::Cache, Engine::CachedDb, Engine::SignedCookies] {
            for secrets in [None, Some(&secrets)] {
                let _ = decode(engine, &raw, secrets, DAY, Some(DAY));
            }
        }
    }

    #[test]
    fn a_spoilt_session_of_real_django_makes_no_decoder_panic(
        which in any::<prop::sample::Index>(),
        spoils in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let sessions = sessions();
        let stored = which.get(&sessions);
        let mut raw = stored.raw();
        for (at, byte) in spoils {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        let _ = stored.decode_raw(&raw, None);
    }

    #[test]
    fn no_session_key_brings_more_than_itself_into_a_key(key in any::<String>()) {
        if let Some(made) = redis_key(Engine::RedisSessions, "p", 1, &key) {
            prop_assert_eq!(made, format!("p:{key}"));
            prop_assert!(key.len() >= 8 && key.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9')));
        }
    }
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

/// A token around any payload, compressed or said to be.
fn token_like() -> impl Strategy<Value = Vec<u8>> {
    let inner = prop_oneof![noise(), pickle_like(), json_like()];
    (inner, any::<bool>(), "[0-9A-Za-z]{0,12}").prop_map(|(inner, dot, time)| {
        let data = data_encoding::BASE64URL_NOPAD.encode(&inner);
        let dot = if dot { "." } else { "" };
        format!("{dot}{data}:{time}:{}", "A".repeat(43)).into_bytes()
    })
}

fn legacy_like() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![noise(), json_like()].prop_map(|inner| {
        let inner = [&b"da39a3ee5e6b4b0d3255bfef95601890afd80709:"[..], &inner].concat();
        BASE64.encode(&inner).into_bytes()
    })
}

fn json_like() -> impl Strategy<Value = Vec<u8>> {
    vec(
        "[\\[\\]{}:,]|\"(_auth_user_id|ws4redis:memberof|a)\"|[0-9]|null",
        0..30,
    )
    .prop_map(|pieces| format!("{{{}", pieces.concat()).into_bytes())
}

/// Opcodes that a session could be made of, with small operands.
fn pickle_like() -> impl Strategy<Value = Vec<u8>> {
    const OPCODES: &[u8] =
        b"(.GJKMNXaehjqrstu)]}\x85\x86\x87\x88\x8a\x8b\x8c\x8d\x8f\x90\x91\x94\x95BC";
    let opcode = prop::sample::select(OPCODES).prop_map(|opcode| vec![opcode]);
    let operand = vec(0u8..4, 1..5);
    let field = Just(b"\x8c\x11ws4redis:memberof".to_vec());
    vec(prop_oneof![6 => opcode, 2 => operand, 1 => field], 0..60)
        .prop_map(|pieces| [b"\x80\x04}(".to_vec(), pieces.concat(), b".".to_vec()].concat())
}

/// A line of the corpus.
#[derive(Debug, Deserialize)]
struct Stored {
    django: String,
    engine: String,
    #[expect(dead_code, reason = "shown when an assertion fails")]
    name: String,
    session_key: String,
    prefix: String,
    version: u32,
    key: Option<String>,
    raw: String,
    secret: String,
    unix: u64,
    expected: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    bad: Option<String>,
    user_id: Option<String>,
    username: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
}

fn sessions() -> Vec<Stored> {
    let lines = include_str!("sessions.jsonl").lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Stored {
    fn engine(&self) -> Engine {
        match &*self.engine {
            "RedisSessions" => Engine::RedisSessions,
            "Cache" => Engine::Cache,
            "CachedDb" => Engine::CachedDb,
            "SignedCookies" => Engine::SignedCookies,
            other => panic!("{other}"),
        }
    }

    fn is_signed(&self) -> bool {
        matches!(self.engine(), Engine::RedisSessions | Engine::SignedCookies)
    }

    fn raw(&self) -> Vec<u8> {
        BASE64.decode(self.raw.as_bytes()).unwrap()
    }

    fn secrets(&self) -> Secrets {
        Secrets::new(&*self.secret, [""; 0]).unwrap()
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.unix)
    }

    fn decode(&self, secrets: Option<&Secrets>) -> Result<Session, Bad> {
        self.decode_raw(&self.raw(), secrets)
    }

    fn decode_raw(&self, raw: &[u8], secrets: Option<&Secrets>) -> Result<Session, Bad> {
        decode(self.engine(), raw, secrets, self.now(), Some(DAY))
    }

    fn expected(&self) -> Result<Session, Bad> {
        match self.expected.bad.as_deref() {
            None => Ok(Session {
                user_id: self.expected.user_id.clone(),
                username: self.expected.username.clone(),
                groups: self.expected.groups.clone(),
            }),
            Some("Pickled") => Err(Bad::Pickled),
            Some("NamesAClass") => Err(Bad::NamesAClass),
            Some("Compressed(\"zlib\")") => Err(Bad::Compressed("zlib")),
            Some("Compressed(\"gzip\")") => Err(Bad::Compressed("gzip")),
            Some("Compressed(\"lzma\")") => Err(Bad::Compressed("lzma")),
            Some(other) => panic!("{other}"),
        }
    }
}
