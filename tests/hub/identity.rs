//! Who is it: tokens and signed headers, and what they do to a session.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ws4redis::Config;
use ws4redis::close::Close;
use ws4redis::config::{JwtAlgorithm, KeyMaterial, Secret, Source};
use ws4redis::hub::access::Access;
use ws4redis::peer::From;
use ws4redis::refusal::Refusal;
use ws4redis::report::Report;

use crate::world::client::Request;
use crate::world::{HERE, UNIX, Who, World, ms};

pub(super) const KEY: &str = "a key for tests, of thirty-two bytes or so";
const TARGET: &str = "/ws/f?subscribe-broadcast&subscribe-user&subscribe-group&publish-broadcast";

/// Tokens count, and nothing else does.
pub(super) fn with_tokens(config: &mut Config) {
    config.identity = vec![Source::Jwt];
    config.jwt.algorithms = vec![JwtAlgorithm::Hs256];
    config.jwt.keys = Some(said(KEY));
}

fn with_signed_headers(config: &mut Config) {
    config.headers_secret = Some(said(KEY));
}

pub(super) fn said(text: &str) -> KeyMaterial {
    KeyMaterial {
        path: None,
        text: Secret::new(text.to_owned()),
    }
}

/// A token of these claims, which expires this many seconds from the beginning, without the leeway.
pub(super) fn token(key: &str, claims: &str, expires: i64) -> String {
    let expires = UNIX.as_secs() as i64 + expires;
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let message = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256","typ":"JWT"}"#),
        encode(format!(r#"{{{claims},"exp":{expires}}}"#).as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = encode(hmac::sign(&key, message.as_bytes()).as_ref());
    format!("{message}.{signature}")
}

/// A client whose token says that it is this user.
pub(super) fn bearing(user: &str) -> Request {
    bears(&token(KEY, &format!(r#""sub":"{user}""#), 60))
}

pub(super) fn bears(token: &str) -> Request {
    Request::to(TARGET).with("Authorization", &format!("Bearer {token}"))
}

/// A client whose token is over after a minute.
pub(super) fn brief() -> Request {
    bears(&token(KEY, r#""sub":"ann""#, 30))
}

/// The request of a proxy that signs what it says, this many seconds ago.
fn signed(key: &str, ago: u64) -> Request {
    let time = UNIX.as_secs() - ago;
    let message = format!("ws4redis-identity-v1\n{time}\n/ws/f\njohn\nstaff\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, message.as_bytes());
    let tag: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    unsigned().with("X-Ws4redis-Signature", &format!("t={time},v1={tag}"))
}

fn unsigned() -> Request {
    Request::to(TARGET)
        .with("X-Ws4redis-User", "john")
        .with("X-Ws4redis-Groups", "staff")
}

fn asked(world: &mut World, from: From, request: &Request) -> Who {
    let who = world.ask(from, request);
    world.run();
    who
}

/// Which channels such a request gets, or with which status it is refused and why.
fn heard(
    from: From,
    change: impl FnOnce(&mut Config),
    request: &Request,
) -> Result<Vec<String>, (u16, String)> {
    let mut world = World::new(change);
    let who = asked(&mut world, from, request);
    match world.clients[who].status() {
        Some(101) => Ok(world.redis.heard().into_iter().collect()),
        status => {
            let why = world.reports.iter().find_map(|report| match report {
                Report::Refused { why, .. } => why.clone(),
                _ => None,
            });
            Err((status.unwrap(), why.unwrap_or_default()))
        }
    }
}

#[test]
fn a_token_says_who_it_is_wherever_it_stands_and_is_never_echoed() {
    let john = token(KEY, r#""sub":"john","groups":["staff"]"#, 60);
    let all = ["broadcast:f", "group:staff:f", "user:john:f"];
    let protocols = format!("chat, bearer, {john}");
    for request in [
        bears(&john),
        Request::to(TARGET).with("Sec-WebSocket-Protocol", &protocols),
        Request::to(TARGET).cookie(&format!("jwt={john}")),
        Request::to(&format!("{TARGET}&token={john}")),
    ] {
        let mut world = World::new(|config| {
            with_tokens(config);
            config.jwt.cookie = Some("jwt".to_owned());
            config.jwt.query = Some("token".to_owned());
        });
        let who = asked(&mut world, HERE, &request);
        assert!(world.redis.heard().iter().eq(&all), "{request:?}");
        let answer = world.clients[who].answer.as_ref().unwrap();
        assert!(!answer.head.contains(&john) && !answer.head.contains("bearer"));
        assert!(!format!("{:?}", world.reports).contains(&john));
    }
}

#[test]
fn who_has_no_token_is_nobody_and_who_has_a_bad_one_is_refused_and_the_log_says_why() {
    let nobody = heard(HERE, with_tokens, &Request::to(TARGET)).unwrap();
    assert_eq!(nobody, ["broadcast:f"]);
    let sub = r#""sub":"john""#;
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJqb2huIn0.";
    for (token, why) in [
        (token(KEY, sub, -31), "expired"),
        (
            token("another key, of thirty-two bytes and more", sub, 60),
            "signature",
        ),
        (token(KEY, r#""sub":7"#, 60), "claims"),
        (none.to_owned(), "not a signed"),
    ] {
        let (status, told) = heard(HERE, with_tokens, &bears(&token)).unwrap_err();
        assert!(status == 403 && told.contains(why), "{status} {told}");
        assert!(!told.contains(&token));
    }
}

#[test]
fn a_token_narrows_the_flags_and_adds_channels_outright() {
    let narrow = token(
        KEY,
        r#""sub":"john","channels":"subscribe-user","subscribe":["news","broadcast:f"],"publish":"inbox""#,
        60,
    );
    let mut world = World::new(with_tokens);
    let who = asked(&mut world, HERE, &bears(&narrow));
    let heard = ["broadcast:f", "news", "user:john:f"];
    assert!(world.redis.heard().iter().eq(&heard));
    world.clients[who].say("hello");
    world.run();
    assert_eq!(world.redis.get("inbox"), Some("hello".into()));
    assert_eq!(world.redis.get("broadcast:f"), None);
}

#[test]
fn a_session_ends_when_its_token_does_and_the_client_is_told_to_renew_it() {
    let mut world = World::new(with_tokens);
    let brief = asked(&mut world, HERE, &bears(&token(KEY, r#""sub":"ann""#, 60)));
    let long = asked(
        &mut world,
        HERE,
        &bears(&token(KEY, r#""sub":"bob""#, 3_600)),
    );
    // The leeway is for both ends.
    world.advance(ms(89_000) - world.now.since(ws4redis::tick::Tick::ZERO));
    assert!(world.clients[brief].is_open());
    world.advance(ms(1_000));
    assert_eq!(world.clients[brief].close(), Some((Some(4401), "expired")));
    assert_eq!(world.ending(brief), Some(Close::Expired));
    assert!(world.clients[long].is_open());
}

#[test]
fn where_headers_are_signed_only_a_good_signature_of_a_trusted_peer_counts() {
    let john = ["broadcast:f", "group:staff:f", "user:john:f"];
    let nobody = ["broadcast:f"];
    let change = with_signed_headers;
    assert_eq!(heard(From::Unix, change, &signed(KEY, 0)).unwrap(), john);
    assert_eq!(heard(From::Unix, change, &unsigned()).unwrap(), nobody);
    assert_eq!(heard(HERE, change, &signed(KEY, 0)).unwrap(), nobody);
    assert_eq!(heard(From::Unix, |_| {}, &unsigned()).unwrap(), john);
    for (request, why) in [
        (
            signed("another key, of thirty-two bytes and more", 0),
            "wrong",
        ),
        (signed(KEY, 61), "too old"),
        (unsigned().with("X-Ws4redis-Signature", "v1=0"), "is not t="),
        (signed(KEY, 0).without("X-Ws4redis-Groups"), "wrong"),
    ] {
        let (status, told) = heard(From::Unix, change, &request).unwrap_err();
        assert!(status == 403 && told.contains(why), "{status} {told}");
    }
    let twice = signed(KEY, 0).with("X-Ws4redis-User", "root");
    let (status, _) = heard(From::Unix, change, &twice).unwrap_err();
    assert_eq!(status, Refusal::Duplicate.status().0);
}

#[test]
fn keys_that_cannot_be_used_are_told_before_anybody_comes() {
    let mut config = Config::default();
    with_tokens(&mut config);
    config.jwt.algorithms = vec![JwtAlgorithm::Es256];
    let error = Access::new(&config).unwrap_err().to_string();
    assert!(
        error.contains("[jwt]") && error.contains("ES256"),
        "{error}"
    );
    let config = Config {
        headers_secret: Some(said("short")),
        ..Config::default()
    };
    let error = Access::new(&config).unwrap_err().to_string();
    assert!(
        error.contains("headers_secret") && error.contains("5 bytes"),
        "{error}"
    );
}
