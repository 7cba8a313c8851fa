//! Going down.

use ws4redis::close::Close;
use ws4redis::peer::Door;
use ws4redis::report::Report;

use crate::world::{HERE, Who, World, ms};

fn crowd(count: usize, per_second: u32) -> (World, Vec<Who>) {
    let mut world = World::new(|config| {
        config.limits.drain_per_second = per_second;
        config.limits.pending_max = count.max(10);
        config.limits.sessions_max = count.max(10);
    });
    let clients = (0..count).map(|_| world.connect("/ws/f")).collect();
    world.run();
    (world, clients)
}

fn closed(world: &World) -> u64 {
    world.hub.tally().closes[Close::Drain.index()]
}

#[test]
fn clients_are_told_to_come_back_at_the_set_pace() {
    let (mut world, clients) = crowd(200, 50);
    world.hub.drain(world.now);
    assert!(
        world
            .reports
            .iter()
            .all(|report| !matches!(report, Report::Drained { .. }))
    );
    for tenth in 1..=40 {
        world.advance(ms(100));
        let due = tenth * 5;
        let closed = closed(&world);
        assert!(
            (due..=due + 2).contains(&closed) || due == 200,
            "{closed} of {due}"
        );
    }
    assert_eq!(closed(&world), 200);
    for who in clients {
        assert_eq!(world.clients[who].close(), Some((Some(1012), "drain")));
    }
    world.advance(ms(100));
    assert!(world.hub.is_drained());
    assert!(world.reports.contains(&Report::Draining { sessions: 200 }));
    assert!(world.reports.contains(&Report::Drained { left: 0 }));
}

#[test]
fn the_pace_rises_if_else_the_deadline_would_pass() {
    let (mut world, _) = crowd(1_000, 1);
    world.hub.drain(world.now);
    world.advance(ms(10_000));
    assert!((350..450).contains(&closed(&world)), "{}", closed(&world));
    world.advance(ms(16_000));
    assert!(world.hub.is_drained());
    assert!(world.reports.contains(&Report::Drained { left: 0 }));
}

#[test]
fn while_it_drains_nobody_new_is_let_in_and_it_is_not_ready() {
    let (mut world, _) = crowd(10, 1);
    world.hub.drain(world.now);
    assert_eq!(world.hub.ready(), Err("draining"));
    let ann = world.connect("/ws/f");
    world.run();
    assert_eq!(world.clients[ann].status(), Some(503));
    assert!(
        world.clients[ann]
            .answer
            .as_ref()
            .unwrap()
            .head
            .contains("Retry-After")
    );
}

#[test]
fn who_is_being_admitted_when_it_begins_is_let_in_and_then_told() {
    let (mut world, _) = crowd(1, 1_000);
    world.redis.mood.stalls = true;
    let ann = world.connect("/ws/f?subscribe-broadcast");
    world.run();
    world.hub.drain(world.now);
    world.advance(ms(100));
    assert!(!world.hub.is_drained());
    world.redis.mood.stalls = false;
    world.advance(ms(200));
    assert_eq!(world.clients[ann].status(), Some(101));
    assert_eq!(world.clients[ann].close(), Some((Some(1012), "drain")));
    assert!(world.hub.is_drained());
}

#[test]
fn whoever_is_left_at_the_deadline_is_dropped_whenever_the_clock_is_looked_at() {
    for late in [0, 1, 7, 19, 20, 33] {
        let mut world = World::new(|config| config.limits.close_timeout = ms(60_000));
        let clients: Vec<Who> = (0..3).map(|_| world.join("/ws/f")).collect();
        for who in &clients {
            world.clients[*who].is_polite = false;
            world.clients[*who].reads = false;
            world.clients[*who].room = 0;
        }
        // Close frames that nobody reads, and a wait for their answers that is longer than the whole drain.
        world.hub.drain(world.now);
        world.now += ms(late);
        world.advance(ms(29_999 - late));
        assert!(!world.hub.is_drained());
        world.advance(ms(1));
        assert!(world.hub.is_drained());
        assert_eq!(world.hub.tally().clients, 0);
    }
}

#[test]
fn at_the_deadline_the_rest_is_counted() {
    let mut world = World::new(|config| {
        config.limits.drain_timeout = ms(3_010);
        config.limits.close_timeout = ms(10_000);
        config.limits.drain_per_second = 1;
    });
    for _ in 0..10 {
        let who = world.join("/ws/f");
        world.clients[who].is_polite = false;
    }
    world.hub.drain(world.now);
    world.advance(ms(3_009));
    assert!(!world.hub.is_drained());
    world.advance(ms(1));
    assert!(world.hub.is_drained());
    assert_eq!(closed(&world), 10);
    let left = world.reports.iter().find_map(|report| match report {
        Report::Drained { left } => Some(*left),
        _ => None,
    });
    assert!(left.is_some_and(|left| left > 0));
}

#[test]
fn connections_that_say_nothing_do_not_hold_it_up() {
    let mut world = World::new(|_| {});
    let ann = world.knock(Door::Client, HERE);
    world.hub.drain(world.now);
    world.advance(ms(1_020));
    assert!(world.hub.is_drained());
    assert!(world.clients[ann].is_dropped);
}

#[test]
fn told_twice_it_stops_at_once() {
    let (mut world, clients) = crowd(10, 1);
    world.hub.stop(world.now);
    assert!(!world.hub.is_draining());
    world.hub.drain(world.now);
    world.hub.stop(world.now);
    world.run();
    assert!(world.hub.is_drained());
    for who in clients {
        assert_eq!(world.ending(who), Some(Close::Drain));
        assert!(world.clients[who].is_dropped);
    }
}

#[test]
fn with_nobody_there_it_is_over_at_once() {
    let mut world = World::new(|_| {});
    world.hub.drain(world.now);
    world.run();
    assert!(world.hub.is_drained());
}
