//! The link to Redis: how it is made, how its death is noticed, and what clients see of an outage.

use ws4redis::config::Secret;
use ws4redis::report::{LinkReport, Report};

use crate::world::redis::Mood;
use crate::world::{Who, World, ms};

const TARGET: &str = "/ws/f?subscribe-broadcast";
const CHANNEL: &str = "broadcast:f";

/// Why the link is down, each time that it was told.
fn reasons(world: &World) -> Vec<&str> {
    let links = world.reports.iter().filter_map(|report| match report {
        Report::Link(LinkReport::Down { why, .. }) => Some(why.as_str()),
        _ => None,
    });
    links.collect()
}

#[test]
fn a_redis_that_stalls_is_dead_within_two_seconds_whenever_it_does() {
    for after in (0..2_000).step_by(50) {
        let mut world = World::new(|_| {});
        let ann = world.join(TARGET);
        world.advance(ms(after));
        world.redis.mood.stalls = true;
        let stalled = world.now;
        while world.hub.ready().is_ok() {
            world.advance(ms(10));
            assert!(world.now.since(stalled) <= ms(2_010), "stalled at {after}");
        }
        assert_eq!(reasons(&world).len(), 1);
        assert_eq!(world.ending(ann), None);
        world.redis.mood.stalls = false;
        world.advance(ms(4_000));
        assert_eq!(world.hub.ready(), Ok(()));
    }
}

#[test]
fn a_redis_that_is_slow_for_less_than_a_second_is_forgiven() {
    let mut world = World::new(|_| {});
    for _ in 0..10 {
        world.redis.mood.stalls = true;
        world.advance(ms(990));
        world.redis.mood.stalls = false;
        world.advance(ms(1_700));
    }
    assert!(reasons(&world).is_empty());
    assert_eq!(world.redis.connects, 1);
}

#[test]
fn the_delay_through_redis_is_measured() {
    let mut world = World::new(|_| {});
    assert!(world.hub.tally().link.canary_delay.is_some());
    // The next probe goes out one second after the last.
    world.advance(ms(999));
    world.redis.mood.stalls = true;
    world.advance(ms(101));
    world.redis.mood.stalls = false;
    world.run();
    assert_eq!(world.hub.tally().link.canary_delay, Some(ms(100)));
}

#[test]
fn the_gateway_is_ready_only_when_a_message_went_through_redis_and_back() {
    let mut world = World::cold(|_| {});
    assert!(world.hub.ready().is_err());
    world.redis.mood.refuses = true;
    world.advance(ms(5_000));
    assert!(world.hub.ready().is_err());
    world.redis.mood.refuses = false;
    // Greeted, but no message comes back.
    world.advance(ms(1_000));
    while world.redis.count("SUBSCRIBE") == 0 {
        world.advance(ms(1));
    }
    world.advance(ms(5_000));
    assert_eq!(world.hub.ready(), Ok(()));
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let plain = Mood::default;
    let password = |mood: Mood, password: &str| Mood {
        password: Some(password.to_owned()),
        ..mood
    };
    let denied = Mood {
        denied: ["ws4redis:probe:".to_owned()].into(),
        ..plain()
    };
    for (mood, given, advice) in [
        (
            Mood {
                refuses: true,
                ..plain()
            },
            None,
            "refused",
        ),
        (
            Mood {
                is_missing: true,
                ..plain()
            },
            None,
            "is the address right?",
        ),
        (
            Mood {
                stalls: true,
                ..plain()
            },
            None,
            "is it stuck?",
        ),
        (
            Mood {
                old: true,
                ..plain()
            },
            None,
            "needs Redis 6 or newer",
        ),
        (password(plain(), "right"), None, "give a password"),
        (
            password(plain(), "right"),
            Some("wrong"),
            "check user and password",
        ),
        (plain(), Some("any"), "leave the password out"),
        (
            Mood {
                no_select: true,
                ..plain()
            },
            None,
            "name another database",
        ),
        (denied, None, "let the user have the channels"),
    ] {
        let mut world = World::cold(|config| {
            config.redis.password = given.map(|given| Secret::new(given.to_owned()));
            config.redis.db = 3;
        });
        world.redis.mood = mood;
        world.advance(ms(2_000));
        assert!(world.hub.ready().is_err());
        let reasons = reasons(&world);
        assert!(reasons[0].contains(advice), "{reasons:?}");
        assert!(!reasons[0].contains("wrong"), "no password is told");
    }
}

#[test]
fn the_right_password_lets_in() {
    let mut world = World::cold(|config| {
        config.redis.password = Some(Secret::new("secret".to_owned()));
    });
    world.redis.mood.password = Some("secret".to_owned());
    world.run();
    assert_eq!(world.hub.ready(), Ok(()));
    let version = "7.4.1".to_owned();
    let ready = LinkReport::Ready {
        version,
        channels: 0,
    };
    assert_eq!(world.reports, [Report::Link(ready)]);
}

#[test]
fn persisted_messages_are_those_of_the_configured_database() {
    let mut world = World::new(|config| config.redis.db = 3);
    world.redis.set(CHANNEL, "of another database");
    let ann = world.join("/ws/f?subscribe-broadcast&publish-broadcast");
    assert!(world.messages(ann).is_empty());
    world.clients[ann].say("hello");
    world.run();
    assert_eq!(world.redis.get_in(3, CHANNEL).as_deref(), Some("hello"));
    let bob = world.join(TARGET);
    assert_eq!(world.messages(bob), ["hello"]);
}

#[test]
fn nothing_is_said_to_the_wrong_database() {
    let mut world = World::new(|config| config.redis.db = 3);
    let ann = world.join("/ws/f?subscribe-broadcast&publish-broadcast");
    world.redis.mood.no_select = true;
    world.cut();
    world.clients[ann].say("hello");
    // Byte by byte: the answer to SELECT comes long after that to HELLO.
    world.pace = crate::world::Pace::Single;
    world.advance(ms(2_000));
    assert_eq!(world.redis.get(CHANNEL), None);
    assert!(
        world
            .redis
            .published
            .iter()
            .all(|one| one.channel != CHANNEL)
    );
    world.pace = crate::world::Pace::Whole;
    world.redis.mood.no_select = false;
    world.advance(ms(3_000));
    assert_eq!(world.redis.get_in(3, CHANNEL).as_deref(), Some("hello"));
}

#[test]
fn tries_become_rare_and_a_redis_that_is_back_is_noticed_within_two_seconds() {
    let mut world = World::new(|_| {});
    world.redis.mood.refuses = true;
    world.cut();
    let before = world.redis.connects;
    world.advance(ms(60_000));
    let tries = world.redis.connects - before;
    assert!((30..70).contains(&tries), "{tries}");
    world.redis.mood.refuses = false;
    world.advance(ms(2_000));
    assert_eq!(world.hub.ready(), Ok(()));
    // It stood: the next loss is mended at once.
    world.advance(ms(2_000));
    world.cut();
    world.advance(ms(50));
    assert_eq!(world.hub.ready(), Ok(()));
}

#[test]
fn a_redis_that_greets_and_fails_is_not_tried_many_times_a_second() {
    let mut world = World::new(|_| {});
    let before = world.redis.connects;
    for _ in 0..10_000 {
        world.advance(ms(1));
        if world.hub.ready().is_ok() {
            world.cut();
        }
    }
    let tries = world.redis.connects - before;
    assert!(tries < 20, "{tries}");
}

#[test]
fn a_long_outage_is_told_now_and_then_and_a_new_reason_at_once() {
    let mut world = World::new(|_| {});
    world.redis.mood.refuses = true;
    world.cut();
    world.advance(ms(59_000));
    let told = reasons(&world).len();
    assert!((2..=4).contains(&told), "{told}");
    world.redis.mood.refuses = false;
    world.redis.mood.old = true;
    world.advance(ms(2_000));
    assert_eq!(reasons(&world).len(), told + 1);
}

#[test]
fn who_waits_for_its_101_when_the_link_breaks_is_told_to_come_back() {
    let mut world = World::new(|_| {});
    world.redis.mood.stalls = true;
    let ann = world.connect(TARGET);
    world.run();
    world.redis.mood.stalls = false;
    world.cut();
    world.run();
    assert_eq!(world.clients[ann].status(), Some(503));
    world.advance(ms(1_000));
    assert!(world.redis.heard().is_empty());
}

#[test]
fn after_an_outage_each_client_gets_what_it_missed_and_only_that() {
    let mut world = World::new(|_| {});
    world.redis.set("broadcast:same", "same");
    world.redis.set("broadcast:changed", "before");
    let [same, changed, heard, nothing] = ["same", "changed", "heard", "nothing"]
        .map(|facility| world.join(&format!("/ws/{facility}?subscribe-broadcast")));
    world.redis.publish_persistent("broadcast:heard", "live");
    world.run();
    world.cut();
    world
        .redis
        .publish_persistent("broadcast:changed", "missed");
    world.redis.publish_persistent("broadcast:changed", "after");
    world.advance(ms(2_000));
    assert_eq!(world.messages(same), ["same"]);
    assert_eq!(world.messages(changed), ["before", "after"]);
    assert_eq!(world.messages(heard), ["live"]);
    assert!(world.messages(nothing).is_empty());
    world.redis.publish("broadcast:changed", "live");
    world.run();
    assert_eq!(world.messages(changed), ["before", "after", "live"]);
}

#[test]
fn many_who_joined_together_and_have_all_get_nothing_twice_after_an_outage() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "state");
    let clients: Vec<Who> = (0..20).map(|_| world.connect(TARGET)).collect();
    world.advance(ms(1_000));
    world.cut();
    world.advance(ms(2_000));
    for who in clients {
        assert_eq!(world.messages(who), ["state"]);
    }
}

#[test]
fn a_redis_that_comes_back_empty_sends_nothing_stale() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "state");
    let ann = world.join(TARGET);
    world.redis.forget();
    world.cut();
    world.advance(ms(3_000));
    let bob = world.join(TARGET);
    assert_eq!(world.messages(ann), ["state"]);
    assert!(world.messages(bob).is_empty());
}

#[test]
fn a_redis_that_still_loads_its_data_is_not_taken_for_an_empty_one() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "1");
    let ann = world.join(TARGET);
    world.redis.set(CHANNEL, "2");
    world.redis.mood.loads = true;
    world.cut();
    let before = world.redis.connects;
    world.advance(ms(10_000));
    assert!(world.redis.connects - before < 20);
    let bob = world.connect(TARGET);
    world.run();
    assert_eq!(world.clients[bob].status(), Some(503));
    world.redis.mood.loads = false;
    world.advance(ms(3_000));
    assert_eq!(world.messages(ann), ["1", "2"]);
}

#[test]
fn a_message_that_was_published_in_the_outage_and_persisted_after_it_is_waited_for() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.advance(ms(5_000));
    world.cut();
    world.redis.publish_then_persist(CHANNEL, "late", ms(240));
    world.advance(ms(100));
    assert_eq!(world.hub.ready(), Ok(()));
    assert!(world.messages(ann).is_empty());
    world.advance(ms(1_000));
    assert_eq!(world.messages(ann), ["late"]);
}

#[test]
fn what_was_heard_before_the_outage_and_persisted_after_it_is_not_gone_back_behind() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "1");
    let ann = world.join(TARGET);
    world.redis.publish_then_persist(CHANNEL, "2", ms(200));
    world.run();
    world.cut();
    world.advance(ms(100));
    // It is back, and the key still holds the older one.
    assert_eq!(world.hub.ready(), Ok(()));
    world.advance(ms(2_000));
    assert_eq!(world.messages(ann), ["1", "2"]);
}

#[test]
fn a_live_message_after_the_outage_beats_what_is_read_then() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.redis.mood.stalls = true;
    world.cut();
    world.redis.set(CHANNEL, "missed");
    world.redis.mood.stalls = false;
    while world.redis.heard().is_empty() {
        world.now += ms(1);
        world.turn();
    }
    world.redis.publish(CHANNEL, "live");
    world.advance(ms(2_000));
    let messages = world.messages(ann);
    assert_eq!(messages.last().map(String::as_str), Some("live"));
}

#[test]
fn who_joins_while_the_others_catch_up_gets_the_persisted_message_once() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.redis.set(CHANNEL, "missed");
    world.cut();
    while world.redis.count("SUBSCRIBE broadcast:f") < 2 {
        world.now += ms(1);
        world.redis.mood.stalls = false;
        world.turn();
        world.redis.mood.stalls = world.redis.connects == 2 && world.redis.count("HELLO") == 2;
        if world.redis.mood.stalls && world.redis.count("CLIENT") == 2 {
            break;
        }
    }
    world.redis.mood.stalls = false;
    let bob = world.connect(TARGET);
    world.advance(ms(2_000));
    assert_eq!(world.messages(ann), ["missed"]);
    assert_eq!(world.messages(bob), ["missed"]);
}

#[test]
fn channels_are_asked_for_in_batches_and_none_is_forgotten() {
    let mut world = World::new(|config| {
        config.limits.pending_max = 1_000;
        config.limits.sessions_max = 1_000;
    });
    let clients: Vec<Who> = (0..700)
        .map(|n| world.connect(&format!("/ws/{n}?subscribe-broadcast")))
        .collect();
    world.run();
    let before = world.redis.count("SUBSCRIBE");
    world.cut();
    for n in 0..700 {
        world
            .redis
            .publish_persistent(&format!("broadcast:{n}"), "missed");
    }
    world.advance(ms(100));
    assert_eq!(world.redis.heard().len(), 700);
    // The probe, and three batches.
    assert_eq!(world.redis.count("SUBSCRIBE"), before + 4);
    for n in 0..700 {
        world.redis.publish(&format!("broadcast:{n}"), "live");
    }
    world.advance(ms(1_000));
    for who in clients {
        assert_eq!(world.messages(who), ["missed", "live"]);
    }
}

#[test]
fn who_leaves_during_the_outage_is_not_subscribed_for_afterwards() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let bob = world.join("/ws/g?subscribe-broadcast");
    world.redis.mood.refuses = true;
    world.cut();
    world.advance(ms(100));
    world.clients[ann].reset();
    world.run();
    world.redis.mood.refuses = false;
    world.advance(ms(2_000));
    let heard: Vec<String> = world.redis.heard().into_iter().collect();
    assert_eq!(heard, ["broadcast:g"]);
    assert_eq!(world.ending(bob), None);
}
