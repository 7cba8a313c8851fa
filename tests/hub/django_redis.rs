//! Sessions of Django in another Redis than the messages: a second link, which comes and goes for itself.

use ws4redis::Config;
use ws4redis::config::{DjangoEngine, Source};
use ws4redis::limits::DJANGO_SESSION_BYTES_MAX;
use ws4redis::peer::RedisOf;
use ws4redis::refusal::Refusal;
use ws4redis::report::{LinkReport, Report};

use crate::world::client::Request;
use crate::world::redis::Mood;
use crate::world::{HERE, Pace, Who, World, ms};

const KEY: &str = "k3y0f3ss10nabcdefghijklmnopqrstu";
const PLACE: &str = ":1:django.contrib.sessions.cachek3y0f3ss10nabcdefghijklmnopqrstu";
const JOHN: &str = r#"{"ws4redis:username":"john"}"#;
const TARGET: &str = "/ws/f?subscribe-user";

fn config(redis: &str) -> impl FnOnce(&mut Config) {
    move |config| {
        config.identity = vec![Source::Django];
        config.django.engine = DjangoEngine::Cache;
        config.django.redis = Some(redis.parse().unwrap());
    }
}

/// A gateway that is ready, with john's session in the other Redis.
fn world() -> World {
    let mut world = World::new(config("redis://other/0"));
    world.sessions.set(PLACE, JOHN);
    world
}

/// A client with john's cookie.
fn asked(world: &mut World) -> Who {
    world.ask(
        HERE,
        &Request::to(TARGET).cookie(&format!("sessionid={KEY}")),
    )
}

/// One that got in as john.
fn john(world: &mut World) -> Who {
    let who = asked(world);
    world.run();
    assert!(world.clients[who].is_open(), "{:?}", world.clients[who]);
    assert!(world.redis.heard().contains("user:john:f"));
    who
}

/// Why the link of the sessions is down, each time that it was told.
fn reasons(world: &World) -> Vec<&str> {
    let links = world.reports.iter().filter_map(|report| match report {
        Report::Link(LinkReport::Down {
            of: RedisOf::Sessions,
            why,
            ..
        }) => Some(why.as_str()),
        _ => None,
    });
    links.collect()
}

/// What the log says of those who were refused.
fn refused(world: &World) -> Vec<&str> {
    let refused = world.reports.iter().filter_map(|report| match report {
        Report::Refused { why: Some(why), .. } => Some(why.as_str()),
        _ => None,
    });
    refused.collect()
}

#[test]
fn a_session_is_asked_of_its_own_redis_and_nothing_else_is_said_there() {
    for pace in [Pace::Whole, Pace::Single] {
        let mut world = World::cold(config("redis://:hunter2@other/0"));
        world.sessions.mood.password = Some("hunter2".to_owned());
        world.sessions.set(PLACE, JOHN);
        world.pace = pace;
        world.run();
        john(&mut world);
        let get = format!("GET {PLACE}");
        let said = [
            "HELLO 3 AUTH default hunter2",
            "CLIENT SETNAME ws4redis",
            "PING 1",
            &get,
        ];
        assert_eq!(world.sessions.commands, said);
        assert_eq!(world.redis.count(&get), 0);
        assert_eq!(world.redis.count("PING"), 0);
        let tally = world.hub.tally();
        assert_eq!(tally.sessions_link.unwrap().commands, 4);
        assert_eq!(tally.link.commands as usize, world.redis.commands.len());
    }
}

#[test]
fn one_redis_has_one_link_and_another_database_of_it_is_another_redis() {
    let mut world = World::new(config("redis://localhost:6379/0"));
    world.redis.set(PLACE, JOHN);
    john(&mut world);
    assert_eq!((world.redis.connects, world.sessions.connects), (1, 0));
    assert_eq!(world.hub.tally().sessions_link, None);

    let mut world = World::new(config("redis://localhost:6379/1"));
    world.sessions.set_in(1, PLACE, JOHN);
    john(&mut world);
    assert_eq!((world.redis.connects, world.sessions.connects), (1, 1));
    assert_eq!(world.sessions.count("SELECT 1"), 1);
}

#[test]
fn a_redis_of_sessions_that_stalls_is_given_up_within_two_seconds_and_nobody_waits_longer() {
    for after in (0..2_000).step_by(50) {
        let mut world = world();
        let early = john(&mut world);
        world.advance(ms(after));
        world.sessions.mood.stalls = true;
        let stalled = world.now;
        let waiting = [asked(&mut world), asked(&mut world)];
        world.run();
        assert_eq!(world.clients[waiting[0]].status(), None);
        while world.hub.ready().is_ok() {
            world.advance(ms(10));
            assert!(world.now.since(stalled) <= ms(2_010), "stalled at {after}");
        }
        for who in waiting {
            assert_eq!(world.clients[who].status(), Some(503));
        }
        assert_eq!(
            refused(&world),
            ["the Redis of Django's sessions went away"; 2]
        );
        assert_eq!(reasons(&world).len(), 1);
        // It accepts again and says nothing: whoever asks now is told so now.
        let late = asked(&mut world);
        world.run();
        assert_eq!(world.clients[late].status(), Some(503));
        world.sessions.mood.stalls = false;
        world.advance(ms(4_000));
        assert_eq!(world.hub.ready(), Ok(()));
        john(&mut world);
        assert!(world.clients[early].is_open());
        assert_eq!(world.redis.connects, 1, "the other link has not noticed");
    }
}

#[test]
fn a_redis_of_sessions_that_is_slow_for_less_than_a_second_is_forgiven() {
    let mut world = world();
    for _ in 0..5 {
        world.sessions.mood.stalls = true;
        let who = asked(&mut world);
        world.advance(ms(990));
        world.sessions.mood.stalls = false;
        world.run();
        assert!(world.clients[who].is_open());
        world.advance(ms(1_700));
    }
    assert_eq!((reasons(&world).len(), world.sessions.connects), (0, 1));
}

#[test]
fn who_waits_when_the_link_breaks_is_refused_at_once_and_who_needs_no_session_is_let_in() {
    let mut world = world();
    let early = john(&mut world);
    world.sessions.mood.stalls = true;
    let waiting = asked(&mut world);
    world.run();
    world.sessions.mood.stalls = false;
    world.sessions.mood.refuses = true;
    world.cut_sessions();
    world.run();
    assert_eq!(world.clients[waiting].status(), Some(503));
    let nobody = world.join("/ws/f?subscribe-broadcast");
    world.redis.publish("broadcast:f", "to all");
    world.redis.publish("user:john:f", "to john");
    world.run();
    assert_eq!(world.messages(nobody), ["to all"]);
    assert_eq!(world.messages(early), ["to john"]);
    world.sessions.mood.refuses = false;
    world.advance(ms(3_000));
    john(&mut world);
}

#[test]
fn a_lost_link_of_the_messages_leaves_the_one_of_the_sessions_alone() {
    let mut world = world();
    world.redis.mood.refuses = true;
    world.cut();
    world.advance(ms(5_000));
    assert_eq!(world.hub.ready(), Err("no proven link to Redis"));
    let who = asked(&mut world);
    world.run();
    // Who it is could be found out; what it asks for could not be had.
    assert_eq!(world.clients[who].status(), Some(503));
    assert_eq!(world.sessions.count("GET"), 1);
    assert_eq!((reasons(&world).len(), world.sessions.connects), (0, 1));
    world.redis.mood.refuses = false;
    world.advance(ms(3_000));
    john(&mut world);
}

#[test]
fn readiness_metrics_and_reports_tell_the_links_apart_and_a_long_outage_is_told_once() {
    let mut world = world();
    let ready = LinkReport::SessionsReady {
        version: "7.4.1".to_owned(),
    };
    assert!(world.reports.contains(&Report::Link(ready)));
    world.sessions.mood.refuses = true;
    world.cut_sessions();
    world.advance(ms(20_000));
    let told = ["closed the connection", "refused"];
    assert_eq!(reasons(&world).len(), told.len());
    for (reason, told) in reasons(&world).iter().zip(told) {
        assert!(reason.contains(told), "{reason}");
    }
    let not_ready = "not ready: no proven link to the Redis of Django's sessions\n";
    assert_eq!(world.admin("/readyz"), (503, not_ready.to_owned()));
    let (_, metrics) = world.admin("/metrics");
    let losses = world.hub.tally().sessions_link.unwrap().losses;
    assert!(losses > 10);
    for line in [
        "ws4redis_link_up 1.0",
        "ws4redis_link_losses_total 0",
        "ws4redis_django_link_up 0.0",
        &format!("ws4redis_django_link_losses_total {losses}"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}");
    }
    let (_, metrics) = World::new(|_| {}).admin("/metrics");
    assert!(!metrics.contains("django_link"), "there is no such link");
}

#[test]
fn a_redis_that_still_loads_the_sessions_is_away() {
    let mut world = World::cold(config("redis://other/0"));
    world.sessions.mood.loads = true;
    world.sessions.set(PLACE, JOHN);
    world.advance(ms(3_000));
    assert!(world.hub.ready().is_err());
    assert!(reasons(&world).iter().all(|why| why.contains("LOADING")));
    let who = asked(&mut world);
    world.run();
    assert_eq!(world.clients[who].status(), Some(503));
    world.sessions.mood.loads = false;
    world.advance(ms(3_000));
    assert_eq!(world.hub.ready(), Ok(()));
    john(&mut world);
}

#[test]
fn what_is_awaited_has_a_bound_also_of_those_who_left() {
    let mut world = World::new(|change| {
        config("redis://other/0")(change);
        change.limits.pending_max = 3;
    });
    world.sessions.set(PLACE, JOHN);
    world.sessions.mood.stalls = true;
    for _ in 0..3 {
        let who = asked(&mut world);
        world.run();
        world.clients[who].reset();
        world.run();
    }
    assert_eq!(world.hub.tally().pending, 0);
    let one_too_many = asked(&mut world);
    world.run();
    assert_eq!(world.clients[one_too_many].status(), Some(503));
    assert_eq!(
        refused(&world),
        ["the Redis of Django's sessions owes too many answers"]
    );
    world.sessions.mood.stalls = false;
    world.run();
    john(&mut world);
    assert_eq!(world.hub.tally().refusals[Refusal::RedisAway.index()], 1);
}

#[test]
fn what_is_too_large_for_a_session_is_skipped_and_the_link_stays() {
    let mut world = world();
    world
        .sessions
        .set(PLACE, vec![b'x'; DJANGO_SESSION_BYTES_MAX + 1]);
    let who = asked(&mut world);
    world.run();
    assert!(world.clients[who].is_open());
    assert!(world.redis.heard().is_empty());
    assert_eq!(world.hub.tally().bad_sessions, 1);
    world.sessions.set(PLACE, JOHN);
    john(&mut world);
    assert_eq!(world.sessions.connects, 1);
}

#[test]
fn what_is_no_answer_ends_the_link_and_nobody_gets_anothers_session() {
    for said in ["+OK\r\n", "HTTP/1.1 400 Bad Request\r\n"] {
        let mut world = world();
        world.sessions.say(said.as_bytes());
        world.run();
        assert_eq!(reasons(&world).len(), 1, "{said}");
        world.advance(ms(3_000));
        john(&mut world);
    }
    let mut world = world();
    world.sessions.mood.stalls = true;
    let who = asked(&mut world);
    world.advance(ms(100));
    // An answer that nobody asked for comes before the right one, which is then left over.
    world.sessions.mood.stalls = false;
    world.sessions.say(b"_\r\n");
    world.run();
    assert_eq!(reasons(&world).len(), 1);
    assert!(!world.clients[who].is_open() || world.redis.heard().is_empty());
}

#[test]
fn whatever_befalls_the_redis_of_sessions_nobody_comes_in_unknown_and_nobody_waits_for_ever() {
    let (mut let_in, mut refused) = (0, 0);
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::seeded(seed, config("redis://other/0"));
        world.sessions.set(PLACE, JOHN);
        world.pace = Pace::Chance(random.fork());
        let mut all = Vec::new();
        for _ in 0..60 {
            match random.u8(0..12) {
                0..4 => all.push(asked(&mut world)),
                4 => world.sessions.mood = misfortune(&mut random),
                5..8 => world.sessions.mood = Mood::default(),
                8 => world.cut_sessions(),
                9 if !all.is_empty() => {
                    let who = all.swap_remove(random.usize(..all.len()));
                    world.clients[who].reset();
                }
                _ => world.advance(ms(random.u64(1..700))),
            }
            world.turn();
        }
        world.sessions.mood = Mood::default();
        world.advance(ms(5_000));
        assert_eq!(world.hub.ready(), Ok(()), "seed {seed}");
        assert_eq!(world.hub.tally().pending, 0, "seed {seed}");
        world.redis.publish("user:john:f", "to john");
        world.run();
        for who in all {
            match world.clients[who].status() {
                Some(101) => {
                    assert_eq!(world.messages(who), ["to john"], "seed {seed}");
                    let_in += 1;
                }
                status => {
                    assert_eq!(status, Some(503), "seed {seed}");
                    refused += 1;
                }
            }
        }
    }
    assert!(let_in > 500 && refused > 500, "{let_in}, {refused}");
}

fn misfortune(random: &mut fastrand::Rng) -> Mood {
    let which = random.u8(0..4);
    Mood {
        stalls: which == 0,
        refuses: which == 1,
        is_missing: which == 2,
        loads: which == 3,
        ..Mood::default()
    }
}
