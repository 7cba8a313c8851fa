//! Slow, greedy and broken clients: what they cost themselves, and not the others.

use ws4redis::close::Close;
use ws4redis::report::Report;

use crate::frames::{BINARY, CONTINUATION, FINAL, PING, TEXT, frame, header};
use crate::world::{Who, World, ms};

const TARGET: &str = "/ws/f?subscribe-broadcast";

#[test]
fn a_slow_reader_is_closed_and_the_others_are_not() {
    let mut world = World::new(|config| config.limits.queue_bytes_max = 10_000);
    let ann = world.join(TARGET);
    let bob = world.join(TARGET);
    world.clients[ann].reads = false;
    world.clients[ann].room = 500;
    let messages: Vec<String> = (0..200).map(|n| format!("{n:0>100}")).collect();
    for message in &messages {
        world.redis.publish("broadcast:f", message);
        world.run();
    }
    assert_eq!(world.ending(ann), Some(Close::Slow));
    assert_eq!(world.messages(bob), messages);
    // She reads on after all: whole messages, from the first, and then why there are no more.
    world.clients[ann].reads = true;
    world.run();
    let read = world.messages(ann);
    assert!(!read.is_empty());
    assert_eq!(read, messages[..read.len()]);
    assert_eq!(world.clients[ann].close(), Some((Some(1013), "slow")));
}

#[test]
fn a_close_never_lands_inside_another_frame_wherever_that_was_cut() {
    for room in 1..300 {
        let mut world = World::new(|config| config.limits.queue_bytes_max = 300);
        let ann = world.join(TARGET);
        world.clients[ann].reads = false;
        world.clients[ann].room = room;
        for _ in 0..10 {
            world.redis.publish("broadcast:f", "x".repeat(100));
            world.run();
        }
        assert_eq!(world.ending(ann), Some(Close::Slow));
        // The client fails at half a frame.
        world.clients[ann].reads = true;
        world.run();
        assert_eq!(world.clients[ann].close(), Some((Some(1013), "slow")));
    }
}

#[test]
fn one_message_of_any_size_may_wait_alone() {
    let mut world = World::new(|config| config.limits.queue_bytes_max = 1_000);
    let ann = world.join(TARGET);
    world.clients[ann].room = 100;
    world.redis.publish("broadcast:f", "x".repeat(200_000));
    world.run();
    assert_eq!(world.messages(ann), ["x".repeat(200_000)]);
    assert_eq!(world.ending(ann), None);
}

#[test]
fn a_client_whose_101_cannot_be_sent_yet_gets_it_before_its_close() {
    let mut world = World::new(|config| config.limits.queue_bytes_max = 1_000);
    let ann = world.connect(TARGET);
    world.clients[ann].room = 0;
    world.run();
    for _ in 0..20 {
        world.redis.publish("broadcast:f", "x".repeat(100));
    }
    world.run();
    assert_eq!(world.ending(ann), Some(Close::Slow));
    world.clients[ann].room = 1_000;
    world.run();
    assert_eq!(world.clients[ann].status(), Some(101));
    assert_eq!(world.clients[ann].close(), Some((Some(1013), "slow")));
}

/// Ten clients that do not read, and ten that do, under a budget of 64 KiB.
fn halves(change: impl FnOnce(&mut ws4redis::Config)) -> (World, Vec<Who>, Vec<Who>) {
    let mut world = World::new(|config| {
        config.limits.budget_bytes_max = 64 << 10;
        config.limits.queue_bytes_max = 64 << 10;
        config.limits.message_bytes_max = 32 << 10;
        config.limits.redis_message_bytes_max = 64 << 10;
        change(config);
    });
    let slow: Vec<Who> = (0..10)
        .map(|n| world.join(&format!("{TARGET}&{n}")))
        .collect();
    let fast = (0..10).map(|_| world.join(TARGET)).collect();
    for who in &slow {
        world.clients[*who].reads = false;
        world.clients[*who].room = 0;
    }
    (world, slow, fast)
}

#[test]
fn when_the_budget_is_used_up_those_pay_who_use_it() {
    // Large messages fill it with frames, small ones with places in queues.
    for size in [1, 100, 5_000] {
        let (mut world, slow, fast) = halves(|_| {});
        let mut sent = 0;
        while world.hub.tally().closes[Close::Slow.index()] == 0 {
            // A burst comes in one read, so the fast ones have something waiting, too.
            for _ in 0..if size == 1 { 50 } else { 3 } {
                world.redis.publish("broadcast:f", "x".repeat(size));
                sent += 1;
            }
            world.run();
            assert!(world.hub.tally().queued_bytes <= 64 << 10);
            assert!(sent < 100_000);
        }
        assert!(
            slow.iter()
                .any(|who| world.ending(*who) == Some(Close::Slow))
        );
        for who in &fast {
            assert_eq!(world.ending(*who), None, "with messages of {size}");
            assert_eq!(world.messages(*who).len(), sent);
        }
        let closed = world.hub.tally().closes[Close::Slow.index()] as usize;
        let told: usize = world
            .reports
            .iter()
            .map(|report| match report {
                Report::BudgetReached { closed } => *closed,
                _ => 0,
            })
            .sum();
        assert_eq!(told, closed);
    }
}

#[test]
fn after_the_budget_was_reached_there_is_room_again() {
    let (mut world, slow, fast) = halves(|_| {});
    for _ in 0..2_000 {
        world.redis.publish("broadcast:f", "x".repeat(100));
        world.run();
    }
    assert!(
        slow.iter()
            .all(|who| world.ending(*who) == Some(Close::Slow))
    );
    assert!(fast.iter().all(|who| world.ending(*who).is_none()));
    let reached = world.reports.iter();
    let reached = reached.filter(|report| matches!(report, Report::BudgetReached { .. }));
    assert!(
        reached.count() <= 10,
        "it is reached by what is there, not by what was there"
    );
    let tally = world.hub.tally();
    assert!(tally.queued_bytes < 4_000, "{}", tally.queued_bytes);
}

#[test]
fn a_persisted_message_that_many_wait_for_counts_once() {
    let (mut world, _, fast) = halves(|_| {});
    world.redis.set("broadcast:g", "x".repeat(8_000));
    let joining: Vec<_> = (0..50)
        .map(|_| {
            let who = world.connect("/ws/g?subscribe-broadcast");
            world.clients[who].room = 150;
            world.clients[who].reads = false;
            who
        })
        .collect();
    world.run();
    world.redis.publish("broadcast:f", "hello");
    world.run();
    for who in joining.iter().chain(&fast) {
        assert_eq!(world.ending(*who), None);
    }
    for who in &joining {
        world.clients[*who].reads = true;
    }
    world.run();
    for who in joining {
        assert_eq!(world.messages(who), ["x".repeat(8_000)]);
    }
}

#[test]
fn half_messages_have_a_bound_together_and_cost_nobody_else_anything() {
    let (mut world, greedy, fast) = halves(|config| {
        config.limits.message_bytes_max = 4_000;
    });
    // Each fragment is allowed, and no message ever ends.
    for who in &greedy {
        world.clients[*who].send(&frame(BINARY, &[0; 3_000]));
    }
    world.run();
    for who in &fast {
        world.clients[*who].send(&frame(FINAL | PING, b""));
        world.clients[*who].say("short");
    }
    world.redis.publish("broadcast:f", "hello");
    world.run();
    let closed = greedy
        .iter()
        .filter(|who| world.ending(**who) == Some(Close::Slow))
        .count();
    assert!((1..9).contains(&closed), "{closed}");
    assert!(world.hub.tally().partial_bytes <= (64 << 10) / 4);
    for who in fast {
        assert_eq!(world.ending(who), None);
        assert_eq!(world.messages(who), ["hello"]);
    }
}

#[test]
fn a_thousand_messages_a_second_are_allowed_and_one_more_is_not() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?publish-broadcast");
    for _ in 0..3 {
        for _ in 0..1_000 {
            world.clients[ann].say("x");
        }
        world.advance(ms(1_000));
    }
    assert_eq!(world.ending(ann), None);
    for _ in 0..1_001 {
        world.clients[ann].say("x");
    }
    world.run();
    assert_eq!(world.ending(ann), Some(Close::TooFast));
    assert_eq!(world.clients[ann].close(), Some((Some(1008), "too_fast")));
    assert_eq!(world.hub.tally().published, 4_000);
}

#[test]
fn fifty_control_frames_a_second_are_allowed_and_one_more_is_not() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f");
    for frames in [50, 50, 51] {
        assert_eq!(world.ending(ann), None);
        for _ in 0..frames {
            world.clients[ann].send(&frame(FINAL | PING, b"p"));
        }
        world.advance(ms(1_000));
    }
    assert_eq!(world.ending(ann), Some(Close::TooFast));
}

#[test]
fn pings_of_a_client_that_does_not_read_are_bounded_as_everything_that_waits() {
    let mut world = World::new(|config| config.limits.queue_bytes_max = 1_000);
    let ann = world.join("/ws/f");
    world.clients[ann].reads = false;
    world.clients[ann].room = 0;
    for _ in 0..3 {
        for _ in 0..10 {
            world.clients[ann].send(&frame(FINAL | PING, &[b'p'; 100]));
        }
        world.advance(ms(1_000));
    }
    assert_eq!(world.ending(ann), Some(Close::Slow));
    assert!(world.hub.tally().queued_bytes < 2_000);
}

#[test]
fn a_message_of_the_largest_size_is_published_and_a_larger_one_is_refused_however_it_is_cut() {
    let max = 64 << 10;
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?publish-broadcast");
    world.clients[ann].say(&"x".repeat(max));
    world.clients[ann].send(&frame(TEXT, &vec![b'y'; max - 1]));
    world.clients[ann].send(&frame(FINAL | CONTINUATION, b"y"));
    world.run();
    assert_eq!(world.hub.tally().published, 2);
    assert_eq!(world.hub.tally().partial_bytes, 0);
    world.clients[ann].send(&frame(TEXT, &vec![b'z'; max]));
    world.clients[ann].send(&header(FINAL | CONTINUATION, 1));
    world.run();
    assert_eq!(world.ending(ann), Some(Close::TooBig));
    assert_eq!(world.clients[ann].close(), Some((Some(1009), "too_big")));
    assert_eq!(world.hub.tally().partial_bytes, 0);
}
