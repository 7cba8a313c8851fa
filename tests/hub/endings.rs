//! The ways in which a session ends.

use ws4redis::Order;
use ws4redis::close::Close;

use crate::frames::{FINAL, TEXT, close, frame, unmasked};
use crate::world::client::Request;
use crate::world::{HERE, Who, World, ms};

use super::identity::{brief, with_tokens};

/// Somebody whose session ended for this reason, and who read all that there was to read.
fn ended_for(ending: Close) -> (World, Who) {
    let mut world = World::new(|config| {
        config.limits.queue_bytes_max = 1_000;
        config.limits.publish_queue_max = 2;
        if ending == Close::Expired {
            with_tokens(config);
        }
        config.control.unsigned = true;
    });
    let ann = match ending {
        Close::Expired => world.ask(HERE, &brief()),
        _ => {
            let request = Request::to("/ws/f?subscribe-broadcast&publish-broadcast");
            world.ask(HERE, &request.cookie("sessionid=k"))
        }
    };
    world.run();
    let client = &mut world.clients[ann];
    match ending {
        Close::Client(code) => client.say_close(code),
        Close::Gone => client.reset(),
        Close::Protocol => client.send(&unmasked(FINAL | TEXT, b"bare")),
        Close::NotUtf8 => client.send(&frame(FINAL | TEXT, b"\xff")),
        Close::TooFast => (0..1_001).for_each(|_| client.say("")),
        Close::TooBig => client.say(&"x".repeat((64 << 10) + 1)),
        Close::Slow => {
            client.reads = false;
            client.room = 100;
            for _ in 0..12 {
                world.redis.publish("broadcast:f", "x".repeat(90));
            }
        }
        Close::Idle => {
            client.pongs = false;
            world.advance(ms(40_000));
        }
        Close::PublishQueueFull => {
            (0..3).for_each(|_| client.say("x"));
            world.redis.mood.refuses = true;
            world.cut();
        }
        Close::PublishRefused => {
            client.say("x");
            world.redis.mood.readonly = Some("OOM command not allowed".to_owned());
        }
        Close::SubscribeRefused => {
            world.redis.mood.denied.insert("broadcast:f".to_owned());
            world.cut();
        }
        Close::Expired => world.advance(ms(60_000)),
        Close::Revoked => {
            let order = Order::disconnect().session("k");
            world.redis.publish("ws4redis:control", order.to_json());
        }
        Close::Recheck => {
            let order = Order::recheck().session("k");
            world.redis.publish("ws4redis:control", order.to_json());
        }
        Close::Drain => world.hub.drain(world.now),
    }
    world.run();
    world.clients[ann].reads = true;
    world.advance(ms(100));
    (world, ann)
}

#[test]
fn every_ending_is_reached_and_carries_its_code_and_its_word() {
    for ending in Close::ALL.into_iter().chain([Close::Client(Some(4_000))]) {
        let (world, ann) = ended_for(ending);
        assert_eq!(world.ending(ann), Some(ending));
        let told = match ending {
            Close::Gone => None,
            Close::Client(code) => Some((code, "")),
            _ => Some((ending.code(), ending.word())),
        };
        assert_eq!(world.clients[ann].close(), told, "{ending:?}");
        assert!(world.clients[ann].is_dropped, "{ending:?}");
        let tally = world.hub.tally();
        assert_eq!(tally.closes[ending.index()], 1, "{ending:?}");
        assert_eq!(tally.closes.iter().sum::<u64>(), 1, "{ending:?}");
        assert_eq!((tally.sessions, tally.clients, tally.channels), (0, 0, 0));
    }
}

#[test]
fn after_goodbye_nothing_more_is_sent_or_heard() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?subscribe-broadcast&publish-broadcast&echo");
    world.clients[ann].reads = false;
    world.clients[ann].is_polite = false;
    world.clients[ann].say("before");
    world.clients[ann].send(&close(1000, b""));
    world.clients[ann].say("after");
    world.run();
    world.clients[ann].say("later");
    world.redis.publish("broadcast:f", "live");
    world.run();
    world.clients[ann].reads = true;
    world.run();
    assert_eq!(world.redis.count("PUBLISH broadcast:f before"), 1);
    assert_eq!(world.redis.count("PUBLISH broadcast:f"), 1);
    assert_eq!(world.clients[ann].close(), Some((Some(1000), "")));
    assert!(world.messages(ann).is_empty());
    assert_eq!(world.hub.tally().published, 1);
}

#[test]
fn who_does_not_hang_up_is_dropped_after_a_while() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f");
    world.clients[ann].is_polite = false;
    world.clients[ann].say_close(Some(1000));
    world.advance(ms(4_999));
    assert!(world.clients[ann].is_ended);
    assert!(!world.clients[ann].is_dropped);
    assert_eq!(
        (world.hub.tally().sessions, world.hub.tally().clients),
        (0, 1)
    );
    world.advance(ms(1));
    assert!(world.clients[ann].is_dropped);
    assert_eq!(world.hub.tally().clients, 0);
}

#[test]
fn a_connection_that_ends_without_goodbye_is_gone_at_once() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?subscribe-broadcast");
    world.clients[ann].leaving = Some(ws4redis::hub::Lost::Ended);
    world.run();
    assert_eq!(world.ending(ann), Some(Close::Gone));
    assert!(world.clients[ann].is_dropped);
    assert_eq!(world.clients[ann].close(), None);
    assert!(world.redis.heard().is_empty());
}
