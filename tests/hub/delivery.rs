//! Live messages: order, number, the echo rule, and what Redis may say that is none.

use ws4redis::report::{LinkReport, Report};

use crate::world::client::{Frame, Request};
use crate::world::{HERE, Pace, World, ms};

const TARGET: &str = "/ws/f?subscribe-broadcast&publish-broadcast";

#[test]
fn each_client_gets_all_its_channels_in_the_order_of_redis_each_message_once() {
    for seed in 0..20 {
        let mut world = World::new(|_| {});
        let both = Request::to("/ws/f?subscribe-broadcast&subscribe-session");
        let ann = world.ask(HERE, &both.cookie("sessionid=k"));
        let bob = world.join("/ws/f?subscribe-broadcast");
        world.pace = Pace::Chance(fastrand::Rng::with_seed(seed));
        let mut expected = Vec::new();
        for n in 0..50 {
            let channel = ["broadcast:f", "session:k:f"][n % 3 / 2];
            world.redis.publish(channel, format!("{channel} {n}"));
            expected.push(format!("{channel} {n}"));
            world.turn();
        }
        world.run();
        assert_eq!(world.messages(ann), expected);
        expected.retain(|message| message.starts_with("broadcast"));
        assert_eq!(world.messages(bob), expected);
    }
}

#[test]
fn a_message_reaches_every_member_and_nobody_else() {
    let mut world = World::new(|_| {});
    let members: Vec<_> = (0..50)
        .map(|_| world.join("/ws/f?subscribe-broadcast"))
        .collect();
    let others = [
        world.join("/ws/f/?subscribe-broadcast"),
        world.join("/ws/f?subscribe-group&publish-broadcast"),
    ];
    world.redis.publish("broadcast:f", "hello");
    world.run();
    for who in members {
        assert_eq!(world.messages(who), ["hello"]);
    }
    for who in others {
        assert!(world.messages(who).is_empty());
    }
    assert_eq!(world.hub.tally().deliveries, 50);
}

#[test]
fn what_is_utf_8_goes_out_as_text_and_anything_else_as_binary() {
    let mut world = World::new(|_| {});
    world.redis.set("broadcast:f", b"\xffsnapshot");
    let ann = world.join(TARGET);
    let long = "grün".repeat(20_000);
    world.redis.publish("broadcast:f", "grün");
    world.redis.publish("broadcast:f", b"gr\xfcn");
    world.redis.publish("broadcast:f", &long);
    world.run();
    let frames: Vec<_> = world.clients[ann]
        .heard
        .iter()
        .map(|heard| &heard.frame)
        .collect();
    let expected = [
        Frame::Binary(b"\xffsnapshot".to_vec()),
        Frame::Text("grün".to_owned()),
        Frame::Binary(b"gr\xfcn".to_vec()),
        Frame::Text(long),
    ];
    assert_eq!(frames, expected.iter().collect::<Vec<_>>());
}

#[test]
fn an_empty_message_is_relayed_to_nobody() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.redis.publish("broadcast:f", "");
    world.run();
    assert!(world.clients[ann].heard.is_empty());
}

#[test]
fn a_client_does_not_get_back_what_it_said_but_others_do() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let bob = world.join(TARGET);
    let carol = world.join("/ws/f?subscribe-broadcast&publish-broadcast&echo");
    world.clients[ann].say("hello");
    world.clients[carol].say("hi");
    world.run();
    assert_eq!(world.messages(ann), ["hi"]);
    assert_eq!(world.messages(bob), ["hello", "hi"]);
    assert_eq!(world.messages(carol), ["hello", "hi"]);
}

#[test]
fn the_echo_rule_compares_content_with_what_the_client_said_last_whoever_repeats_it() {
    let mut world = World::new(|config| config.heartbeat = Some("--beat--".to_owned()));
    let ann = world.join(TARGET);
    let said = |world: &World| {
        let messages = world.messages(ann).into_iter();
        messages
            .filter(|message| message != "--beat--")
            .collect::<Vec<_>>()
    };
    world.clients[ann].say("x");
    world.run();
    // What others say in between does not make her forget it, and neither does a heartbeat, or nothing.
    for message in ["x", "y", "x"] {
        world.redis.publish("broadcast:f", message);
    }
    world.clients[ann].say("--beat--");
    world.clients[ann].say("");
    world.run();
    world.redis.publish("broadcast:f", "x");
    world.run();
    assert_eq!(said(&world), ["y"]);
    world.clients[ann].say("z");
    world.run();
    for message in ["z", "x"] {
        world.redis.publish("broadcast:f", message);
    }
    world.run();
    assert_eq!(said(&world), ["y", "x"]);
}

#[test]
fn the_echo_rule_holds_for_persisted_messages_after_an_outage_too() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let bob = world.join("/ws/f?subscribe-broadcast");
    world.redis.mood.stalls = true;
    world.clients[ann].say("x");
    world.run();
    // Redis has obeyed, and its answers are lost.
    world.redis.mood.stalls = false;
    world.redis.work();
    world.cut();
    world.advance(ms(1_000));
    assert!(world.messages(ann).is_empty());
    assert!(world.messages(bob).contains(&"x".to_owned()));
}

#[test]
fn a_message_over_the_limit_is_skipped_and_nothing_else_is() {
    let mut world = World::new(|config| config.limits.redis_message_bytes_max = 64 << 10);
    let ann = world.join(TARGET);
    world.redis.publish("broadcast:f", "before");
    world
        .redis
        .publish("broadcast:f", "x".repeat((64 << 10) + 1));
    world.redis.publish("broadcast:f", "after");
    world.run();
    assert_eq!(world.messages(ann), ["before", "after"]);
    assert_eq!(world.hub.tally().oversize, 1);
    let bytes = (64 << 10) + 1;
    assert!(world.reports.contains(&Report::Oversize { bytes }));
    assert_eq!(world.redis.connects, 1);
}

#[test]
fn what_is_no_resp_or_no_answer_replaces_the_link_and_nothing_else() {
    let endless = [b"+".as_slice(), &[b'x'; 100_000]].concat();
    for said in [
        b"*1\r\n".repeat(100).as_slice(),
        b"*1000000000\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$-7\r\n",
        b"+an answer to nothing\r\n",
        b">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n",
        &endless,
    ] {
        let mut world = World::new(|_| {});
        let ann = world.join(TARGET);
        world.redis.say(said);
        world.run();
        assert_eq!(world.hub.ready(), Err("no proven link to Redis"));
        let down = world.reports.iter();
        let down = down.filter(|report| matches!(report, Report::Link(LinkReport::Down { .. })));
        assert_eq!(down.count(), 1, "{:?}", String::from_utf8_lossy(said));
        world.advance(ms(100));
        assert_eq!(world.hub.ready(), Ok(()));
        world.redis.publish("broadcast:f", "still here");
        world.run();
        assert_eq!(world.messages(ann), ["still here"]);
    }
}

#[test]
fn pushes_that_concern_nobody_are_skipped() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world
        .redis
        .say(b">3\r\n$7\r\nmessage\r\n$5\r\nother\r\n$1\r\nx\r\n");
    world
        .redis
        .say(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
    world.redis.publish("broadcast:f", "hello");
    world.run();
    assert_eq!(world.messages(ann), ["hello"]);
    assert_eq!(world.redis.connects, 1);
}
