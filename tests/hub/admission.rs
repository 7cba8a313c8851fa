//! From accept to the 101, or to a refusal.

use ws4redis::Order;
use ws4redis::config::{Require, Rule, Source};
use ws4redis::peer::Door;
use ws4redis::refusal::Refusal;
use ws4redis::report::Report;

use crate::frames::{FINAL, TEXT, frame};
use crate::world::client::{Request, field};
use crate::world::{HERE, Who, World, ms};

/// Somebody who is refused for this reason.
fn refused_for(refusal: Refusal) -> (World, Who) {
    let mut world = World::new(|config| {
        if refusal == Refusal::Forbidden {
            config.rules.rules.push(Rule {
                facility: "**".to_owned(),
                allow: None,
                require: Some(Require::User),
            });
        }
        if refusal == Refusal::CallbackFailed {
            config.identity = vec![Source::Callback];
            config.callback.url = "http://app/".parse().ok();
        }
        super::control::unsigned(config);
        let limits = &mut config.limits;
        match refusal {
            Refusal::TooManyChannels => limits.channels_per_session_max = 1,
            Refusal::TooManyFromAddress => limits.sessions_per_address_max = 1,
            Refusal::Full => (limits.sessions_max, limits.pending_max) = (1, 1),
            _ => {}
        }
    });
    let right = Request::to("/ws/f?subscribe-broadcast");
    let request = match refusal {
        Refusal::Malformed => right.line("GET /ws/f HTTP/1.0"),
        Refusal::NoKey => right.without("Sec-WebSocket-Key"),
        Refusal::Duplicate => right.with("Host", "example.com"),
        Refusal::BadFacility => Request::to(&format!("/ws/{}", "f".repeat(256))),
        Refusal::TooManyChannels => Request::to("/ws/f?subscribe-broadcast&publish-broadcast"),
        Refusal::Origin => right.with("Origin", "https://evil.example"),
        Refusal::Forbidden => right,
        Refusal::NotFound => Request::to("/other"),
        Refusal::Method => right.line("POST /ws/f HTTP/1.1"),
        Refusal::TooLate => {
            let who = world.knock(Door::Client, HERE);
            world.clients[who].send(b"GET /ws/f HT");
            world.advance(ms(10_000));
            return (world, who);
        }
        Refusal::UriTooLong => Request::to(&format!("/ws/{}", "f".repeat(8 << 10))),
        Refusal::UpgradeRequired => right.without("Sec-WebSocket-Version"),
        Refusal::HeadTooLarge => right.with("Cookie", &"c".repeat(8 << 10)),
        Refusal::TooManyFromAddress | Refusal::Full => {
            world.join("/ws/f");
            right
        }
        Refusal::RedisAway => {
            world.redis.mood.refuses = true;
            world.cut();
            right
        }
        Refusal::CallbackFailed => {
            world.application.refuses = true;
            right
        }
        Refusal::Recheck => {
            let who = overtaken(&mut world, right);
            return (world, who);
        }
        Refusal::Draining => {
            world.join("/ws/f");
            world.hub.drain(world.now);
            right
        }
    };
    let who = world.ask(HERE, &request);
    world.run();
    (world, who)
}

/// Somebody whom an order means that comes while Redis is asked.
fn overtaken(world: &mut World, request: Request) -> Who {
    world.redis.mood.stalls = true;
    let who = world.ask(HERE, &request.cookie("sessionid=k"));
    world.run();
    world.redis.mood.stalls = false;
    let order = Order::recheck().session("k");
    world.redis.publish("ws4redis:control", order.to_json());
    world.run();
    who
}

#[test]
fn every_refusal_is_reached_and_says_what_it_should() {
    for refusal in Refusal::ALL {
        let (world, who) = refused_for(refusal);
        let answer = world.clients[who].answer.as_ref();
        let answer = answer.unwrap_or_else(|| panic!("{refusal:?} is answered"));
        assert_eq!(answer.status, refusal.status().0, "{refusal:?}");
        assert_eq!(answer.body, format!("{}\n", refusal.line()), "{refusal:?}");
        for (name, value) in refusal.fields() {
            assert_eq!(field(&answer.head, name), Some(*value), "{refusal:?}");
        }
        assert!(world.clients[who].is_dropped, "{refusal:?} ends");
        let is_reported = |report: &&Report| matches!(report, Report::Refused { from: HERE, refusal: told, .. } if *told == refusal);
        let reports = world.reports.iter().filter(is_reported);
        assert_eq!(reports.count(), 1, "{refusal:?} is reported once");
        assert_eq!(world.hub.tally().refusals[refusal.index()], 1);
        assert_eq!(world.hub.tally().refusals.iter().sum::<u64>(), 1);
    }
}

#[test]
fn the_101_waits_until_redis_has_confirmed_every_subscription() {
    let mut world = World::new(|_| {});
    world.redis.mood.stalls = true;
    let request = Request::to("/ws/f?subscribe-broadcast&subscribe-session");
    let ann = world.ask(HERE, &request.cookie("sessionid=k"));
    world.advance(ms(400));
    assert!(world.clients[ann].answer.is_none());
    assert!(world.redis.heard().is_empty());
    world.redis.mood.stalls = false;
    world.run();
    assert!(world.clients[ann].is_open());
    let heard: Vec<_> = world.redis.heard().into_iter().collect();
    assert_eq!(heard, ["broadcast:f", "session:k:f"]);
}

#[test]
fn the_101_answers_the_key_and_takes_the_first_subprotocol() {
    let mut world = World::new(|_| {});
    let request = Request::to("/ws/f").with("Sec-WebSocket-Protocol", "chat, superchat");
    let ann = world.ask(HERE, &request);
    world.run();
    let head = world.clients[ann].answer.clone().unwrap().head;
    assert!(head.starts_with("HTTP/1.1 101 "));
    let accept = field(&head, "Sec-WebSocket-Accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(field(&head, "Sec-WebSocket-Protocol"), Some("chat"));
}

#[test]
fn a_request_may_come_byte_by_byte_but_not_for_ever() {
    let mut world = World::new(|_| {});
    let request = Request::to("/ws/f?subscribe-broadcast").bytes();
    let ann = world.knock(Door::Client, HERE);
    for byte in &request {
        world.clients[ann].send(&[*byte]);
        world.advance(ms(1));
    }
    assert!(world.clients[ann].is_open());

    let bob = world.knock(Door::Client, HERE);
    for byte in &request {
        world.clients[bob].send(&[*byte]);
        world.advance(ms(10_000 / request.len() as u64 + 1));
    }
    assert_eq!(world.clients[bob].status(), Some(408));
}

#[test]
fn who_connects_and_says_nothing_is_dismissed_in_silence() {
    let mut world = World::new(|_| {});
    let ann = world.knock(Door::Client, HERE);
    world.advance(ms(9_999));
    assert!(!world.clients[ann].is_dropped);
    world.advance(ms(1));
    assert!(world.clients[ann].is_dropped);
    assert!(world.clients[ann].answer.is_none());
    assert_eq!(world.hub.tally().clients, 0);
}

#[test]
fn what_a_client_says_before_its_101_is_heard_after_it() {
    let mut world = World::new(|_| {});
    world.redis.mood.stalls = true;
    let ann = world.connect("/ws/f?subscribe-broadcast&publish-broadcast&echo");
    world.clients[ann].say("with the request");
    world.run();
    world.clients[ann].say("and after it");
    world.run();
    assert_eq!(world.redis.count("PUBLISH broadcast:f"), 0);
    world.redis.mood.stalls = false;
    world.run();
    assert_eq!(world.messages(ann), ["with the request", "and after it"]);
}

#[test]
fn a_flood_before_the_101_is_refused() {
    let mut world = World::new(|_| {});
    world.redis.mood.stalls = true;
    let ann = world.connect("/ws/f?subscribe-broadcast");
    world.run();
    let head_bytes_max = 8 << 10;
    world.clients[ann].send(&frame(FINAL | TEXT, &vec![b'x'; head_bytes_max]));
    world.run();
    assert_eq!(world.clients[ann].status(), Some(431));
}

#[test]
fn there_are_never_more_sessions_than_may_be_not_even_if_all_ask_at_once() {
    let mut world = World::new(|config| {
        (config.limits.sessions_max, config.limits.pending_max) = (5, 5);
    });
    for _ in 0..3 {
        world.join("/ws/f");
    }
    let more: Vec<Who> = (0..5)
        .map(|n| world.connect(&format!("/ws/{n}?subscribe-broadcast")))
        .collect();
    world.run();
    let statuses: Vec<_> = more
        .iter()
        .map(|who| world.clients[*who].status())
        .collect();
    let (yes, no) = (Some(101), Some(503));
    assert_eq!(statuses, [yes, yes, no, no, no]);
    assert_eq!(world.hub.tally().sessions, 5);
}

#[test]
fn for_whom_there_is_no_room_at_the_door_is_told_so() {
    let mut world = World::new(|config| config.limits.pending_max = 2);
    world.knock(Door::Client, HERE);
    world.knock(Door::Client, HERE);
    let ann = world.connect("/ws/f");
    world.run();
    assert_eq!(world.clients[ann].status(), Some(503));
    assert_eq!(world.hub.tally().refusals[Refusal::Full.index()], 1);
}

#[test]
fn a_client_that_leaves_before_its_101_leaves_nothing_behind() {
    let mut world = World::new(|_| {});
    world.redis.mood.stalls = true;
    let ann = world.connect("/ws/f?subscribe-broadcast");
    world.run();
    assert_eq!(world.hub.tally().channels, 1);
    world.clients[ann].reset();
    world.run();
    let tally = world.hub.tally();
    assert_eq!((tally.channels, tally.pending, tally.clients), (0, 0, 0));
    world.redis.mood.stalls = false;
    world.run();
    assert!(world.redis.heard().is_empty());
}

#[test]
fn a_client_that_subscribes_to_nothing_needs_no_answer_of_redis() {
    let mut world = World::new(|_| {});
    let commands = world.redis.commands.len();
    let ann = world.join("/ws/f?subscribe-user&subscribe-group&subscribe-session");
    assert_eq!(world.redis.commands.len(), commands);
    assert_eq!(world.hub.tally().channels, 0);
    world.clients[ann].say("hello");
    world.run();
    assert!(world.clients[ann].is_open());
}
