//! Who somebody claims to be: what clients write into the fields of a request, and what issuers and Django write.

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ws4redis::config::load::{Sources, load};
use ws4redis::config::{DjangoEngine, JwtAlgorithm, Secret};
use ws4redis::hub::access::forwarded::client_address;
use ws4redis::hub::access::jwt::{JwtConfig, Places, Verifier, bearer};
use ws4redis::peer::From;
use ws4redis::wire::django::{Secrets, decode};
use ws4redis::wire::http::{Head, with_head};
use ws4redis::wire::order::OrderReader;
use ws4redis::wire::signature::SigningKeys;

/// The time since 1970.
const NOW: Duration = Duration::from_secs(1_700_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const KEY: &str = "a key for tests, of thirty-two bytes or so";

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let config = JwtConfig {
        keys: Secret::new(KEY.to_owned()),
        algorithms: vec![JwtAlgorithm::Hs256],
        issuer: None,
        audience: None,
        leeway: Duration::ZERO,
        require_exp: false,
    };
    Verifier::new(config).expect("the key is good")
});

/// A `Cookie` field: what is found is one of its values, and no more than that.
pub fn cookies(bytes: &[u8]) {
    if !is_value(bytes) {
        return;
    }
    of_request(&[b"Cookie: ", bytes].concat(), |head| {
        for name in ["sessionid", "a", ""] {
            let Some(value) = head.cookie(name) else {
                continue;
            };
            assert!(!value.contains(';'));
            let field = head.fields().find(|(name, _)| *name == "Cookie");
            let (_, field) = field.expect("the cookie is in a field");
            assert!(
                value.is_empty()
                    || field
                        .windows(value.len())
                        .any(|part| part == value.as_bytes())
            );
        }
    });
}

/// What somebody publishes on the control channel: an order that is obeyed means somebody, and means the same when it
/// is written again; one whose signature we did not make is not obeyed.
pub fn orders(bytes: &[u8]) {
    let channel = || "ws4redis:control".to_owned();
    let unsigned = OrderReader::new(channel(), None, true);
    if let Ok(order) = unsigned.read(bytes, NOW) {
        assert!(order.names_somebody());
        assert_eq!(unsigned.read(order.to_json().as_bytes(), NOW), Ok(order));
    }
    let keys = SigningKeys::new([KEY], DAY).expect("the key is good");
    let signed = OrderReader::new(channel(), Some(keys), false);
    assert!(signed.read(bytes, NOW).is_err());
}

/// What a client writes into `X-Forwarded-For` does not move what our proxy adds to it.
pub fn forwarded(bytes: &[u8]) {
    if !is_value(bytes) {
        return;
    }
    let fields = [
        b"X-Forwarded-For: ",
        bytes,
        b"\r\nX-Forwarded-For: 192.0.2.1",
    ]
    .concat();
    of_request(&fields, |head| {
        let address = client_address(head, From::Unix, true, 1);
        assert_eq!(address.to_string(), "192.0.2.1");
    });
}

/// Fields of a request that may hold a token. Nobody has the key, so none is good.
pub fn bearers(bytes: &[u8]) {
    of_request(bytes, |head| {
        let places = Places {
            cookie: Some("jwt".to_owned()),
            query: None,
        };
        if let Some(Ok(token)) = bearer(head, &places) {
            assert!(VERIFIER.verify(&token, NOW).is_err());
        }
    });
}

/// The claims of a token that is signed well: what is believed can be part of a channel's name.
pub fn claims(bytes: &[u8]) {
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let message = format!("{}.{}", encode(br#"{"alg":"HS256"}"#), encode(bytes));
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let signature = encode(hmac::sign(&key, message.as_bytes()).as_ref());
    if let Ok(claims) = VERIFIER.verify(&format!("{message}.{signature}"), NOW) {
        assert!(claims.expires.is_none_or(|expires| expires > NOW));
        let names = claims
            .user
            .iter()
            .chain(&claims.groups)
            .chain(&claims.session);
        for name in names {
            assert!(!name.chars().any(char::is_control), "{name:?}");
        }
    }
}

/// A session of Django, as each engine may have left it, and as the payload of a token.
pub fn sessions(bytes: &[u8]) {
    let secrets = Secrets::new("key", ["old"]).expect("the keys are good");
    let token = format!(
        "{}:1uRhRU:{}",
        URL_SAFE_NO_PAD.encode(bytes),
        "A".repeat(43)
    );
    let packed = format!(".{token}");
    for engine in [
        DjangoEngine::RedisSessions,
        DjangoEngine::Cache,
        DjangoEngine::CachedDb,
        DjangoEngine::SignedCookies,
    ] {
        for raw in [bytes, token.as_bytes(), packed.as_bytes()] {
            for secrets in [None, Some(&secrets)] {
                let Ok(session) = decode(engine, raw, secrets, NOW, Some(DAY)) else {
                    continue;
                };
                // Nobody has the key.
                assert!(
                    secrets.is_none()
                        || matches!(engine, DjangoEngine::Cache | DjangoEngine::CachedDb)
                );
                let names = session.user_id.iter().chain(&session.username);
                for name in names.chain(&session.groups) {
                    assert!(!name.is_empty() && !name.chars().any(char::is_control));
                }
            }
        }
    }
}

/// A configuration file: it is good, or it is told what is wrong with it.
pub fn settings(bytes: &[u8]) {
    // What it says of files would be read.
    if bytes
        .windows(5)
        .any(|word| word.eq_ignore_ascii_case(b"_file"))
    {
        return;
    }
    let mut file = tempfile::NamedTempFile::new().expect("there is room for a file");
    file.write_all(bytes).expect("there is room for bytes");
    let sources = Sources {
        file: Some(file.path().to_owned()),
        ..Sources::default()
    };
    if let Err(error) = load(sources) {
        assert!(!error.to_string().is_empty());
    }
}

/// Does a field end with these bytes, and not before?
fn is_value(bytes: &[u8]) -> bool {
    !bytes.contains(&b'\r') && !bytes.contains(&b'\n')
}

/// Looks at a request with these fields, if it is one.
fn of_request(fields: &[u8], look: impl FnOnce(&Head<'_>)) {
    let head = [b"GET / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n\r\n"].concat();
    let _ = with_head(&head, 8_192, |head, _| look(head));
}
