//! What time costs: deadlines that move away, those that come, and what is said then.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group};

use crate::world::{World, masked_text};

const SESSIONS: usize = 10_000;
/// Of a turn of an idle gateway here.
const STEP: Duration = Duration::from_millis(100);

criterion_group!(timers, deadlines);

fn deadlines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    let mut world = World::new(SESSIONS);
    group.bench_function("a deadline moves away: a client speaks", |bencher| {
        // The heartbeat's text would not be published; an empty message is not either.
        let nothing = masked_text(b"");
        let mut members = world.members.clone().into_iter().cycle();
        // Each speaks again after 20 s, which is more than half of the time between pings: or nothing would move.
        let apart = Duration::from_millis(2);
        bencher.iter(|| {
            world.now += apart;
            world.client_says(members.next().unwrap(), &nothing);
        });
    });
    // Now nothing is.
    world.pass(STEP, 1);
    group.bench_function("nothing is due", |bencher| {
        bencher.iter(|| world.hub.elapsed(world.now));
    });

    group.sample_size(10);
    group.throughput(Throughput::Elements(SESSIONS as u64));
    let mut world = World::new(SESSIONS);
    group.bench_function("pings of 10,000 sessions, and their pongs", |bencher| {
        bencher.iter(|| assert_eq!(world.pass(STEP, 300), SESSIONS));
    });
    let mut world = World::with(SESSIONS, 1, |config| {
        config.heartbeat = Some("--heartbeat--".to_owned());
        config.limits.ping_interval = Duration::from_secs(86_400);
    });
    group.bench_function("heartbeats of 10,000 sessions", |bencher| {
        bencher.iter(|| world.pass(STEP, 37));
    });
    group.finish();
}
