//! A hub with sessions and a Redis that answers, without a socket: what the benches measure.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ws4redis::hub::{Action, Cork, Hub, Lost};
use ws4redis::peer::{Door, From, PeerId};
use ws4redis::tick::Tick;
use ws4redis::wire::resp::CommandReader;
use ws4redis::{Config, RedisSubscriber};

/// Bytes of a message.
pub const PAYLOAD: usize = 128;
/// An unmasked Ping, as the gateway sends it.
const PING: u8 = 0x89;
/// The answer, masked, as a client must.
const PONG: [u8; 6] = [0x8a, 0x80, 0x37, 0xfa, 0x21, 0x3d];

/// What Redis says to MULTI, SETEX, PUBLISH, EXEC.
const PUBLISHED: &[u8] = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n";

/// The hub, those who are in, and Redis.
pub struct World {
    pub hub: Hub,
    pub now: Tick,
    /// Everybody who joined while the world was made.
    pub members: Vec<PeerId>,
    /// What is persisted on every channel.
    pub persisted: Option<Vec<u8>>,
    link: PeerId,
    /// What the hub says to Redis.
    commands: CommandReader,
    answers: Vec<u8>,
    cork: Cork,
    pinged: Vec<PeerId>,
}

impl World {
    /// A world with so many members of one channel.
    pub fn new(members: usize) -> World {
        World::with(members, 1, |_| {})
    }

    /// A world with so many members, dealt out to so many channels.
    pub fn with(members: usize, channels: usize, configure: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::default();
        config.limits.sessions_max = members + 1;
        config.limits.pending_max = members + 1;
        config.limits.messages_per_second_max = u32::MAX;
        configure(&mut config);
        let mut hub = Hub::new(config, Box::new(RedisSubscriber), 1, Duration::ZERO).unwrap();
        hub.elapsed(Tick::ZERO);
        let Some(Action::Connect(link, _)) = hub.next_action() else {
            panic!("it does not connect")
        };
        hub.connected(Tick::ZERO, link);
        let mut world = World {
            hub,
            now: Tick::ZERO,
            members: Vec::new(),
            persisted: None,
            link,
            commands: CommandReader::new(1 << 20),
            answers: Vec::new(),
            cork: Cork::default(),
            pinged: Vec::new(),
        };
        world.settle();
        for member in 0..members {
            let id = world.join(&handshake(&format!(
                "f{}?subscribe-broadcast&publish-broadcast",
                member % channels
            )));
            world.members.push(id);
        }
        world.settle();
        world
    }

    /// A client connects and says this.
    pub fn join(&mut self, handshake: &[u8]) -> PeerId {
        let from = From::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let id = self.hub.accepted(self.now, Door::Client, from).unwrap();
        self.client_says(id, handshake);
        id
    }

    /// A client's connection breaks.
    pub fn leave(&mut self, id: PeerId) {
        self.hub.lost(self.now, id, Lost::Ended);
    }

    pub fn client_says(&mut self, id: PeerId, bytes: &[u8]) {
        self.hub.received(self.now, id, &mut bytes.to_vec());
    }

    pub fn redis_says(&mut self, bytes: &[u8]) {
        self.hub.received(self.now, self.link, &mut bytes.to_vec());
    }

    /// A client says something, Redis is told, takes it and passes it on; how many clients get it.
    pub fn publish(&mut self, from: PeerId, frame: &[u8], push: &[u8]) -> usize {
        self.client_says(from, frame);
        self.flush();
        // Its answers are known, and to read the commands would cost as much as what is measured.
        self.commands = CommandReader::new(1 << 20);
        self.redis_says(&[PUBLISHED, push].concat());
        self.flush()
    }

    /// Takes everything that would be written; how many writes to clients it is.
    pub fn flush(&mut self) -> usize {
        let mut writes = 0;
        while let Some(id) = self.hub.next_write() {
            loop {
                let bytes = black_box(self.hub.pending(id, &mut self.cork));
                let n = bytes.len();
                if n == 0 {
                    break;
                }
                if id == self.link {
                    self.commands.feed(bytes);
                } else {
                    writes += 1;
                    if bytes.first() == Some(&PING) {
                        self.pinged.push(id);
                    }
                }
                self.hub.sent(id, n);
            }
        }
        while self.hub.next_action().is_some() {}
        while self.hub.next_report().is_some() {}
        writes
    }

    /// Flushes, and has Redis answer, until nobody has anything to say.
    pub fn settle(&mut self) {
        loop {
            self.flush();
            while let Some(words) = self.commands.pull().unwrap() {
                answer(&mut self.answers, self.persisted.as_deref(), &words);
            }
            if self.answers.is_empty() {
                return;
            }
            let mut answers = std::mem::take(&mut self.answers);
            self.hub.received(self.now, self.link, &mut answers);
            answers.clear();
            self.answers = answers;
        }
    }

    /// Time passes in steps of this length, as many as that; whoever is pinged answers. How many were.
    pub fn pass(&mut self, step: Duration, steps: usize) -> usize {
        let mut pongs = 0;
        for _ in 0..steps {
            self.now += step;
            self.hub.elapsed(self.now);
            self.settle();
            pongs += self.pinged.len();
            for id in std::mem::take(&mut self.pinged) {
                self.client_says(id, &PONG);
            }
        }
        pongs
    }
}

/// A request for `/ws/<rest>`.
pub fn handshake(rest: &str) -> Vec<u8> {
    format!(
        "GET /ws/{rest} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// What Redis says when somebody publishes.
pub fn push(channel: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b">3\r\n".to_vec();
    for word in [b"message", channel.as_bytes(), payload] {
        bulk(&mut bytes, word);
    }
    bytes
}

/// A masked text frame.
pub fn masked_text(payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![0x81];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..65_536 => {
            bytes.push(0xfe);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0xff);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

fn answer(out: &mut Vec<u8>, persisted: Option<&[u8]>, words: &[impl AsRef<[u8]>]) {
    let word = |at: usize| words.get(at).map_or(&b""[..], AsRef::as_ref);
    match word(0) {
        b"HELLO" => out.extend(b"%1\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n"),
        subscribe @ (b"SUBSCRIBE" | b"UNSUBSCRIBE") => {
            for channel in words.iter().skip(1) {
                out.extend(b">3\r\n");
                bulk(out, &subscribe.to_ascii_lowercase());
                bulk(out, channel.as_ref());
                out.extend(b":1\r\n");
            }
        }
        b"GET" => match persisted {
            Some(value) => bulk(out, value),
            None => out.extend(b"_\r\n"),
        },
        // The probe that proves the link: its own words come back.
        b"PUBLISH" => {
            out.extend(b">3\r\n");
            for word in [b"message", word(1), word(2)] {
                bulk(out, word);
            }
            out.extend(b":1\r\n");
        }
        _ => out.extend(b"+OK\r\n"),
    }
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(format!("${}\r\n", bytes.len()).bytes());
    out.extend(bytes);
    out.extend(b"\r\n");
}
