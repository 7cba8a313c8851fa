//! `publish` and `fetch`, against a real Redis.

use super::{Run, run, run_in, run_with};
use crate::support::redis::Redis;
use crate::support::resp::Reply;

struct Site {
    redis: Redis,
}

impl Site {
    fn start() -> Site {
        Site {
            redis: Redis::start(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let url = self.redis.unix_url();
        run_in(&[("WS4REDIS_CONNECTION", &url)], arguments)
    }

    fn ttl(&self, key: &str) -> i64 {
        match self.redis.call(&["TTL", key]) {
            Reply::Integer(seconds) => seconds,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_message_goes_to_every_audience_named_and_is_kept_for_the_time_said() {
    let site = Site::start();
    let run = site.run(&[
        "publish",
        "news",
        "It rains",
        "--broadcast",
        "--user",
        "john",
        "--user",
        "jane",
        "--group",
        "staff",
        "--session",
        "k3y",
        "--prefix",
        "shop",
        "--expire",
        "10m",
    ]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    for key in [
        "shop:broadcast:news",
        "shop:user:john:news",
        "shop:user:jane:news",
        "shop:group:staff:news",
        "shop:session:k3y:news",
    ] {
        assert!(run.stdout.contains(key), "{}", run.stdout);
        assert_eq!(
            site.redis.call(&["GET", key]),
            Reply::Bulk(b"It rains".to_vec()),
            "{key}"
        );
        assert!((590..=600).contains(&site.ttl(key)), "{key}");
    }
    assert_eq!(site.redis.call(&["DBSIZE"]), Reply::Integer(5));
}

#[test]
fn expire_0_keeps_nothing_and_the_configured_time_is_the_default() {
    let site = Site::start();
    assert_eq!(
        site.run(&["publish", "a", "m", "--broadcast", "--expire", "0"])
            .code,
        0
    );
    assert_eq!(site.redis.call(&["DBSIZE"]), Reply::Integer(0));
    assert_eq!(site.run(&["publish", "a", "m", "--broadcast"]).code, 0);
    assert!((3_590..=3_600).contains(&site.ttl("broadcast:a")));
}

#[test]
fn what_is_fetched_is_what_was_piped_in_byte_for_byte() {
    let site = Site::start();
    let url = site.redis.unix_url();
    let bytes = b"\x00\xff two\r\nlines\n";
    let published = run_with(
        bytes,
        &["publish", "f", "-", "--broadcast", "--redis", &url],
    );
    assert_eq!(published.code, 0, "{}", published.stderr);
    let fetched = super::command(&["fetch", "f", "--redis", &url])
        .output()
        .unwrap();
    assert_eq!(
        (fetched.status.code(), &fetched.stdout[..]),
        (Some(0), &bytes[..])
    );
}

#[test]
fn fetch_looks_at_session_user_groups_and_broadcast_in_this_order() {
    let site = Site::start();
    let who = [
        "--user",
        "john",
        "--group",
        "a",
        "--group",
        "b",
        "--session",
        "k",
    ];
    let fetch = |more: &[&str]| site.run(&[&["fetch", "f"], &who[..], more].concat());
    let publish = |message: &str, to: &[&str]| {
        assert_eq!(site.run(&[&["publish", "f", message], to].concat()).code, 0);
    };
    let none = fetch(&[]);
    assert_eq!(
        (none.code, none.stdout.as_str(), none.stderr.as_str()),
        (1, "", "")
    );
    // From the last to the first: each one found hides those before it.
    for (message, to) in [
        ("to all", &["--broadcast"][..]),
        ("to b", &["--group", "b"]),
        ("to a", &["--group", "a"]),
        ("to john", &["--user", "john"]),
        ("to k", &["--session", "k"]),
    ] {
        publish(message, to);
        assert_eq!(fetch(&[]).stdout, message);
    }
    for (audience, message) in [
        ("session", "to k"),
        ("user", "to john"),
        ("group", "to a"),
        ("broadcast", "to all"),
    ] {
        assert_eq!(fetch(&["--audience", audience]).stdout, message);
    }
    assert_eq!(site.run(&["fetch", "f", "--audience", "user"]).code, 1);
}

#[test]
fn a_message_that_no_client_would_get_is_refused_with_what_to_do() {
    let to_all = "--broadcast";
    for (arguments, input, message) in [
        (
            &["publish", "f", "m"][..],
            "",
            "--broadcast, --user NAME, --group NAME or --session KEY",
        ),
        (&["publish", "f", "", to_all], "", "empty"),
        (&["publish", "f", "-", to_all], "", "empty"),
        (
            &["publish", "f", "beat", to_all, "--heartbeat", "beat"],
            "",
            "heartbeat",
        ),
        (&["publish", &"x".repeat(256), "m", to_all], "", "255"),
    ] {
        let run = run_with(input.as_bytes(), arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains(message), "{}", run.stderr);
    }
    let small = [("WS4REDIS_REDIS_MESSAGE_BYTES_MAX", "64KiB")];
    let long = "x".repeat((64 << 10) + 1);
    let run = run_in(&small, &["publish", "f", &long, to_all]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("redis_message_bytes_max"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_redis_that_is_away_or_says_no_is_a_failure_that_says_what_to_do() {
    let redis = Redis::start_with(&["--requirepass", "hunter2"]);
    let url = redis.unix_url();
    let refused = run(&["fetch", "f", "--redis", &url]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(
        refused.stderr.contains("NOAUTH") && refused.stderr.contains("password"),
        "{}",
        refused.stderr
    );
    drop(redis);
    let away = run(&["publish", "f", "m", "--broadcast", "--redis", &url]);
    assert_eq!((away.code, away.stdout.as_str()), (1, ""));
    assert!(
        away.stderr.contains(&url) && away.stderr.contains("--redis"),
        "{}",
        away.stderr
    );
}
