//! What it costs to come and go: request, 101, snapshot, and the end.

use std::cell::RefCell;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group};

use crate::world::{PAYLOAD, World, handshake};

criterion_group!(joins, join_and_leave);

fn join_and_leave(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join and leave");
    let others = handshake("f0?subscribe-broadcast");
    let mut world = World::new(1);
    group.bench_function("a channel of others", |bencher| {
        bencher.iter(|| come_and_go(&mut world, &others));
    });

    let mut world = World::new(1);
    world.persisted = Some(vec![b'x'; PAYLOAD]);
    // The value that was read when it was made serves those who come within a second.
    world.now += Duration::from_secs(2);
    group.bench_function("a channel with a snapshot that is known", |bencher| {
        bencher.iter(|| come_and_go(&mut world, &others));
    });

    assert_eq!(world.hub.tally().snapshots, world.hub.tally().opened - 1);

    let world = RefCell::new(world);
    group.bench_function(
        "a channel with a snapshot that Redis is asked for",
        |bencher| {
            bencher.iter_batched(
                || world.borrow_mut().pass(Duration::from_secs(1), 1),
                |_| come_and_go(&mut world.borrow_mut(), &others),
                BatchSize::PerIteration,
            );
        },
    );

    let first = handshake("new?subscribe-broadcast");
    let mut world = World::new(1);
    world.persisted = Some(vec![b'x'; PAYLOAD]);
    group.bench_function("a channel of nobody, with a snapshot", |bencher| {
        bencher.iter(|| come_and_go(&mut world, &first));
    });
    assert_eq!(world.hub.tally().snapshots, world.hub.tally().opened - 1);
    group.finish();
}

fn come_and_go(world: &mut World, handshake: &[u8]) {
    let id = world.join(handshake);
    world.settle();
    world.leave(id);
    world.settle();
}
