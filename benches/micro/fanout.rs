//! What a delivery costs in the hub: messages from Redis to N members, queued and handed out to be written, alone
//! and in bursts; and what it costs that a client publishes.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};

use crate::world::{PAYLOAD, World, masked_text, push};

criterion_group!(fanout, one_channel, many_channels, from_a_client);

fn one_channel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan out");
    for members in [1, 100, 10_000] {
        for burst in [1, 8, 64] {
            let mut world = World::new(members);
            let messages = push("broadcast:f0", &[b'x'; PAYLOAD]).repeat(burst);
            group.throughput(Throughput::Elements((members * burst) as u64));
            let name = BenchmarkId::new(format!("{members} members"), format!("{burst} a turn"));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    world.redis_says(&messages);
                    assert_eq!(world.flush(), members);
                });
            });
        }
    }
    group.finish();
}

fn many_channels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan out");
    for (members, channels) in [(10_000, 100), (10_000, 10_000)] {
        let mut world = World::with(members, channels, |_| {});
        let messages: Vec<Vec<u8>> = (0..channels)
            .map(|channel| push(&format!("broadcast:f{channel}"), &[b'x'; PAYLOAD]))
            .collect();
        // A stride that has nothing in common with their number visits all, and none after its neighbour.
        let mut order = (0..channels).map(|n| n * 7_919 % channels).cycle();
        group.throughput(Throughput::Elements((members / channels) as u64));
        let name = BenchmarkId::new(format!("{members} members"), format!("{channels} channels"));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                world.redis_says(&messages[order.next().unwrap()]);
                assert_eq!(world.flush(), members / channels);
            });
        });
    }
    group.finish();
}

fn from_a_client(criterion: &mut Criterion) {
    let mut world = World::new(2);
    let (ann, frame) = (world.members[0], masked_text(&[b'x'; PAYLOAD]));
    let message = push("broadcast:f0", &[b'x'; PAYLOAD]);
    criterion.bench_function("publish a client's message, and deliver it", |bencher| {
        bencher.iter(|| assert_eq!(world.publish(ann, &frame, &message), 1));
    });
}
