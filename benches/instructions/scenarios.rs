//! The hot paths, each as something that can be played again and again.

use std::hint::black_box;
use std::time::Duration;

use ws4redis::wire::resp::{Incoming, ReplyLimits, ReplyReader};
use ws4redis::wire::ws;

use super::world::{PAYLOAD, World, handshake, masked_text, push};

const MEMBERS: usize = 1_000;
const BURST: usize = 64;
const MESSAGE: [u8; PAYLOAD] = [b'x'; PAYLOAD];

/// One hot path.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// What its figure is for.
    pub unit: &'static str,
    /// How many of them are in a round.
    pub units: usize,
    /// Rounds that are counted.
    pub rounds: usize,
    /// Sets it up, and gives what plays a round.
    prepare: fn() -> Box<dyn FnMut()>,
}

impl Scenario {
    pub fn play(&self, rounds: usize) {
        let mut round = (self.prepare)();
        for _ in 0..rounds {
            round();
        }
    }
}

const fn scenario(
    name: &'static str,
    unit: &'static str,
    (rounds, units): (usize, usize),
    prepare: fn() -> Box<dyn FnMut()>,
) -> Scenario {
    Scenario {
        name,
        unit,
        units,
        rounds,
        prepare,
    }
}

pub const SCENARIOS: [Scenario; 9] = [
    scenario(
        "delivery",
        "a delivery, one message at a time",
        (50, MEMBERS),
        || {
            let (mut world, message) = (World::new(MEMBERS), push("broadcast:f0", &MESSAGE));
            Box::new(move || {
                world.redis_says(&message);
                assert_eq!(world.flush(), MEMBERS);
            })
        },
    ),
    scenario(
        "burst",
        "a delivery, 64 messages in a turn",
        (3, BURST * MEMBERS),
        || {
            let mut world = World::new(MEMBERS);
            let messages = push("broadcast:f0", &MESSAGE).repeat(BURST);
            Box::new(move || {
                world.redis_says(&messages);
                assert_eq!(world.flush(), MEMBERS);
            })
        },
    ),
    scenario(
        "channels",
        "a delivery, each to another channel",
        (5, MEMBERS),
        || {
            let mut world = World::with(MEMBERS, MEMBERS, |_| {});
            let messages: Vec<Vec<u8>> = (0..MEMBERS)
                .map(|channel| push(&format!("broadcast:f{channel}"), &MESSAGE))
                .collect();
            Box::new(move || {
                for message in &messages {
                    world.redis_says(message);
                    assert_eq!(world.flush(), 1);
                }
            })
        },
    ),
    scenario(
        "handshake",
        "a client that comes and goes",
        (500, 1),
        || come_and_go(None),
    ),
    scenario(
        "snapshot",
        "a client that comes, gets a persisted message, and goes",
        (500, 1),
        || come_and_go(Some(MESSAGE.to_vec())),
    ),
    scenario(
        "publish",
        "a client's message, to Redis and back to another",
        (500, 1),
        || {
            let mut world = World::new(2);
            let (frame, message) = (masked_text(&MESSAGE), push("broadcast:f0", &MESSAGE));
            Box::new(move || {
                // Not to the one who said it.
                assert_eq!(world.publish(world.members[0], &frame, &message), 1);
            })
        },
    ),
    scenario("idle", "a ping and its pong", (2, MEMBERS), || {
        let mut world = World::new(MEMBERS);
        Box::new(move || assert_eq!(world.pass(Duration::from_millis(100), 300), MEMBERS))
    }),
    scenario("push", "a message of Redis, read", (2_000, 1), || {
        let mut reader = ReplyReader::new(ReplyLimits {
            bulk_bytes_max: 1 << 20,
            depth_max: 8,
            elements_max: 64,
        });
        let message = push("broadcast:f0", &MESSAGE);
        Box::new(move || {
            reader.feed(black_box(&message));
            assert!(matches!(reader.pull(), Ok(Some(Incoming::Message { .. }))));
        })
    }),
    scenario("frame", "a client's message, read", (2_000, 1), || {
        let frame = masked_text(&MESSAGE);
        Box::new(move || {
            let (mut bytes, mut length) = (black_box(frame.clone()), 0);
            let read = ws::read(&mut None, &mut bytes, PAYLOAD, |event| {
                if let ws::Event::Text(text) = event {
                    length = text.len();
                }
                true
            });
            assert_eq!((read, length), (Ok(()), PAYLOAD));
        })
    }),
];

/// A client comes to a channel of others, whose persisted message is known.
fn come_and_go(persisted: Option<Vec<u8>>) -> Box<dyn FnMut()> {
    let (mut world, request) = (World::new(1), handshake("f0?subscribe-broadcast"));
    let snapshots = u64::from(persisted.is_some());
    // What was known when the world was made is not any more.
    (world.persisted, world.now) = (persisted, world.now + Duration::from_secs(2));
    let first = world.join(&request);
    world.settle();
    world.leave(first);
    let round = move |world: &mut World| {
        let id = world.join(&request);
        assert_eq!(world.flush(), 1);
        world.leave(id);
        world.flush();
    };
    round(&mut world);
    // A refusal would be an answer, too.
    let tally = world.hub.tally();
    assert_eq!((tally.opened, tally.snapshots), (3, 2 * snapshots));
    Box::new(move || round(&mut world))
}
