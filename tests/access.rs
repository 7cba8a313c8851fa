//! Who is let in, and to what: rules, origins and addresses, through the hub's seam and through the binary.

use std::time::Duration;

use tempfile::TempDir;
use ws4redis::hub::Hub;
use ws4redis::peer::{Door, From};
use ws4redis::refusal::Refusal;
use ws4redis::report::Report;
use ws4redis::tick::Tick;
use ws4redis::{Config, RedisSubscriber};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::redis::Redis;
use crate::support::wait;

/// A file for `--config`, as long as its directory is held.
fn file(text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ws4redis.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

fn status(gateway: &Gateway, tail: &str, fields: &[(&str, &str)]) -> u16 {
    match gateway.client_with(tail, fields) {
        Ok(_) => 101,
        Err(refused) => refused.status,
    }
}

#[test]
fn the_first_rule_that_matches_decides_who_may_come_and_what_they_hear() {
    let redis = Redis::start();
    let (_dir, path) = file(
        "facilities = ['chat/**', 'news']\n\
         allowed_channels = ['subscribe-broadcast']\n\
         [[rule]]\nfacility = 'chat/staff'\nrequire = 'group:staff'\nallow = 'all'\n\
         [[rule]]\nfacility = 'chat/*'\nrequire = 'user'\nallow = ['subscribe-user']\n",
    );
    let gateway = Gateway::start(&redis, &["--config", &path, "--trusted", "127.0.0.1/32"]);
    let flags = "?subscribe-broadcast&subscribe-user&publish-broadcast&echo";
    let john = [("X-Ws4redis-User", "john")];
    let mary = [("X-Ws4redis-User", "mary"), ("X-Ws4redis-Groups", "staff")];

    for (facility, fields, expected) in [
        ("news", &[][..], 101),
        ("weather", &mary, 404),
        ("news/today", &mary, 404),
        ("chat/1", &[], 403),
        ("chat/1", &john, 101),
        ("chat/staff", &john, 403),
        ("chat/staff", &mary, 101),
        ("chat/1/2", &[], 101),
    ] {
        let got = status(&gateway, &format!("{facility}{flags}"), fields);
        assert_eq!(got, expected, "{facility} {fields:?}");
    }
    let mut john = gateway
        .client_with(&format!("chat/1{flags}"), &john)
        .unwrap();
    assert_eq!(redis.publish("broadcast:chat/1", "not allowed"), 0);
    john.send("nobody hears this");
    assert_eq!(redis.publish("user:john:chat/1", "allowed"), 1);
    john.expect("allowed");
    let mut mary = gateway
        .client_with(&format!("chat/staff{flags}"), &mary)
        .unwrap();
    mary.send("to all of us");
    mary.expect("to all of us");
    let refused = wait::until("refusals are counted", || {
        gateway.metric("ws4redis_refusals_total{reason=\"forbidden\"}")
    });
    assert_eq!(refused, 2.0);
    // The warning is for those who have no rules.
    assert!(!gateway.log_text().contains("every client may subscribe"));
}

#[test]
fn a_cookie_without_an_origin_is_refused_and_the_log_says_why() {
    let gateway = Gateway::start_embedded(&[]);
    let own = format!("http://{}", gateway.address());
    let cookie = ("Cookie", "sessionid=k3y");
    let tail = "f?subscribe-session";
    assert_eq!(status(&gateway, tail, &[cookie]), 403);
    assert_eq!(
        status(
            &gateway,
            tail,
            &[cookie, ("Origin", "https://evil.example")]
        ),
        403
    );
    assert_eq!(status(&gateway, tail, &[cookie, ("Origin", &own)]), 101);
    assert_eq!(status(&gateway, tail, &[]), 101);
    wait::until("both reasons are logged", || {
        let log = gateway.log_text();
        (log.contains("origin_required_with_cookie") && log.contains("https://evil.example"))
            .then_some(())
    });
    let lenient = Gateway::start_embedded(&["--origin-required-with-cookie=off"]);
    assert_eq!(status(&lenient, tail, &[cookie]), 101);
}

#[test]
fn behind_a_proxy_the_origin_is_compared_with_the_host_that_it_was_asked_for() {
    let site = [
        ("Origin", "https://site.example"),
        ("X-Forwarded-Host", "site.example"),
    ];
    let trusting = Gateway::start_embedded(&["--trusted", "127.0.0.1/32"]);
    assert_eq!(status(&trusting, "f", &site), 101);
    let twice = [site[0], site[1], ("X-Forwarded-Host", "evil.example")];
    assert_eq!(status(&trusting, "f", &twice), 400);
    assert_eq!(status(&Gateway::start_embedded(&[]), "f", &site), 403);
}

#[test]
fn sessions_are_counted_by_the_clients_address_that_a_trusted_proxy_tells() {
    let arguments = [
        "--trusted",
        "127.0.0.1/32",
        "--sessions-per-address-max",
        "1",
    ];
    let gateway = Gateway::start_embedded(&arguments);
    let connect = |forwarded: &str| -> Result<Client, u16> {
        gateway
            .client_with("f?subscribe-broadcast", &[("X-Forwarded-For", forwarded)])
            .map_err(|refused| refused.status)
    };
    let first = connect("192.0.2.1").unwrap();
    let _second = connect("192.0.2.2").unwrap();
    // What a client claims of itself stands further left.
    assert_eq!(connect("203.0.113.5, 192.0.2.1").unwrap_err(), 429);
    first.close();
    let _third = wait::until("its place is free again", || connect("192.0.2.1").ok());
    wait::until("the log names the client and not the proxy", || {
        gateway.log_text().contains("\"192.0.2.1\"").then_some(())
    });
}

#[test]
fn an_untrusted_peer_is_counted_by_its_own_address_whatever_it_tells() {
    let gateway = Gateway::start_embedded(&["--sessions-per-address-max", "1"]);
    let _first = gateway
        .client_with("f", &[("X-Forwarded-For", "192.0.2.1")])
        .unwrap();
    let second = gateway.client_with("f", &[("X-Forwarded-For", "192.0.2.2")]);
    assert_eq!(second.unwrap_err().status, 429);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the gateway goes by the real clock, and so must what is dated here"
)]
fn a_session_ends_with_its_token_by_the_clock_on_the_wall() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use std::time::{SystemTime, UNIX_EPOCH};
    let key = "a key for tests, of thirty-two bytes or so";
    let (_dir, path) = file(key);
    let gateway = Gateway::start_embedded(&[
        "--identity=jwt",
        "--jwt-key-file",
        &path,
        "--jwt-algorithms=HS256",
        "--jwt-leeway=0s",
    ]);
    let token = |seconds: f64| {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let expires = unix.as_secs_f64() + seconds;
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"john","exp":{expires:.3}}}"#));
        let message = format!("{header}.{claims}");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
        let tag = ring::hmac::sign(&key, message.as_bytes());
        format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    assert_eq!(
        status(&gateway, "f", &[("Authorization", &token(-1.0))]),
        403
    );
    let brief = token(3.0);
    let mut john = gateway
        .client_with("f?subscribe-user", &[("Authorization", &brief)])
        .unwrap();
    assert_eq!(john.closed(), (4401, "expired".to_owned()));
    assert_eq!(status(&gateway, "f", &[("Authorization", &brief)]), 403);
}

#[test]
fn an_address_that_knocks_too_often_is_turned_away_before_it_is_judged() {
    let mut config = Config::default();
    config.limits.handshakes_per_second_per_address_max = 2;
    let mut hub = Hub::new(config, Box::new(RedisSubscriber), 1, Duration::ZERO).unwrap();
    let mut knock = |ms: u64, ip: &str| {
        let now = Tick::ZERO + Duration::from_millis(ms);
        let id = hub
            .accepted(now, Door::Client, From::Ip(ip.parse().unwrap()))
            .unwrap();
        let mut head = *b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n";
        hub.received(now, id, &mut head);
        hub.check();
        match hub.next_report() {
            Some(Report::Refused { refusal, .. }) => refusal,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(knock(5_000, "192.0.2.1"), Refusal::NotFound);
    assert_eq!(knock(5_100, "192.0.2.1"), Refusal::NotFound);
    assert_eq!(knock(5_999, "192.0.2.1"), Refusal::TooManyFromAddress);
    assert_eq!(knock(5_999, "192.0.2.2"), Refusal::NotFound);
    assert_eq!(knock(6_000, "192.0.2.1"), Refusal::NotFound);
}
