//! What clients say goes to Redis: in which commands, in which order, how often, and what becomes of it in an outage.

use ws4redis::close::Close;
use ws4redis::report::Report;

use crate::frames::{BINARY, CONTINUATION, FINAL, TEXT, frame};
use crate::world::client::Request;
use crate::world::{HERE, World, ms};

const TARGET: &str = "/ws/f?publish-broadcast";

/// Everything that was published on a channel.
fn published(world: &World, channel: &str) -> Vec<String> {
    let published = world.redis.published.iter();
    published
        .filter(|published| published.channel == channel)
        .map(|published| String::from_utf8_lossy(&published.payload).into_owned())
        .collect()
}

#[test]
fn a_message_is_persisted_and_published_in_one_transaction() {
    for pushes_first in [false, true] {
        let mut world = World::new(|config| config.expire = 77);
        world.redis.mood.pushes_first = pushes_first;
        let ann = world.join("/ws/f?publish-broadcast&subscribe-broadcast&echo");
        let before = world.redis.commands.len();
        world.clients[ann].say("hello");
        world.run();
        let commands = &world.redis.commands[before..];
        let expected = [
            "MULTI",
            "SETEX broadcast:f 77 hello",
            "PUBLISH broadcast:f hello",
            "EXEC",
        ];
        assert_eq!(commands, expected);
        assert_eq!(world.redis.ttl("broadcast:f"), Some(77));
        assert_eq!(world.messages(ann), ["hello"]);
        assert_eq!(world.hub.tally().published, 1);
        assert_eq!(world.hub.tally().publish_queue, 0);
    }
}

#[test]
fn where_nothing_is_to_be_persisted_there_is_only_publish() {
    let mut world = World::new(|config| config.expire = 0);
    let ann = world.join(TARGET);
    let before = world.redis.commands.len();
    world.clients[ann].say("hello");
    world.run();
    assert_eq!(
        world.redis.commands[before..],
        ["PUBLISH broadcast:f hello"]
    );
    assert_eq!(world.redis.get("broadcast:f"), None);
}

#[test]
fn a_message_goes_to_each_of_its_channels_once() {
    let mut world = World::new(|config| config.prefix = "p".to_owned());
    let request = Request::to("/ws/f?publish-broadcast&publish-group&publish-session&publish-user")
        .with("X-Ws4redis-Groups", "a,b,a")
        .cookie("sessionid=k");
    let ann = world.ask(ws4redis::peer::From::Unix, &request);
    world.run();
    world.clients[ann].say("hello");
    world.run();
    let mut channels: Vec<_> = world
        .redis
        .published
        .iter()
        .map(|one| &*one.channel)
        .collect();
    channels.retain(|channel| !channel.contains("probe"));
    channels.sort_unstable();
    let expected = [
        "p:broadcast:f",
        "p:group:a:f",
        "p:group:b:f",
        "p:session:k:f",
    ];
    assert_eq!(channels, expected);
}

#[test]
fn nothing_is_published_that_is_empty_or_the_heartbeat_or_of_a_client_without_such_a_flag() {
    let mut world = World::new(|config| config.heartbeat = Some("--beat--".to_owned()));
    let ann = world.join(TARGET);
    let bob = world.join("/ws/f?subscribe-broadcast");
    world.clients[ann].say("");
    world.clients[ann].say_binary(b"");
    world.clients[ann].say("--beat--");
    world.clients[ann].say_binary(b"--beat--");
    world.clients[bob].say("hello");
    world.run();
    assert!(published(&world, "broadcast:f").is_empty());
    assert!(world.clients[ann].is_open() && world.clients[bob].is_open());
    world.clients[ann].say("--beat--!");
    world.run();
    assert_eq!(published(&world, "broadcast:f"), ["--beat--!"]);
}

#[test]
fn binary_messages_and_fragments_are_published_as_they_are() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.clients[ann].say_binary(b"\xff\r\n\x00");
    world.clients[ann].send(&frame(TEXT, "gr\u{fc}".as_bytes()));
    world.clients[ann].send(&frame(CONTINUATION, b""));
    world.clients[ann].send(&frame(FINAL | CONTINUATION, b"n"));
    world.clients[ann].send(&frame(BINARY, b"a"));
    world.clients[ann].send(&frame(FINAL | CONTINUATION, b"b"));
    world.run();
    let published = world.redis.published.iter();
    let payloads: Vec<_> = published
        .filter(|one| one.channel == "broadcast:f")
        .map(|one| one.payload.as_slice())
        .collect();
    assert_eq!(payloads, [b"\xff\r\n\x00", "grün".as_bytes(), b"ab"]);
}

#[test]
fn the_messages_of_one_client_are_published_in_its_order() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let said: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    for text in &said {
        world.clients[ann].say(text);
    }
    world.run();
    assert_eq!(published(&world, "broadcast:f"), said);
}

#[test]
fn who_sends_what_redis_refuses_is_told_and_the_others_are_not() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let bob = world.join("/ws/g?publish-broadcast");
    world.redis.mood.denied.insert("broadcast:f".to_owned());
    world.clients[ann].say("no");
    world.clients[bob].say("yes");
    world.clients[ann].say("no");
    world.run();
    assert_eq!(world.ending(ann), Some(Close::PublishRefused));
    assert_eq!(world.ending(bob), None);
    assert_eq!(published(&world, "broadcast:g"), ["yes"]);
    assert!(published(&world, "broadcast:f").is_empty());
    assert_eq!(world.hub.tally().publishes_failed, 2);
    let told = world.reports.iter().filter_map(|report| match report {
        Report::PublishRefused { error } => Some(error.as_str()),
        _ => None,
    });
    let told: Vec<&str> = told.collect();
    assert!(
        matches!(told[..], [error] if error.starts_with("NOPERM")),
        "the reason and not EXECABORT, and once: {told:?}"
    );
}

#[test]
fn a_redis_without_memory_refuses_what_would_be_persisted() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    world.redis.mood.readonly = Some(oom.to_owned());
    world.clients[ann].say("x");
    world.run();
    assert_eq!(world.ending(ann), Some(Close::PublishRefused));
    let error = oom.to_owned();
    assert!(world.reports.contains(&Report::PublishRefused { error }));
}

#[test]
fn a_replica_that_takes_no_writes_is_left_and_what_it_did_not_take_is_sent_again() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let readonly = "READONLY You can't write against a read only replica.";
    world.redis.mood.readonly = Some(readonly.to_owned());
    world.clients[ann].say("1");
    world.clients[ann].say("2");
    world.advance(ms(3_000));
    assert!(world.redis.connects > 1);
    // A replica greets and answers, and yet is none to be tried many times a second.
    assert!(world.redis.connects < 12, "{}", world.redis.connects);
    world.redis.mood.readonly = None;
    world.advance(ms(3_000));
    assert_eq!(published(&world, "broadcast:f"), ["1", "2"]);
    assert_eq!(world.ending(ann), None);
}

#[test]
fn what_redis_took_after_what_it_did_not_take_is_sent_again_after_that() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.redis.mood.stalls = true;
    world.clients[ann].say("1");
    world.clients[ann].say("2");
    world.run();
    // A replica becomes master between the two.
    world.redis.mood.readonly = Some("READONLY You can't write".to_owned());
    world.redis.mood.stalls = false;
    while world.redis.count("EXEC") == 0 && world.redis.work_once() {}
    world.redis.mood.readonly = None;
    world.advance(ms(1_000));
    assert_eq!(published(&world, "broadcast:f"), ["2", "1", "2"]);
    assert_eq!(world.redis.get("broadcast:f").as_deref(), Some("2"));
}

#[test]
fn what_is_said_during_an_outage_is_published_after_it_in_order() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.redis.mood.refuses = true;
    world.cut();
    for text in ["1", "2", "3"] {
        world.clients[ann].say(text);
        world.advance(ms(500));
    }
    assert_eq!(world.hub.tally().publish_queue, 3);
    world.redis.mood.refuses = false;
    world.advance(ms(3_000));
    assert_eq!(published(&world, "broadcast:f"), ["1", "2", "3"]);
    assert_eq!(world.hub.tally().publish_queue, 0);
    assert!(world.clients[ann].is_open());
}

#[test]
fn what_redis_did_not_answer_is_sent_again() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    world.redis.mood.stalls = true;
    world.clients[ann].say("1");
    world.clients[ann].say("2");
    world.run();
    world.cut();
    world.redis.mood.stalls = false;
    world.advance(ms(1_000));
    assert_eq!(published(&world, "broadcast:f"), ["1", "2"]);
    assert_eq!(world.hub.tally().published, 2);
}

#[test]
fn the_queue_of_an_outage_is_bounded_in_number_and_in_bytes() {
    for (count, bytes, text) in [(5, 1 << 20, 1), (1_000, 64 << 10, 20_000)] {
        let mut world = World::new(|config| {
            config.limits.publish_queue_max = count;
            config.limits.publish_queue_bytes_max = bytes;
        });
        let ann = world.join(TARGET);
        let bob = world.join(TARGET);
        world.redis.mood.refuses = true;
        world.cut();
        let text = "x".repeat(text);
        let fits = count.min(bytes / text.len());
        for _ in 0..fits {
            world.clients[ann].say(&text);
        }
        world.run();
        assert_eq!(world.hub.tally().publish_queue, fits as u64);
        world.clients[bob].say(&text);
        world.run();
        assert_eq!(world.ending(bob), Some(Close::PublishQueueFull));
        assert_eq!(world.ending(ann), None);
        world.redis.mood.refuses = false;
        world.advance(ms(3_000));
        assert_eq!(published(&world, "broadcast:f").len(), fits);
    }
}

#[test]
fn what_waited_too_long_is_dropped_and_its_client_is_told() {
    let mut world = World::new(|_| {});
    let ann = world.join(TARGET);
    let bob = world.join(TARGET);
    world.redis.mood.refuses = true;
    world.cut();
    world.clients[ann].say("old");
    world.advance(ms(5_000));
    world.clients[bob].say("new");
    world.advance(ms(4_999));
    assert_eq!(world.ending(ann), None);
    world.advance(ms(2));
    assert_eq!(world.ending(ann), Some(Close::PublishQueueFull));
    assert_eq!(world.ending(bob), None);
    assert!(
        world
            .reports
            .contains(&Report::PublishesExpired { count: 1 })
    );
    world.redis.mood.refuses = false;
    world.advance(ms(2_500));
    assert_eq!(published(&world, "broadcast:f"), ["new"]);
}

#[test]
fn what_a_client_said_before_it_left_is_published_still() {
    let mut world = World::new(|_| {});
    let ann = world.ask(HERE, &Request::to(TARGET));
    world.clients[ann].say("last words");
    world.clients[ann].say_close(None);
    world.run();
    assert_eq!(world.ending(ann), Some(Close::Client(None)));
    assert_eq!(published(&world, "broadcast:f"), ["last words"]);
}
