//! Subscriptions, persisted messages and the second look.

use ws4redis::close::Close;
use ws4redis::report::Report;

use crate::world::client::Request;
use crate::world::{HERE, World, ms};

const TARGET: &str = "/ws/f?subscribe-broadcast";
const CHANNEL: &str = "broadcast:f";
const GET: &str = "GET broadcast:f";

#[test]
fn a_message_published_after_the_101_arrives() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.redis.publish(CHANNEL, "hello");
    world.run();
    assert_eq!(world.messages(ann), ["hello"]);
}

#[test]
fn the_persisted_message_comes_with_the_101() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "state");
    let ann = world.join(TARGET);
    assert_eq!(world.messages(ann), ["state"]);
    world.advance(ms(2_000));
    assert_eq!(world.messages(ann), ["state"]);
    assert_eq!(world.hub.tally().snapshots, 1);
}

#[test]
fn each_channel_has_its_own_persisted_message() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "to all");
    world.redis.set("session:k:f", "to one");
    let request = Request::to("/ws/f?subscribe-session&subscribe-broadcast&subscribe-user");
    let ann = world.ask(HERE, &request.cookie("sessionid=k"));
    world.run();
    let mut messages = world.messages(ann);
    messages.sort();
    assert_eq!(messages, ["to all", "to one"]);
}

#[test]
fn a_live_message_beats_the_persisted_one_that_was_asked_for_before_it() {
    let mut world = World::new(|_| {});
    world.join(TARGET);
    world.redis.set(CHANNEL, "1");
    world.advance(ms(2_000));
    world.redis.mood.stalls = true;
    let bob = world.connect(TARGET);
    world.run();
    // Redis says the push, and then what the key holds: the same.
    world.redis.publish_persistent(CHANNEL, "2");
    world.redis.mood.stalls = false;
    world.advance(ms(1_000));
    assert_eq!(world.messages(bob), ["2"]);
}

#[test]
fn live_messages_wait_behind_the_101_and_the_snapshots_of_other_channels() {
    let mut world = World::new(|_| {});
    world.join(TARGET);
    world.redis.set("session:k:f", "state");
    world.redis.mood.stalls = true;
    let request = Request::to("/ws/f?subscribe-session&subscribe-broadcast");
    let bob = world.ask(HERE, &request.cookie("sessionid=k"));
    world.run();
    world.redis.publish(CHANNEL, "1");
    world.redis.publish(CHANNEL, "2");
    world.redis.mood.stalls = false;
    world.run();
    assert_eq!(world.messages(bob), ["state", "1", "2"]);
}

#[test]
fn a_publisher_that_persists_late_is_waited_for_where_the_channel_was_cold() {
    let mut world = World::new(|_| {});
    world.redis.publish_then_persist(CHANNEL, "1", ms(200));
    let ann = world.join(TARGET);
    assert!(world.messages(ann).is_empty());
    world.advance(ms(249));
    assert!(world.messages(ann).is_empty());
    world.advance(ms(1));
    assert_eq!(world.messages(ann), ["1"]);
    world.advance(ms(2_000));
    assert_eq!(world.messages(ann), ["1"]);
    assert_eq!(world.redis.count(GET), 2);
}

#[test]
fn a_publisher_that_persists_late_is_waited_for_where_the_channel_was_hot() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "0");
    let ann = world.join(TARGET);
    world.advance(ms(5_000));
    world.redis.publish_then_persist(CHANNEL, "1", ms(200));
    world.advance(ms(100));
    let bob = world.join(TARGET);
    assert_eq!(world.messages(bob), ["0"]);
    world.advance(ms(2_000));
    assert_eq!(world.messages(bob), ["0", "1"]);
    assert_eq!(world.messages(ann), ["0", "1"]);
}

#[test]
fn nobody_looks_twice_where_nothing_was_said_lately() {
    let mut world = World::new(|_| {});
    world.join(TARGET);
    world.redis.publish_persistent(CHANNEL, "1");
    world.advance(ms(5_000));
    let before = world.redis.count(GET);
    let bob = world.join(TARGET);
    world.advance(ms(5_000));
    assert_eq!(world.messages(bob), ["1"]);
    assert_eq!(world.redis.count(GET), before + 1);
}

#[test]
fn the_second_look_never_sends_what_is_older_than_a_live_message() {
    let mut world = World::new(|_| {});
    // Each publisher says PUBLISH, then SETEX; the first SETEX falls between the second's two commands.
    world.redis.publish_then_persist(CHANNEL, "1", ms(100));
    let ann = world.join(TARGET);
    world.advance(ms(150));
    world.redis.publish_then_persist(CHANNEL, "2", ms(200));
    world.advance(ms(5_000));
    assert_eq!(world.messages(ann), ["2"]);
}

#[test]
fn whether_a_second_look_is_due_is_judged_by_when_redis_was_asked() {
    let mut world = World::new(|_| {});
    world.join(TARGET);
    world.advance(ms(5_000));
    world.redis.publish_then_persist(CHANNEL, "1", ms(240));
    world.advance(ms(200));
    let bob = world.connect(TARGET);
    world.turn();
    // It was asked before the SETEX, and its answer comes when the channel is no longer hot.
    world.redis.mood.stalls = true;
    world.advance(ms(100));
    world.redis.mood.stalls = false;
    world.advance(ms(2_000));
    assert_eq!(world.messages(bob), ["1"]);
}

#[test]
fn ten_thousand_joins_within_a_second_cost_redis_a_handful_of_commands() {
    let mut world = World::new(|config| {
        config.limits.pending_max = 10_000;
        config.limits.sessions_max = 10_000;
    });
    world.redis.set(CHANNEL, "state");
    for _ in 0..100 {
        for _ in 0..100 {
            world.connect(TARGET);
        }
        world.advance(ms(9));
    }
    assert!(
        world
            .clients
            .iter()
            .all(|client| client.messages() == ["state"])
    );
    assert_eq!(world.redis.count("SUBSCRIBE broadcast:f"), 1);
    assert!(world.redis.count(GET) <= 3, "{}", world.redis.count(GET));
    world.advance(ms(300));
    assert!(world.redis.count(GET) <= 3, "{}", world.redis.count(GET));
    assert!(
        world
            .clients
            .iter()
            .all(|client| client.messages() == ["state"])
    );
}

#[test]
fn joins_that_come_while_redis_is_asked_share_the_answer() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "state");
    world.redis.mood.stalls = true;
    let clients: Vec<_> = (0..50).map(|_| world.connect(TARGET)).collect();
    world.run();
    world.redis.mood.stalls = false;
    world.run();
    assert_eq!(world.redis.count(GET), 1);
    for who in clients {
        assert_eq!(world.messages(who), ["state"]);
    }
}

#[test]
fn a_value_serves_those_who_join_within_a_second_and_no_longer() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "1");
    world.join(TARGET);
    world.advance(ms(3_000));
    let before = world.redis.count(GET);
    world.join(TARGET);
    world.advance(ms(999));
    world.join(TARGET);
    assert_eq!(world.redis.count(GET), before + 1);
    // Persisted by somebody who does not publish.
    world.redis.set(CHANNEL, "2");
    world.advance(ms(1));
    let bob = world.join(TARGET);
    assert_eq!(world.redis.count(GET), before + 2);
    assert_eq!(world.messages(bob), ["2"]);
}

#[test]
fn a_value_serves_nobody_after_a_second_even_if_the_clock_was_not_looked_at() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "1");
    world.join(TARGET);
    world.advance(ms(3_000));
    world.join(TARGET);
    world.redis.set(CHANNEL, "2");
    world.is_punctual = false;
    world.now += ms(1_000);
    let bob = world.join(TARGET);
    assert_eq!(world.messages(bob), ["2"]);
}

#[test]
fn a_value_serves_nobody_after_the_next_live_message() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "1");
    world.join(TARGET);
    world.redis.publish_persistent(CHANNEL, "2");
    world.run();
    let bob = world.join(TARGET);
    assert_eq!(world.messages(bob), ["2"]);
}

#[test]
fn a_key_that_holds_no_string_is_no_persisted_message() {
    let mut world = World::new(|_| {});
    world.redis.set_list(CHANNEL);
    let ann = world.join(TARGET);
    assert!(world.messages(ann).is_empty());
    world.redis.publish(CHANNEL, "live");
    world.run();
    assert_eq!(world.messages(ann), ["live"]);
}

#[test]
fn a_persisted_message_over_the_limit_or_empty_is_none() {
    let mut world = World::new(|config| config.limits.redis_message_bytes_max = 64 << 10);
    world.redis.set(CHANNEL, "x".repeat((64 << 10) + 1));
    world.redis.set("broadcast:g", "");
    let ann = world.join(TARGET);
    let bob = world.join("/ws/g?subscribe-broadcast");
    assert!(world.messages(ann).is_empty());
    assert!(world.messages(bob).is_empty());
}

#[test]
fn redis_is_told_of_the_first_member_and_of_the_last() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let bob = world.join(TARGET);
    assert_eq!(world.redis.count("SUBSCRIBE broadcast:f"), 1);
    world.clients[ann].reset();
    world.run();
    assert_eq!(world.redis.count("UNSUBSCRIBE broadcast:f"), 0);
    world.clients[bob].reset();
    world.run();
    assert_eq!(world.redis.count("UNSUBSCRIBE broadcast:f"), 1);
    assert!(world.redis.heard().is_empty());
    assert_eq!(world.hub.tally().channels, 0);
}

#[test]
fn a_channel_that_is_left_and_joined_in_one_turn_is_asked_for_anew() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.redis.mood.stalls = true;
    world.clients[ann].reset();
    world.run();
    let bob = world.connect(TARGET);
    world.run();
    // The first is heard on the old subscription, and would stand against the newer value of the key.
    world.redis.publish_persistent(CHANNEL, "1");
    world.redis.set(CHANNEL, "2");
    world.redis.mood.stalls = false;
    world.run();
    assert_eq!(world.messages(bob), ["2"]);
    world.redis.publish(CHANNEL, "3");
    world.run();
    assert_eq!(world.messages(bob), ["2", "3"]);
}

#[test]
fn one_channel_that_redis_denies_after_an_outage_costs_the_others_nothing() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let others: Vec<_> = (0..20)
        .map(|n| world.join(&format!("/ws/{n}?subscribe-broadcast")))
        .collect();
    world.redis.mood.denied.insert(CHANNEL.to_owned());
    world.cut();
    world.redis.publish_persistent("broadcast:7", "missed");
    world.advance(ms(1_000));
    assert_eq!(world.ending(ann), Some(Close::SubscribeRefused));
    for who in &others {
        assert!(world.clients[*who].is_open());
    }
    assert_eq!(world.messages(others[7]), ["missed"]);
    world.redis.publish("broadcast:3", "live");
    world.run();
    assert_eq!(world.messages(others[3]), ["live"]);
    let bob = world.connect(TARGET);
    world.run();
    assert_eq!(world.clients[bob].status(), Some(503));
}

#[test]
fn what_was_read_before_a_subscription_was_confirmed_is_read_again() {
    let mut world = World::new(|_| {});
    world.join(TARGET);
    let bob = world.join("/ws/g?subscribe-broadcast");
    world.advance(ms(2_000));
    world.redis.mood.denied.insert(CHANNEL.to_owned());
    world.cut();
    // One denied channel spoils the SUBSCRIBE for both; the GETs of the same batch are answered all the same.
    let before = world.redis.count("GET broadcast:g");
    while world.redis.count("GET broadcast:g") == before {
        world.now += ms(1);
        world.turn();
    }
    assert!(world.redis.heard().is_empty());
    world.redis.publish_persistent("broadcast:g", "unheard");
    world.advance(ms(2_000));
    assert_eq!(world.messages(bob), ["unheard"]);
}

#[test]
fn a_channel_that_redis_denies_refuses_its_clients_and_no_others() {
    let mut world = World::new(|_| {});
    world.redis.mood.denied.insert(CHANNEL.to_owned());
    let ann = world.connect(TARGET);
    let bob = world.connect("/ws/g?subscribe-broadcast");
    world.run();
    assert_eq!(world.clients[ann].status(), Some(503));
    assert!(world.clients[bob].is_open());
    let denials = world.reports.iter();
    let denials = denials.filter(|report| matches!(report, Report::SubscribeRefused { .. }));
    assert_eq!(denials.count(), 1);
    world.redis.mood.denied.clear();
    world.join(TARGET);
}

#[test]
fn who_cannot_be_told_what_is_persisted_does_not_join_and_who_is_there_stays() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "state");
    let ann = world.join(TARGET);
    world.advance(ms(2_000));
    // Rights are taken away under a subscription that stands.
    world.redis.mood.denied.insert(CHANNEL.to_owned());
    let bob = world.connect(TARGET);
    world.run();
    assert_eq!(world.clients[bob].status(), Some(503));
    let told = |report: &&Report| matches!(report, Report::ReadRefused { .. });
    assert_eq!(world.reports.iter().filter(told).count(), 1);
    world.redis.mood.denied.clear();
    world.redis.publish(CHANNEL, "live");
    world.run();
    assert_eq!(world.messages(ann), ["state", "live"]);
    world.advance(ms(2_000));
    let eve = world.join(TARGET);
    assert_eq!(world.messages(eve), ["state"]);
}

#[test]
fn what_cannot_be_read_after_an_outage_is_asked_for_again_until_it_can() {
    let mut world = World::new(|_| {});
    world.redis.set(CHANNEL, "before");
    let ann = world.join(TARGET);
    world.advance(ms(2_000));
    world.redis.mood.denied_keys = true;
    world.cut();
    world.redis.set(CHANNEL, "after");
    world.advance(ms(10_000));
    assert_eq!(world.messages(ann), ["before"]);
    let told = |report: &&Report| matches!(report, Report::ReadRefused { .. });
    assert_eq!(
        world.reports.iter().filter(told).count(),
        1,
        "not a line a second"
    );
    world.redis.mood.denied_keys = false;
    world.advance(ms(2_000));
    assert_eq!(world.messages(ann), ["before", "after"]);
}
