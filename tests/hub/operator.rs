//! What the operator is told on the admin listener.

use ws4redis::close::Close;
use ws4redis::limits::ADMIN_CONNECTIONS_MAX;
use ws4redis::peer::Door;
use ws4redis::refusal::Refusal;
use ws4redis::report::Standing;

use crate::world::client::Request;
use crate::world::{HERE, World, ms};

fn metric(world: &mut World, name: &str) -> Option<f64> {
    let (status, body) = world.admin("/metrics");
    assert_eq!(status, 200);
    let mut lines = body.lines().filter_map(|line| line.rsplit_once(' '));
    lines
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.parse().unwrap())
}

#[test]
fn health_is_the_loop_and_readiness_is_the_link() {
    let mut world = World::new(|_| {});
    assert_eq!(world.admin("/healthz"), (200, "alive\n".to_owned()));
    assert_eq!(world.admin("/readyz"), (200, "ready\n".to_owned()));
    world.redis.mood.refuses = true;
    world.cut();
    assert_eq!(world.admin("/healthz").0, 200);
    let not_ready = "not ready: no proven link to Redis\n".to_owned();
    assert_eq!(world.admin("/readyz"), (503, not_ready));
    world.redis.mood.refuses = false;
    world.advance(ms(1_000));
    assert_eq!(world.admin("/readyz").0, 200);
    world.join("/ws/f");
    world.hub.drain(world.now);
    assert_eq!(
        world.admin("/readyz"),
        (503, "not ready: draining\n".to_owned())
    );
}

#[test]
fn metrics_count_what_happened() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?subscribe-broadcast&publish-broadcast&echo");
    world.join("/ws/f?subscribe-broadcast");
    let bob = world.join("/ws/g?subscribe-broadcast");
    world.connect("/elsewhere");
    world.clients[ann].say("hello");
    world.clients[bob].reset();
    world.run();
    for (name, value) in [
        ("ws4redis_sessions", 2.0),
        ("ws4redis_channels", 1.0),
        ("ws4redis_connections", 2.0),
        ("ws4redis_pending_handshakes", 0.0),
        ("ws4redis_link_up", 1.0),
        ("ws4redis_sessions_opened_total", 3.0),
        ("ws4redis_published_total", 1.0),
        ("ws4redis_messages_in_total", 1.0),
        ("ws4redis_messages_in_bytes_total", 5.0),
        ("ws4redis_deliveries_total", 2.0),
        ("ws4redis_publish_queue", 0.0),
        ("ws4redis_closes_total{reason=\"gone\"}", 1.0),
        ("ws4redis_refusals_total{reason=\"not_found\"}", 1.0),
    ] {
        assert_eq!(metric(&mut world, name), Some(value), "{name}");
    }
    assert!(metric(&mut world, "ws4redis_redis_commands_total") >= Some(10.0));
    assert!(metric(&mut world, "ws4redis_canary_delay_seconds").is_some());
}

#[test]
fn every_reason_has_a_counter() {
    let mut world = World::new(|_| {});
    let (_, body) = world.admin("/metrics");
    for close in Close::ALL {
        let name = format!("ws4redis_closes_total{{reason=\"{}\"}} 0", close.word());
        assert!(body.lines().any(|line| line == name), "{name}");
    }
    for refusal in Refusal::ALL {
        let name = format!("ws4redis_refusals_total{{reason=\"{}\"}} 0", refusal.word());
        assert!(body.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn the_operator_is_no_client_and_clients_are_no_operators() {
    let mut world = World::new(|_| {});
    assert_eq!(world.admin("/ws/f").0, 404);
    let client = world.connect("/metrics");
    let operator = world.knock(Door::Admin, HERE);
    let post = Request::to("").line("POST /metrics HTTP/1.1");
    world.clients[operator].send(&post.bytes());
    world.run();
    assert_eq!(world.clients[client].status(), Some(404));
    assert_eq!(world.clients[operator].status(), Some(405));
    let tally = world.hub.tally();
    assert_eq!((tally.admins, tally.clients, tally.sessions), (0, 0, 0));
}

#[test]
fn the_operator_is_answered_when_there_is_no_room_for_clients() {
    let mut world = World::new(|config| config.limits.pending_max = 1);
    world.knock(Door::Client, HERE);
    let refused = world.connect("/ws/f");
    world.run();
    assert_eq!(world.clients[refused].status(), Some(503));
    assert_eq!(world.admin("/readyz").0, 200);
    for _ in 0..ADMIN_CONNECTIONS_MAX {
        world.knock(Door::Admin, HERE);
    }
    let operator = world.knock(Door::Admin, HERE);
    world.run();
    assert_eq!(world.clients[operator].status(), Some(503));
}

#[test]
fn the_operator_is_told_of_all_workers_as_of_one_gateway() {
    let mut world = World::new(|_| {});
    world.join("/ws/f?subscribe-broadcast");
    assert!(!world.hub.is_asked());
    world.knock(Door::Admin, HERE);
    assert!(world.hub.is_asked());

    let mut other = World::new(|_| {});
    other.join("/ws/f?subscribe-broadcast");
    other.join("/ws/g?subscribe-broadcast");
    world.hub.others(vec![other.hub.standing()]);
    assert_eq!(world.admin("/readyz").0, 200);
    assert_eq!(metric(&mut world, "ws4redis_sessions"), Some(3.0));
    assert_eq!(metric(&mut world, "ws4redis_link_up"), Some(1.0));
    let second = "ws4redis_worker_sessions{worker=\"1\"}";
    assert_eq!(metric(&mut world, second), Some(2.0));

    other.redis.mood.refuses = true;
    other.cut();
    let standing = other.hub.standing();
    world.hub.others(vec![standing.clone()]);
    let not_ready = "not ready: no proven link to Redis\n".to_owned();
    assert_eq!(world.admin("/readyz"), (503, not_ready));
    assert_eq!(world.admin("/healthz").0, 200);
    assert_eq!(metric(&mut world, "ws4redis_link_up"), Some(0.0));

    let stuck = Standing {
        alive: false,
        ..standing
    };
    world.hub.others(vec![stuck]);
    assert_eq!(
        world.admin("/healthz"),
        (503, "a worker's loop does not turn\n".to_owned())
    );
}
