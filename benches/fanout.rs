//! What a delivery costs in the hub, without a socket: one message from Redis to N members, queued and handed out to
//! be written, alone and in bursts; and what a join costs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a bench that cannot go on says where; its items are private"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ws4redis::hub::{Action, Hub};
use ws4redis::peer::{Door, From, PeerId};
use ws4redis::tick::Tick;
use ws4redis::{Config, RedisSubscriber};

const NOW: Tick = Tick::ZERO;
const PAYLOAD: usize = 128;

const HANDSHAKE: &[u8] = b"GET /ws/f?subscribe-broadcast HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const GREETING: [&[u8]; 3] = [
    b"%1\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n",
    SUBSCRIBED,
    b"+OK\r\n",
];
const SUBSCRIBED: &[u8] = b">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n";

struct World {
    hub: Hub,
    link: PeerId,
    cork: Vec<u8>,
}

impl World {
    fn new(members: usize) -> World {
        let mut config = Config::default();
        config.limits.sessions_max = members + 1;
        config.limits.pending_max = members + 1;
        let mut hub = Hub::new(config, Box::new(RedisSubscriber), 1, Duration::ZERO).unwrap();
        hub.elapsed(NOW);
        let Some(Action::Connect(link, _)) = hub.next_action() else {
            panic!("it does not connect")
        };
        hub.connected(NOW, link);
        let mut world = World {
            hub,
            link,
            cork: Vec::new(),
        };
        world.redis_says(&GREETING.concat());
        for member in 0..members {
            world.join();
            if member == 0 {
                world.redis_says(SUBSCRIBED);
                world.redis_says(b"_\r\n");
            }
        }
        world.flush();
        world
    }

    fn join(&mut self) -> PeerId {
        let from = From::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let id = self.hub.accepted(NOW, Door::Client, from).unwrap();
        self.hub.received(NOW, id, &mut HANDSHAKE.to_vec());
        id
    }

    fn redis_says(&mut self, bytes: &[u8]) {
        self.hub.received(NOW, self.link, &mut bytes.to_vec());
    }

    /// Takes everything that would be written; how many writes it is.
    fn flush(&mut self) -> usize {
        let mut writes = 0;
        while let Some(id) = self.hub.next_write() {
            loop {
                let n = black_box(self.hub.pending(id, &mut self.cork)).len();
                if n == 0 {
                    break;
                }
                self.hub.sent(id, n);
                writes += 1;
            }
        }
        while self.hub.next_action().is_some() {}
        while self.hub.next_report().is_some() {}
        writes
    }
}

fn push(payload: usize) -> Vec<u8> {
    let mut bytes =
        format!(">3\r\n$7\r\nmessage\r\n$11\r\nbroadcast:f\r\n${payload}\r\n").into_bytes();
    bytes.extend(std::iter::repeat_n(b'x', payload));
    bytes.extend(b"\r\n");
    bytes
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan_out");
    for members in [1, 100, 10_000] {
        for burst in [1, 8, 64] {
            let mut world = World::new(members);
            let messages = push(PAYLOAD).repeat(burst);
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

fn join_and_leave(criterion: &mut Criterion) {
    let mut world = World::new(1);
    criterion.bench_function("join and leave a channel of others", |bencher| {
        bencher.iter(|| {
            let id = world.join();
            world.flush();
            world.hub.lost(NOW, id, ws4redis::hub::Lost::Ended);
            world.flush();
        });
    });
}

criterion_group!(benches, fan_out, join_and_leave);
criterion_main!(benches);
