//! Orders on the control channel: who must go, who must come anew, and who is never let in.

use std::time::Duration;

use ws4redis::close::Close;
use ws4redis::config::{KeyMaterial, Secret, Source};
use ws4redis::hub::access::Access;
use ws4redis::peer::From;
use ws4redis::refusal::Refusal;
use ws4redis::report::{ControlReport, Report};
use ws4redis::wire::signature::SigningKeys;
use ws4redis::{Config, Order};

use super::identity::bearing;
use crate::world::application::answer;
use crate::world::client::{Request, field};
use crate::world::{HERE, UNIX, Who, World, ms};

const CONTROL: &str = "ws4redis:control";
const KEY: &str = "a key for tests, of thirty-two bytes or so";
const REVOKED: Option<(Option<u16>, &str)> = Some((Some(4403), "revoked"));
const RECHECK: Option<(Option<u16>, &str)> = Some((Some(1012), "recheck"));

pub(super) fn unsigned(config: &mut Config) {
    config.control.unsigned = true;
}

fn signed(config: &mut Config) {
    config.control.secret = Some(KeyMaterial {
        path: None,
        text: Secret::new(KEY.to_owned()),
    });
}

/// The request of a proxy that says who it is for.
fn of(user: &str, groups: &str, session: &str) -> Request {
    Request::to("/ws/f?subscribe-broadcast&subscribe-user")
        .with("X-Ws4redis-User", user)
        .with("X-Ws4redis-Groups", groups)
        .with("X-Ws4redis-Session", session)
}

fn joined(world: &mut World, request: &Request) -> Who {
    let who = world.ask(From::Unix, request);
    world.run();
    assert!(world.clients[who].is_open());
    who
}

fn order(world: &mut World, order: &Order) {
    world.redis.publish(CONTROL, order.to_json());
    world.run();
}

/// An order with a signature by this key, made so many seconds ago for this channel.
fn sealed(order: &Order, key: &str, ago: u64, channel: &str) -> String {
    let keys = SigningKeys::new([key], Duration::from_secs(60)).unwrap();
    order.signed(channel, &keys, UNIX - Duration::from_secs(ago))
}

/// Who is closed, and how.
fn closes(world: &World) -> Vec<Option<(Option<u16>, &str)>> {
    world.clients.iter().map(|client| client.close()).collect()
}

fn told(world: &World) -> Vec<&ControlReport> {
    let told = world.reports.iter().filter_map(|report| match report {
        Report::Control(told) => Some(told),
        _ => None,
    });
    told.collect()
}

#[test]
fn an_order_closes_those_who_match_all_of_it_at_once_and_nobody_else() {
    for (whom, met) in [
        (Order::disconnect().user("john"), [true, true, false]),
        (Order::disconnect().group("staff"), [true, false, true]),
        (Order::disconnect().session("k2"), [false, true, false]),
        (
            Order::disconnect()
                .user("john")
                .group("staff")
                .session("k1"),
            [true, false, false],
        ),
        (
            Order::disconnect().user("john").session("k3"),
            [false, false, false],
        ),
    ] {
        let mut world = World::new(unsigned);
        for (user, groups, session) in [
            ("john", "chess,staff", "k1"),
            ("john", "", "k2"),
            ("mary", "staff", "k3"),
            ("", "", ""),
        ] {
            joined(&mut world, &of(user, groups, session));
        }
        order(&mut world, &whom);
        for (who, met) in met.into_iter().chain([false]).enumerate() {
            let close = world.clients[who].close();
            assert_eq!(close, REVOKED.filter(|_| met), "{who} by {whom:?}");
        }
        let count = met.iter().filter(|met| **met).count();
        let tally = world.hub.tally();
        assert_eq!(tally.closes[Close::Revoked.index()], count as u64);
        assert_eq!((tally.orders, tally.orders_refused), (1, 0));
        assert!(
            matches!(told(&world)[..], [ControlReport::Obeyed { action: "disconnect", sessions, handshakes: 0, .. }] if *sessions == count)
        );
        for name in ["john", "k1", "k2", "k3", "staff"] {
            assert!(!format!("{:?}", told(&world)).contains(name));
        }
    }
}

#[test]
fn whoever_comes_after_an_order_is_let_in_and_places_that_are_used_again_are_not_mistaken() {
    let mut world = World::new(unsigned);
    let john = joined(&mut world, &of("john", "", ""));
    world.clients[john].say_close(None);
    world.run();
    let mary = joined(&mut world, &of("mary", "", ""));
    assert_eq!(world.clients[john].id.index, world.clients[mary].id.index);
    order(&mut world, &Order::disconnect().user("john"));
    assert!(world.clients[mary].is_open());
    let john = joined(&mut world, &of("john", "", ""));
    let nobody = joined(&mut world, &of("", "", ""));
    order(&mut world, &Order::disconnect().user("mary"));
    assert_eq!(world.clients[mary].close(), REVOKED);
    assert!(world.clients[john].is_open() && world.clients[nobody].is_open());
}

#[test]
fn every_source_of_identity_is_met() {
    let mut world = World::new(|config| {
        super::identity::with_tokens(config);
        config.identity = vec![Source::Jwt, Source::Cookie];
        unsigned(config);
    });
    let token = bearing("john");
    let by_token = world.ask(HERE, &token);
    let cookie = Request::to("/ws/f?subscribe-session").cookie("sessionid=k3y");
    let by_cookie = world.ask(HERE, &cookie);
    world.run();
    order(&mut world, &Order::disconnect().user("john"));
    order(&mut world, &Order::disconnect().session("k3y"));
    assert_eq!(world.clients[by_token].close(), REVOKED);
    assert_eq!(world.clients[by_cookie].close(), REVOKED);
}

#[test]
fn where_a_secret_is_set_only_orders_count_that_are_signed_with_it_lately_for_this_channel() {
    let whom = Order::disconnect().user("john");
    for (payload, why) in [
        (whom.to_json(), "not signed"),
        (
            sealed(
                &whom,
                "another key, of thirty-two bytes and more",
                0,
                CONTROL,
            ),
            "wrong",
        ),
        (sealed(&whom, KEY, 61, CONTROL), "too old"),
        (sealed(&whom, KEY, 0, "other:ws4redis:control"), "wrong"),
        (
            sealed(&whom, KEY, 0, CONTROL).replace("john", "mary"),
            "wrong",
        ),
        ("t=1,v1=0\n{}".to_owned(), "is not t="),
        ("x".repeat(5_000), "4096 bytes"),
        (sealed(&Order::disconnect(), KEY, 0, CONTROL), "names no"),
    ] {
        let mut world = World::new(signed);
        let john = joined(&mut world, &of("john", "", ""));
        world.redis.publish(CONTROL, &payload);
        world.run();
        assert!(world.clients[john].is_open(), "{payload}");
        assert!(
            matches!(told(&world)[..], [ControlReport::Refused { why: told, count: 1 }] if told.contains(why)),
            "{:?}",
            told(&world)
        );
        let tally = world.hub.tally();
        assert_eq!((tally.orders, tally.orders_refused), (0, 1));
        // The same gateway obeys a good one.
        world.redis.publish(CONTROL, sealed(&whom, KEY, 0, CONTROL));
        world.run();
        assert_eq!(world.clients[john].close(), REVOKED);
    }
}

#[test]
fn a_machine_that_learns_the_time_after_the_start_believes_what_is_dated_from_then_on() {
    let mut world = World::new(signed);
    let john = joined(&mut world, &of("john", "", ""));
    let later = Duration::from_secs(86_400);
    let keys = SigningKeys::new([KEY], Duration::from_secs(60)).unwrap();
    let whom = Order::disconnect().user("john");
    let dated = whom.signed(CONTROL, &keys, UNIX + later);
    world.redis.publish(CONTROL, &dated);
    world.run();
    assert!(world.clients[john].is_open(), "it is from the future");
    world.hub.dated(world.now, UNIX + later);
    world.redis.publish(CONTROL, &dated);
    world.run();
    assert_eq!(world.clients[john].close(), REVOKED);
}

#[test]
fn refused_orders_are_counted_each_and_told_now_and_then() {
    let mut world = World::new(unsigned);
    for _ in 0..1_000 {
        world.redis.publish(CONTROL, "nonsense");
    }
    world.run();
    assert_eq!(told(&world).len(), 1);
    world.advance(ms(30_000));
    world.redis.publish(CONTROL, "nonsense");
    world.run();
    assert!(matches!(
        told(&world)[..],
        [_, ControlReport::Refused { count: 1_000, .. }]
    ));
    assert_eq!(world.hub.tally().orders_refused, 1_001);
}

#[test]
fn where_orders_are_not_asked_for_the_channel_is_not_heard_and_nobody_is_known() {
    let mut world = World::new(|_| {});
    let john = joined(&mut world, &of("john", "", ""));
    assert_eq!(world.redis.count("SUBSCRIBE ws4redis:control"), 0);
    order(&mut world, &Order::disconnect().user("john"));
    world
        .redis
        .say(b">3\r\n$7\r\nmessage\r\n$16\r\nws4redis:control\r\n$2\r\n{}\r\n");
    world.run();
    assert!(world.clients[john].is_open());
    assert_eq!(told(&world), [] as [&ControlReport; 0]);
}

#[test]
fn the_channel_is_heard_with_the_probe_and_again_after_every_outage() {
    let mut world = World::new(|config| {
        unsigned(config);
        config.prefix = "site".to_owned();
    });
    let john = joined(&mut world, &of("john", "", ""));
    world.cut();
    world.advance(ms(5_000));
    assert_eq!(world.redis.count("SUBSCRIBE site:ws4redis:control"), 2);
    // Another site's.
    order(&mut world, &Order::disconnect().user("john"));
    assert!(world.clients[john].is_open());
    let whom = Order::disconnect().user("john").to_json();
    world.redis.publish("site:ws4redis:control", whom);
    world.run();
    assert_eq!(world.clients[john].close(), REVOKED);
}

#[test]
fn a_redis_that_keeps_the_channel_from_us_is_no_link_and_the_log_says_what_to_do() {
    let mut world = World::cold(unsigned);
    world.redis.mood.denied.insert(CONTROL.to_owned());
    world.advance(ms(1_000));
    assert!(world.hub.ready().is_err());
    assert!(format!("{:?}", world.reports).contains("&*ws4redis:control"));
    world.redis.mood.denied.clear();
    world.advance(ms(5_000));
    assert_eq!(world.hub.ready(), Ok(()));
}

#[test]
fn a_redis_that_keeps_the_channel_from_us_is_told_no_message_twice() {
    let mut world = World::new(unsigned);
    let john = world.join("/ws/f?publish-broadcast");
    world.redis.mood.denied.insert(CONTROL.to_owned());
    world.cut();
    world.clients[john].say("once");
    world.advance(ms(4_000));
    world.redis.mood.denied.clear();
    world.advance(ms(4_000));
    let published = world.redis.published.iter();
    let said = published.filter(|message| message.payload == b"once");
    assert_eq!(said.count(), 1);
}

#[test]
fn nobody_is_let_in_before_orders_are_heard_again() {
    let mut world = asking();
    world.application.answer = answer("200 OK", r#"{"user": "john"}"#);
    world.cut();
    world.redis.mood.deaf_after = Some("CLIENT SETNAME".to_owned());
    world.advance(ms(200));
    let john = world.ask(HERE, &Request::to("/ws/f?subscribe-user"));
    world.run();
    assert_eq!(world.application.asked.len(), 1);
    world
        .redis
        .publish(CONTROL, Order::disconnect().user("john").to_json());
    world.redis.mood.deaf_after = None;
    world.run();
    assert_eq!(world.clients[john].status(), Some(503));
}

#[test]
fn who_is_being_admitted_when_an_order_comes_is_refused_and_told_to_come_again() {
    for whom in [
        Order::disconnect().user("john"),
        Order::recheck().user("john"),
    ] {
        let mut world = World::new(unsigned);
        let mary = world.ask(From::Unix, &of("mary", "", ""));
        let john = world.ask(From::Unix, &of("john", "", ""));
        // They are judged, and Redis is asked for their channels; what it says first is the order.
        world.redis.mood.stalls = true;
        world.run();
        assert_eq!(world.hub.tally().pending, 2);
        let push = format!(
            ">3\r\n$7\r\nmessage\r\n$16\r\n{CONTROL}\r\n${}\r\n{}\r\n",
            whom.to_json().len(),
            whom.to_json()
        );
        world.redis.say(push.as_bytes());
        world.redis.mood.stalls = false;
        world.run();
        assert!(world.clients[mary].is_open());
        let refused = world.clients[john].answer.as_ref().unwrap();
        assert_eq!(refused.status, 503);
        assert_eq!(field(&refused.head, "Retry-After"), Some("2"));
        let count = world.hub.tally().refusals[Refusal::Recheck.index()];
        assert_eq!(count, 1);
        joined(&mut world, &of("john", "", ""));
    }
}

/// A gateway that asks the application, which has not answered yet.
fn asking() -> World {
    World::new(|config| {
        unsigned(config);
        config.identity = vec![Source::Callback];
        config.callback.url = "http://app/may".parse().ok();
    })
}

#[test]
fn a_verdict_of_before_an_order_lets_nobody_in_whom_it_means() {
    let mut world = asking();
    let request = Request::to("/ws/f?subscribe-user");
    let before = world.ask(HERE, &request);
    world.run();
    order(&mut world, &Order::disconnect().user("mary"));
    order(&mut world, &Order::disconnect().user("john"));
    // The same question: but what was asked before the order is not answered to it.
    let after = world.ask(HERE, &request);
    world.run();
    assert_eq!(world.application.asked.len(), 2);
    world.application.answer = answer("200 OK", r#"{"user": "john"}"#);
    world.run();
    assert_eq!(world.clients[before].status(), Some(503));
    assert!(world.clients[after].is_open());
}

#[test]
fn a_verdict_of_before_an_outage_lets_nobody_in_since_orders_may_have_been_missed() {
    let mut world = asking();
    let request = Request::to("/ws/f?subscribe-user");
    let before = world.ask(HERE, &request);
    world.run();
    world.cut();
    world.advance(ms(500));
    assert_eq!(world.hub.ready(), Ok(()));
    let after = world.ask(HERE, &request);
    world.run();
    world.application.answer = answer("200 OK", r#"{"user": "john"}"#);
    world.run();
    assert_eq!(world.clients[before].status(), Some(503));
    assert!(world.clients[after].is_open());
}

#[test]
fn an_order_about_others_holds_nobody_up() {
    let mut world = asking();
    let john = world.ask(HERE, &Request::to("/ws/f?subscribe-user"));
    world.run();
    order(&mut world, &Order::disconnect().user("mary"));
    world.application.answer = answer("200 OK", r#"{"user": "john"}"#);
    world.run();
    assert!(world.clients[john].is_open());
}

#[test]
fn rechecks_keep_the_pace_of_a_drain_and_come_back_in() {
    let mut world = World::new(|config| {
        unsigned(config);
        config.limits.drain_per_second = 50;
    });
    for _ in 0..200 {
        joined(&mut world, &of("", "staff", ""));
    }
    let john = joined(&mut world, &of("john", "", ""));
    order(&mut world, &Order::recheck().group("staff"));
    let closed = |world: &World| world.hub.tally().closes[Close::Recheck.index()];
    for tenth in 1..=40 {
        // Said again, it is not done again.
        order(&mut world, &Order::recheck().group("staff"));
        world.advance(ms(100));
        let due = tenth * 5;
        assert!(
            (due..=due + 2).contains(&closed(&world)) || due == 200,
            "{} of {due}",
            closed(&world)
        );
    }
    assert_eq!(closed(&world), 200);
    assert!(world.clients[john].is_open());
    assert_eq!(closes(&world)[0], RECHECK);
    joined(&mut world, &of("", "staff", ""));
    world.advance(ms(1_000));
    assert_eq!(closed(&world), 200);
}

#[test]
fn many_orders_that_mean_a_few_each_have_one_pace_together() {
    let mut world = World::new(|config| {
        unsigned(config);
        config.limits.drain_per_second = 50;
    });
    for user in 0..100 {
        joined(&mut world, &of(&user.to_string(), "", ""));
    }
    for user in 0..100 {
        order(&mut world, &Order::recheck().user(user.to_string()));
        world.advance(ms(1));
    }
    let closed = world.hub.tally().closes[Close::Recheck.index()];
    assert!(closed <= 8, "{closed} in a tenth of a second");
    world.advance(ms(2_000));
    assert_eq!(world.hub.tally().sessions, 0);
}

#[test]
fn a_pace_that_a_reload_changes_is_that_of_the_rechecks_under_way() {
    let config = |per_second: u32| {
        move |config: &mut Config| {
            unsigned(config);
            config.limits.drain_per_second = per_second;
        }
    };
    let mut world = World::new(config(1));
    for _ in 0..100 {
        joined(&mut world, &of("", "staff", ""));
    }
    order(&mut world, &Order::recheck().group("staff"));
    world.advance(ms(1_000));
    assert!(world.hub.tally().sessions >= 98);
    let mut faster = Config::default();
    config(100)(&mut faster);
    world.hub.reload(world.now, Ok(faster));
    world.advance(ms(500));
    let left = world.hub.tally().sessions;
    assert!((45..=50).contains(&left), "{left}");
    world.advance(ms(600));
    assert_eq!(world.hub.tally().sessions, 0);
}

#[test]
fn a_drain_has_its_own_pace_whatever_is_to_be_rechecked() {
    let mut world = World::new(|config| {
        unsigned(config);
        config.control.recheck_after = 60;
        config.limits.drain_per_second = 50;
    });
    for _ in 0..200 {
        joined(&mut world, &of("", "staff", ""));
    }
    order(&mut world, &Order::recheck().group("staff"));
    world.hub.drain(world.now);
    order(&mut world, &Order::recheck().group("staff"));
    world.advance(ms(1_000));
    let left = world.hub.tally().sessions;
    assert!((145..=150).contains(&left), "{left}");
    // Whoever has no right to be there still goes at once.
    order(&mut world, &Order::disconnect().group("staff"));
    assert_eq!(world.hub.tally().sessions, 0);
}

#[test]
fn a_disconnect_does_not_wait_behind_a_recheck() {
    let mut world = World::new(|config| {
        unsigned(config);
        config.limits.drain_per_second = 1;
    });
    for _ in 0..10 {
        joined(&mut world, &of("", "staff", ""));
    }
    order(&mut world, &Order::recheck().group("staff"));
    order(&mut world, &Order::disconnect().group("staff"));
    assert!(
        closes(&world)
            .iter()
            .filter(|close| **close == REVOKED)
            .count()
            >= 9
    );
    world.advance(ms(20_000));
    assert_eq!(world.hub.tally().sessions, 0);
}

#[test]
fn a_session_comes_anew_after_its_time_a_tenth_more_or_less_each_at_its_own() {
    let mut world = World::new(|config| config.control.recheck_after = 3_600);
    for _ in 0..50 {
        joined(&mut world, &of("john", "", ""));
    }
    let closed = |world: &World| world.hub.tally().closes[Close::Recheck.index()];
    world.advance(Duration::from_secs(3_200));
    assert_eq!(closed(&world), 0);
    world.advance(Duration::from_secs(400));
    let middle = closed(&world);
    assert!((10..=40).contains(&middle), "{middle} at the middle");
    world.advance(Duration::from_secs(400));
    assert_eq!(closed(&world), 50);
    assert!(closes(&world).iter().all(|close| *close == RECHECK));
    // It needs no channel.
    assert_eq!(world.redis.count("SUBSCRIBE ws4redis:control"), 0);
}

#[test]
fn nobody_is_sent_away_for_its_age_who_could_not_come_back() {
    let mut world = World::new(|config| config.control.recheck_after = 60);
    for _ in 0..50 {
        joined(&mut world, &of("john", "", ""));
    }
    world.redis.mood.refuses = true;
    world.cut();
    world.advance(Duration::from_secs(600));
    assert_eq!(world.hub.tally().sessions, 50);
    world.redis.mood.refuses = false;
    world.advance(Duration::from_secs(5));
    let closed = world.hub.tally().closes[Close::Recheck.index()];
    assert_eq!(closed, 50);
}

#[test]
fn nobody_hears_or_speaks_on_the_gateways_own_channels_whoever_names_them() {
    let body = r#"{"subscribe": ["site:ws4redis:control", "site:ws4redis:probe:0000000000000000", "site:news"],
                   "publish": ["site:ws4redis:control", "site:inbox"]}"#;
    let mut world = World::new(|config| {
        config.prefix = "site".to_owned();
        config.identity = vec![Source::Callback];
        config.callback.url = "http://app/may".parse().ok();
    });
    world.application.answer = answer("200 OK", body);
    let ann = world.ask(HERE, &Request::to("/ws/f"));
    world.run();
    world.clients[ann].say("hello");
    world.run();
    let heard: Vec<String> = world.redis.heard().into_iter().collect();
    assert_eq!(heard, ["site:news"]);
    let spoken = world.redis.published.iter();
    let spoken = spoken.filter(|one| one.payload == b"hello");
    let spoken: Vec<&str> = spoken.map(|one| one.channel.as_str()).collect();
    assert_eq!(spoken, ["site:inbox"]);
    assert_eq!(world.redis.get("site:ws4redis:control"), None);
    // Who comes again and again does not fill the log with it.
    world.ask(HERE, &Request::to("/ws/f"));
    world.run();
    let reserved = Report::ReservedChannels {
        from: HERE,
        count: 3,
    };
    let told = world.reports.iter().filter(|report| **report == reserved);
    assert_eq!(told.count(), 1);
}

#[test]
fn a_secret_that_can_be_guessed_is_told_before_anybody_comes() {
    let mut config = Config::default();
    config.control.secret = Some(KeyMaterial {
        path: None,
        text: Secret::new("short".to_owned()),
    });
    let error = Access::new(&config).unwrap_err().to_string();
    assert!(
        error.contains("[control]") && error.contains("5 bytes"),
        "{error}"
    );
}
