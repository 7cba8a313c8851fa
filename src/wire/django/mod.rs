//! Django's sessions, as its session engines leave them in Redis or in a cookie.
//!
//! Read here is who logged in, and nothing else. A session in Redis is believed because only the application
//! writes there, and its signature is verified besides where `SECRET_KEY` is known; one in a cookie comes from
//! the client, so without a good signature it is nothing. What is stored is never quoted in an error: sessions
//! hold secrets of their users.

mod json;
mod legacy;
mod pickle;
mod secrets;
mod signed;

use std::time::Duration;

pub use secrets::Secrets;

use crate::config::DjangoEngine as Engine;
use crate::limits::{DJANGO_NAME_BYTES_MAX, DJANGO_SESSION_BYTES_MAX, GROUPS_MAX};

/// Who a session belongs to. Nothing of it is empty or holds a control character.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// `_auth_user_id`: the primary key of who logged in; without it the session is a visitor's.
    pub user_id: Option<String>,
    /// `ws4redis:username`, which the application stores at login.
    pub username: Option<String>,
    /// `ws4redis:memberof`: the groups of the user at login.
    pub groups: Vec<String>,
}

/// Why a value is not read as a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// Sessions in cookies cannot be told from forged ones without the key.
    #[error("a session in a cookie is only read with SECRET_KEY")]
    NoSecrets,
    /// Nothing of the size of a signature where it should be.
    #[error("the session is not signed")]
    NoSignature,
    /// Forged, cut off, or signed with another `SECRET_KEY` or for another purpose.
    #[error("the session's signature is wrong, or SECRET_KEY is")]
    WrongSignature,
    /// Signed too long ago.
    #[error("the session has expired")]
    Expired,
    /// Nothing that the engine writes.
    #[error("not a session of this engine")]
    NotASession,
    /// `_auth_user_id`, `ws4redis:username` or `ws4redis:memberof` is not what it should be.
    #[error("{0} in the session is neither a name nor a list of names")]
    NotAName(&'static str),
    /// Over a bound.
    #[error("the session is too big")]
    TooBig,
    /// django-redis wrote it through one of its compressors.
    #[error("the session is compressed with {0}; set COMPRESSOR of django-redis to its default")]
    Compressed(&'static str),
    /// `SESSION_SERIALIZER` is the pickling one, which Django itself gave up in 5.0.
    #[error("the session is pickled; set SESSION_SERIALIZER to Django's JSONSerializer")]
    Pickled,
    /// A pickle that wants to import something. Nothing is ever imported, so its value cannot be known.
    #[error(
        "the session holds an object of a class; only strings, numbers, lists and dicts are read"
    )]
    NamesAClass,
}

/// Key of a session in Redis; `None` if there is none because `session_key` cannot be one, or is the session.
///
/// `session_key` is what a client says it is. If it could hold a colon, a client could have any value read
/// whose key begins with the prefix; so nothing gets into a key but what Django puts into session keys.
pub fn redis_key(
    engine: Engine,
    key_prefix: &str,
    version: u32,
    session_key: &str,
) -> Option<String> {
    let ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let possible = (SESSION_KEY_BYTES_MIN..=SESSION_KEY_BYTES_MAX).contains(&session_key.len());
    if !possible || !session_key.bytes().all(ours) {
        return None;
    }
    match engine {
        Engine::RedisSessions if key_prefix.is_empty() => Some(session_key.to_owned()),
        Engine::RedisSessions => Some(format!("{key_prefix}:{session_key}")),
        Engine::Cache => Some(format!(
            "{key_prefix}:{version}:django.contrib.sessions.cache{session_key}"
        )),
        Engine::CachedDb => Some(format!(
            "{key_prefix}:{version}:django.contrib.sessions.cached_db{session_key}"
        )),
        Engine::SignedCookies => None,
    }
}

/// Reads a session: the value of [`redis_key`], or of the cookie.
///
/// `unix` is the time since 1970, `max_age` the `SESSION_COOKIE_AGE`. Only what is signed says when; Redis
/// forgets its sessions by itself, so `max_age` matters where a cookie is the session.
pub fn decode(
    engine: Engine,
    raw: &[u8],
    secrets: Option<&Secrets>,
    unix: Duration,
    max_age: Option<Duration>,
) -> Result<Session, Bad> {
    if raw.len() > DJANGO_SESSION_BYTES_MAX {
        return Err(Bad::TooBig);
    }
    match engine {
        Engine::SignedCookies => {
            let secrets = secrets.ok_or(Bad::NoSecrets)?;
            json::session(&signed::open(
                raw,
                COOKIE_SALT,
                Some(secrets),
                unix,
                max_age,
            )?)
        }
        // Base64 has no colon, and a token has two.
        Engine::RedisSessions if raw.contains(&b':') => {
            json::session(&signed::open(raw, STORE_SALT, secrets, unix, max_age)?)
        }
        Engine::RedisSessions => json::session(&legacy::open(raw, secrets)?),
        Engine::Cache | Engine::CachedDb => cached(raw),
    }
}

/// A value of a cache: not signed, and in the form of the cache's serializer.
fn cached(raw: &[u8]) -> Result<Session, Bad> {
    let compressed = COMPRESSORS.iter().find(|(magic, _)| raw.starts_with(magic));
    if let Some((_, name)) = compressed {
        return Err(Bad::Compressed(name));
    }
    // django-redis can be told to write JSON. It has no other beginning that Python's pickles have.
    if raw.starts_with(b"{") {
        json::session(raw)
    } else {
        pickle::session(raw)
    }
}

impl Session {
    /// Checks what a serializer gave. Names become parts of channel names, which is why they are so limited.
    fn checked(
        user_id: Option<String>,
        username: Option<String>,
        groups: Vec<String>,
    ) -> Result<Session, Bad> {
        if groups.len() > GROUPS_MAX {
            return Err(Bad::TooBig);
        }
        let names = [(USER_ID, &user_id), (USERNAME, &username)]
            .into_iter()
            .filter_map(|(field, name)| name.as_ref().map(|name| (field, name)))
            .chain(groups.iter().map(|group| (GROUPS, group)));
        for (field, name) in names {
            if name.len() > DJANGO_NAME_BYTES_MAX {
                return Err(Bad::TooBig);
            }
            if name.chars().any(char::is_control) {
                return Err(Bad::NotAName(field));
            }
        }
        // A channel of a nameless user would be one that all nameless share.
        let named = |name: &String| !name.is_empty();
        Ok(Session {
            user_id: user_id.filter(named),
            username: username.filter(named),
            groups: groups.into_iter().filter(named).collect(),
        })
    }
}

/// `django.contrib.auth.SESSION_KEY`.
const USER_ID: &str = "_auth_user_id";
const USERNAME: &str = "ws4redis:username";
const GROUPS: &str = "ws4redis:memberof";

/// `SessionBase._validate_session_key`.
const SESSION_KEY_BYTES_MIN: usize = 8;
/// Django's have 32.
const SESSION_KEY_BYTES_MAX: usize = 64;

/// `SessionBase.key_salt`: the name of the module of `SessionBase`'s package, and of the store's class.
const STORE_SALT: &str = "django.contrib.sessions.SessionStore";
const COOKIE_SALT: &str = "django.contrib.sessions.backends.signed_cookies";

/// How what the compressors of django-redis write begins. No pickle and no JSON begins so.
const COMPRESSORS: [(&[u8], &str); 5] = [
    (b"\x78", "zlib"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xfd7zXZ", "lzma"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdefghijklmnopqrstuv";

    #[test]
    fn keys_are_those_of_the_engines() {
        let of = |engine, prefix| redis_key(engine, prefix, 1, KEY);
        assert_eq!(of(Engine::RedisSessions, "").as_deref(), Some(KEY));
        assert_eq!(
            of(Engine::RedisSessions, "session"),
            Some(format!("session:{KEY}"))
        );
        assert_eq!(
            of(Engine::Cache, ""),
            Some(format!(":1:django.contrib.sessions.cache{KEY}"))
        );
        assert_eq!(
            of(Engine::CachedDb, "site"),
            Some(format!("site:1:django.contrib.sessions.cached_db{KEY}"))
        );
        assert_eq!(of(Engine::SignedCookies, ""), None);
    }

    #[test]
    fn nothing_but_a_session_key_gets_into_a_key_of_redis() {
        for engine in [Engine::RedisSessions, Engine::Cache, Engine::CachedDb] {
            for bad in [
                "",
                "short77",
                "ABCDEFGH",
                "abcdefgh:user",
                "abcdefgh\r\nGET x",
                "../abcdefgh",
                "abcdefgh*",
                "abcdefg\u{e9}",
                "abcdefgh\0",
                &"a".repeat(65),
            ] {
                assert_eq!(redis_key(engine, "session", 1, bad), None, "{bad:?}");
            }
            assert!(redis_key(engine, "session", 1, "abcd1234").is_some());
        }
    }

    #[test]
    fn every_compressor_of_django_redis_is_told_by_name() {
        for (magic, name) in COMPRESSORS {
            let raw = [magic, b"whatever follows"].concat();
            let said = decode(Engine::Cache, &raw, None, Duration::ZERO, None);
            assert_eq!(said, Err(Bad::Compressed(name)));
        }
    }

    #[test]
    fn ten_megabytes_are_refused_by_every_engine() {
        let secrets = Secrets::new("key", [""; 0]).unwrap();
        for engine in [
            Engine::RedisSessions,
            Engine::Cache,
            Engine::CachedDb,
            Engine::SignedCookies,
        ] {
            let raw = vec![b'{'; 10 << 20];
            let said = decode(engine, &raw, Some(&secrets), Duration::ZERO, None);
            assert_eq!(said, Err(Bad::TooBig));
        }
    }

    #[test]
    fn names_have_bounds_and_the_nameless_are_nobody() {
        let some = |name: &str| Some(name.to_owned());
        let nobody = Session::checked(some(""), some(""), vec![String::new()]);
        assert_eq!(nobody, Ok(Session::default()));
        let many = vec!["g".to_owned(); GROUPS_MAX + 1];
        assert_eq!(Session::checked(None, None, many), Err(Bad::TooBig));
        let long = "u".repeat(DJANGO_NAME_BYTES_MAX + 1);
        assert_eq!(Session::checked(None, Some(long), vec![]), Err(Bad::TooBig));
        let broken = vec!["a\nb".to_owned()];
        assert_eq!(
            Session::checked(None, None, broken),
            Err(Bad::NotAName(GROUPS))
        );
    }
}
