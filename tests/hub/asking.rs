//! Who is it, and what may they: the application is asked.

use ws4redis::Config;
use ws4redis::close::Close;
use ws4redis::config::Source;
use ws4redis::refusal::Refusal;
use ws4redis::report::Report;

use crate::world::application::answer;
use crate::world::client::{Request, field};
use crate::world::{HERE, World, ms};

const TARGET: &str = "/ws/f?subscribe-broadcast&subscribe-user&publish-broadcast";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn asking(config: &mut Config) {
    config.identity = vec![Source::Callback];
    config.callback.url = "http://app:8080/may".parse().ok();
}

/// A gateway whose application answers this.
fn world(answer: &str) -> World {
    let mut world = World::new(asking);
    world.application.answer = answer.to_owned();
    world
}

fn heard(world: &World) -> Vec<String> {
    world.redis.heard().into_iter().collect()
}

fn why(world: &World) -> Vec<&str> {
    let why = world.reports.iter().filter_map(|report| match report {
        Report::Refused { why, .. } => why.as_deref(),
        _ => None,
    });
    why.collect()
}

#[test]
fn the_application_is_asked_with_the_clients_own_headers_and_its_wishes() {
    let mut world = world(NO_CONTENT);
    let request = Request::to("/ws/a%20b?subscribe-user&echo&x")
        .with("Authorization", "Bearer t0ken")
        .with("X-Ws4redis-User", "root")
        .cookie("theirs=1");
    world.ask(HERE, &request);
    world.run();
    let [asked] = &world.application.asked[..] else {
        panic!("{:?}", world.application.asked)
    };
    assert!(asked.starts_with("GET /may HTTP/1.1\r\n"), "{asked}");
    for (name, value) in [
        ("Host", Some("app:8080")),
        ("Cookie", Some("theirs=1")),
        ("Authorization", Some("Bearer t0ken")),
        ("X-Forwarded-Host", Some("example.com")),
        ("X-Original-URI", Some("/ws/a%20b?subscribe-user&echo&x")),
        ("X-Ws4redis-Facility", Some("a%20b")),
        ("X-Ws4redis-Channels", Some("subscribe-user")),
        ("X-Ws4redis-User", None),
        ("Upgrade", None),
        ("Sec-WebSocket-Key", None),
    ] {
        assert_eq!(field(asked, name), value, "{name}");
    }
}

#[test]
fn the_application_says_who_it_is_what_it_may_and_for_how_long() {
    let mut world = world(&answer(
        "200 OK",
        r#"{"user": "john", "channels": ["Subscribe-User"], "subscribe": ["news"], "publish": ["inbox"], "expires_in": 60}"#,
    ));
    let john = world.connect(TARGET);
    world.run();
    assert_eq!(heard(&world), ["news", "user:john:f"]);
    world.clients[john].say("hello");
    world.run();
    assert_eq!(world.redis.get("inbox"), Some("hello".into()));
    assert_eq!(world.redis.get("broadcast:f"), None);
    world.advance(ms(59_000));
    assert!(world.clients[john].is_open());
    world.advance(ms(1_000));
    assert_eq!(world.ending(john), Some(Close::Expired));
}

#[test]
fn no_content_and_an_empty_body_allow_what_was_asked() {
    for nothing in [NO_CONTENT, &answer("200 OK", "")] {
        let mut world = world(nothing);
        let who = world.connect(TARGET);
        world.run();
        assert!(world.clients[who].is_open());
        assert_eq!(heard(&world), ["broadcast:f"]);
    }
}

#[test]
fn a_no_is_403_and_whatever_is_no_answer_is_503_and_comes_back() {
    let long = "x".repeat(10 << 20);
    for (said, status, told) in [
        (answer("401 Unauthorized", ""), 403, "says no"),
        (answer("403 Forbidden", "go away"), 403, "says no"),
        (answer("500 Internal Server Error", ""), 503, "status 500"),
        (answer("302 Found", ""), 503, "status 302"),
        (answer("200 OK", "[]"), 503, "not a JSON object"),
        (answer("200 OK", r#"{"user": 7}"#), 503, "wrong type"),
        (answer("200 OK", &long), 503, "cannot be read"),
        ("SSH-2.0\r\n".to_owned(), 503, "cannot be read"),
    ] {
        let mut world = world(&said);
        let who = world.connect(TARGET);
        world.run();
        let client = world.clients[who].answer.as_ref().unwrap();
        assert_eq!(client.status, status, "{told}");
        assert_eq!(field(&client.head, "Retry-After").is_some(), status == 503);
        assert!(
            matches!(why(&world)[..], [why] if why.contains(told)),
            "{:?}",
            why(&world)
        );
        assert!(heard(&world).is_empty());
    }
}

#[test]
fn an_application_that_hangs_or_is_away_lets_nobody_in() {
    let mut hangs = world("");
    let who = hangs.connect(TARGET);
    hangs.advance(ms(1_900));
    assert_eq!(hangs.clients[who].status(), None);
    hangs.advance(ms(200));
    assert_eq!(hangs.clients[who].status(), Some(503));
    assert!(why(&hangs)[0].contains("in time"));

    let mut away = world(NO_CONTENT);
    away.application.refuses = true;
    let who = away.connect(TARGET);
    away.run();
    assert_eq!(away.clients[who].status(), Some(503));
    away.application.refuses = false;
    away.advance(ms(1_000));
    away.join(TARGET);
}

#[test]
fn it_is_asked_also_about_whom_an_earlier_source_knows_and_may_say_no() {
    let mut world = World::new(|config| {
        asking(config);
        config.identity = vec![Source::Headers, Source::Callback];
    });
    world.application.answer = answer(
        "200 OK",
        r#"{"user": "other", "channels": ["subscribe-user"]}"#,
    );
    let ann = Request::to(TARGET).with("X-Ws4redis-User", "ann");
    world.ask(ws4redis::peer::From::Unix, &ann);
    world.run();
    assert_eq!(heard(&world), ["user:ann:f"]);
    world.application.answer = answer("403 Forbidden", "");
    let who = world.ask(ws4redis::peer::From::Unix, &ann);
    world.run();
    assert_eq!(world.clients[who].status(), Some(403));
}

#[test]
fn who_leaves_before_the_verdict_leaves_nothing_behind() {
    let mut world = world("");
    let who = world.connect(TARGET);
    world.run();
    world.clients[who].reset();
    world.run();
    world.application.answer = NO_CONTENT.to_owned();
    world.run();
    let tally = world.hub.tally();
    assert_eq!((tally.pending, tally.opened), (0, 0));
    assert_eq!((tally.callback_calling, tally.callback_waiting), (0, 0));
}

#[test]
fn ten_thousand_clients_at_once_are_a_bounded_number_of_calls_and_nobody_is_let_in_unchecked() {
    const CLIENTS: usize = 10_000;
    let mut world = World::new(|config| {
        asking(config);
        config.limits.sessions_per_address_max = 0;
        config.limits.handshakes_per_second_per_address_max = 0;
        config.limits.sessions_max = CLIENTS;
        config.limits.pending_max = CLIENTS;
        config.callback.connections_max = 16;
        config.callback.queue_max = 1_000;
    });
    for who in 0..CLIENTS {
        let request = Request::to(TARGET).cookie(&format!("sessionid={who}"));
        world.ask(HERE, &request);
    }
    world.run();
    assert_eq!(world.application.most, 16);
    assert!(world.clients.iter().all(|client| !client.is_open()));
    world.application.answer = NO_CONTENT.to_owned();
    world.run();
    assert_eq!(world.application.most, 16);
    let open = world
        .clients
        .iter()
        .filter(|client| client.is_open())
        .count();
    let refused = world.hub.tally().refusals[Refusal::CallbackFailed.index()];
    assert_eq!(open + refused as usize, CLIENTS);
    assert_eq!(open, world.application.asked.len(), "a call for each");
    assert!((1_000..=1_016).contains(&open), "{open}");
}

#[test]
fn those_who_ask_the_same_at_once_share_a_call() {
    let mut world = world("");
    for _ in 0..5 {
        let request = Request::to(TARGET).cookie("sessionid=same");
        world.ask(HERE, &request);
    }
    world.run();
    world.application.answer = NO_CONTENT.to_owned();
    world.run();
    assert_eq!(world.application.asked.len(), 1);
    assert!(world.clients.iter().all(|client| client.is_open()));
}
