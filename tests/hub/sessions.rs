//! Who is it: sessions of Django, which Redis is asked for.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde_json::Value;
use ws4redis::Config;
use ws4redis::close::Close;
use ws4redis::config::{DjangoEngine, KeyMaterial, Secret, Source, UsernameFallback};
use ws4redis::refusal::Refusal;
use ws4redis::report::Report;

use crate::world::client::Request;
use crate::world::{HERE, Who, World, ms};

const KEY: &str = "k3y0f3ss10nabcdefghijklmnopqrstu";
const PLACE: &str = ":1:django.contrib.sessions.cachek3y0f3ss10nabcdefghijklmnopqrstu";
const JOHN: &str =
    r#"{"_auth_user_id":"7","ws4redis:username":"john","ws4redis:memberof":["staff"]}"#;
const TARGET: &str = "/ws/f?subscribe-broadcast&subscribe-user&subscribe-group&subscribe-session";

fn cached(config: &mut Config) {
    config.identity = vec![Source::Django];
    config.django.engine = DjangoEngine::Cache;
}

/// A client with this session cookie.
fn asked(world: &mut World, cookie: &str) -> Who {
    let request = Request::to(TARGET).cookie(&format!("sessionid={cookie}"));
    world.ask(HERE, &request)
}

fn heard(world: &World) -> Vec<String> {
    world.redis.heard().into_iter().collect()
}

fn bad(world: &World) -> Vec<&str> {
    let bad = world.reports.iter().filter_map(|report| match report {
        Report::BadSession { why, .. } => Some(why.as_str()),
        _ => None,
    });
    bad.collect()
}

#[test]
fn every_session_of_real_django_says_who_it_is_through_its_engine() {
    for line in include_str!("../sessions.jsonl").lines() {
        let stored: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| stored[name].as_str().unwrap().to_owned();
        let raw = BASE64.decode(text("raw").as_bytes()).unwrap();
        let mut world = World::new(|config| {
            config.identity = vec![Source::Django];
            config.limits.head_bytes_max = 64 << 10;
            config.django.engine = match &*text("engine") {
                "RedisSessions" => DjangoEngine::RedisSessions,
                "Cache" => DjangoEngine::Cache,
                "CachedDb" => DjangoEngine::CachedDb,
                _ => DjangoEngine::SignedCookies,
            };
            config.django.key_prefix = text("prefix");
            config.django.version = stored["version"].as_u64().unwrap() as u32;
            config.django.secret_key = Some(KeyMaterial {
                path: None,
                text: Secret::new(text("secret")),
            });
            config.django.username_fallback = UsernameFallback::Id;
        });
        let cookie = match stored["key"].as_str() {
            Some(key) => {
                world.redis.set(key, &raw);
                text("session_key")
            }
            None => String::from_utf8(raw).unwrap(),
        };
        let who = asked(&mut world, &cookie);
        world.run();
        assert!(world.clients[who].is_open(), "{line}");

        let expected = &stored["expected"];
        let is_bad = expected["bad"].is_string();
        let mut channels = BTreeSet::from(["broadcast:f".to_owned()]);
        let name = expected["username"].as_str();
        if let Some(name) = name.or(expected["user_id"].as_str()) {
            channels.insert(format!("user:{name}:f"));
        }
        for group in expected["groups"].as_array().into_iter().flatten() {
            channels.insert(format!("group:{}:f", group.as_str().unwrap()));
        }
        if stored["key"].is_string() && !is_bad {
            channels.insert(format!("session:{}:f", text("session_key")));
        }
        assert_eq!(world.redis.heard(), channels, "{line}");
        assert_eq!(world.hub.tally().bad_sessions, u64::from(is_bad), "{line}");
    }
}

#[test]
fn a_session_that_is_not_there_or_cannot_be_there_is_nobody_and_no_fault() {
    for cookie in [KEY, "short", "UPPERCASE", "abcdefgh:user", ""] {
        let mut world = World::new(cached);
        let gets = world.redis.count("GET");
        let who = asked(&mut world, cookie);
        world.run();
        assert!(world.clients[who].is_open());
        assert_eq!(heard(&world), ["broadcast:f"], "{cookie:?}");
        assert!(bad(&world).is_empty());
        // One is of the channel.
        let asked = world.redis.count("GET") - gets - 1;
        assert_eq!(asked, usize::from(cookie == KEY), "{cookie:?}");
    }
}

#[test]
fn a_session_that_cannot_be_read_is_nobody_and_is_counted_and_reported_once() {
    let pickle_of_a_class = b"\x80\x04cos\nsystem\n(X\x02\x00\x00\x00idtR.";
    for (value, why) in [
        (&b"garbage"[..], "not a session"),
        (pickle_of_a_class, "object of a class"),
        (b"\x78\x9cxx", "zlib"),
    ] {
        let mut world = World::new(cached);
        world.redis.set(PLACE, value);
        let who = asked(&mut world, KEY);
        world.run();
        assert!(world.clients[who].is_open());
        assert_eq!(heard(&world), ["broadcast:f"]);
        assert!(
            matches!(bad(&world)[..], [told] if told.contains(why)),
            "{:?}",
            bad(&world)
        );
        assert_eq!(world.hub.tally().bad_sessions, 1);
    }
    let mut world = World::new(cached);
    world.redis.set_list(PLACE);
    asked(&mut world, KEY);
    world.run();
    assert!(matches!(bad(&world)[..], [told] if told.contains("WRONGTYPE")));
}

#[test]
fn nobody_is_let_in_while_redis_has_not_said_who_it_is() {
    let mut world = World::new(cached);
    world.redis.set(PLACE, JOHN);
    world.redis.mood.stalls = true;
    let first = asked(&mut world, KEY);
    world.run();
    assert_eq!(world.clients[first].status(), None);
    world.cut();
    world.run();
    assert_eq!(world.clients[first].status(), Some(503), "the link broke");

    world.redis.mood.stalls = false;
    world.redis.mood.refuses = true;
    let second = asked(&mut world, KEY);
    world.run();
    assert_eq!(world.clients[second].status(), Some(503), "Redis is away");
    let refused = world.hub.tally().refusals[Refusal::RedisAway.index()];
    assert_eq!(refused, 2);

    world.redis.mood.refuses = false;
    world.advance(ms(5_000));
    let third = asked(&mut world, KEY);
    world.run();
    assert!(world.clients[third].is_open());
    assert!(heard(&world).contains(&"user:john:f".to_owned()));
}

#[test]
fn a_redis_that_does_not_say_whose_session_it_is_lets_nobody_in() {
    for loads in [true, false] {
        let mut world = World::new(cached);
        world.redis.set(PLACE, JOHN);
        world.redis.mood.loads = loads;
        world.redis.mood.denied_keys = !loads;
        let who = asked(&mut world, KEY);
        world.run();
        assert_eq!(world.clients[who].status(), Some(503));
        let told = if loads { "LOADING" } else { "NOPERM" };
        let is_told = |report: &Report| matches!(report, Report::Refused { why: Some(why), .. } if why.contains(told));
        assert!(world.reports.iter().any(is_told), "{:?}", world.reports);
    }
}

#[test]
fn who_leaves_while_redis_is_asked_leaves_nothing_behind_and_frames_sent_early_are_kept() {
    let mut world = World::new(cached);
    world.redis.set(PLACE, JOHN);
    world.redis.mood.stalls = true;
    let gone = asked(&mut world, KEY);
    let early = asked(&mut world, KEY);
    world.run();
    world.clients[gone].reset();
    world.clients[early].say_close(Some(4_000));
    world.run();
    world.redis.mood.stalls = false;
    world.run();
    assert_eq!(world.ending(gone), None);
    assert_eq!(world.ending(early), Some(Close::Client(Some(4_000))));
    let tally = world.hub.tally();
    assert_eq!((tally.pending, tally.sessions), (0, 0));
}

#[test]
fn redis_is_not_asked_for_what_an_earlier_source_has_said() {
    let mut world = World::new(|config| {
        cached(config);
        config.identity = vec![Source::Headers, Source::Django];
    });
    world.redis.set(PLACE, JOHN);
    let request = Request::to("/ws/f?subscribe-user")
        .with("X-Ws4redis-User", "ann")
        .with("X-Ws4redis-Session", "other")
        .cookie(&format!("sessionid={KEY}"));
    let gets = world.redis.count("GET");
    world.ask(ws4redis::peer::From::Unix, &request);
    world.run();
    assert_eq!(heard(&world), ["user:ann:f"]);
    assert_eq!(world.redis.count("GET"), gets + 1, "of the channel");
}
