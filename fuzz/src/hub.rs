//! The gateway without its sockets, with every source of identity, between a stranger, an application and a Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use ws4redis::config::{JwtAlgorithm, KeyMaterial, Secret, Source};
use ws4redis::hub::{Action, Cork, Hub, Lost, To};
use ws4redis::peer::{Door, From, PeerId, RedisOf};
use ws4redis::tick::Tick;
use ws4redis::{Config, RedisSubscriber};

const UNIX: Duration = Duration::from_secs(1_700_000_000);
const REQUEST: &[u8] = b"GET /ws/f?subscribe-user HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"user\":\"john\"}";
const GREETING: &[u8] = b"%1\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n\
    >3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n+OK\r\n";
/// What Redis says to a join: the subscription, no persisted message.
const JOINED: &[u8] = b">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n_\r\n";

/// A client sends these bytes: it is answered in HTTP, or not at all.
pub fn requests(bytes: &[u8]) {
    let mut world = World::new();
    let client = world.accepted();
    let (front, back) = bytes.split_at(bytes.len() / 2);
    world.receives(client, front);
    world.receives(client, back);
    world.application_says(ANSWER);
    world.redis_says(JOINED);
    let said = world.said.get(&client).cloned().unwrap_or_default();
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 "));
    world.ends();
}

/// An application answers with these bytes: nobody is let in but by a 200 or a 204.
pub fn answers(bytes: &[u8]) {
    let mut world = World::new();
    let client = world.accepted();
    world.receives(client, REQUEST);
    let (front, back) = bytes.split_at(bytes.len() / 2);
    world.application_says(front);
    world.application_says(back);
    if let Some(application) = world.application {
        world.hub.lost(world.now, application, Lost::Ended);
        world.run();
    }
    world.redis_says(JOINED);
    if world.is_let_in(client) {
        let says = |status: &[u8]| bytes.windows(4).any(|part| part == status);
        assert!(says(b" 200") || says(b" 204"), "{}", bytes.escape_ascii());
    }
    world.ends();
}

/// Redis says these bytes, to a gateway with an open session and one that waits.
pub fn link(bytes: &[u8]) {
    let mut world = World::new();
    let open = world.accepted();
    world.receives(open, REQUEST);
    world.application_says(ANSWER);
    world.redis_says(JOINED);
    assert!(world.is_let_in(open));
    let waits = world.accepted();
    let other = [&b"GET /ws/g?subscribe-user"[..], &REQUEST[24..]].concat();
    world.receives(waits, &other);
    world.application_says(ANSWER);
    let (front, back) = bytes.split_at(bytes.len() / 2);
    world.redis_says(front);
    world.redis_says(back);
    world.ends();
}

/// The hub, and a reactor that does what it wishes.
struct World {
    hub: Hub,
    now: Tick,
    link: Option<PeerId>,
    application: Option<PeerId>,
    /// What was written to each peer that is still there.
    said: BTreeMap<PeerId, Vec<u8>>,
    cork: Cork,
}

impl World {
    /// With a Redis that has greeted.
    fn new() -> World {
        let mut config = Config {
            identity: vec![
                Source::Headers,
                Source::Jwt,
                Source::Django,
                Source::Callback,
                Source::Cookie,
            ],
            origin_required_with_cookie: false,
            ..Config::default()
        };
        config.callback.url = "http://app/".parse().ok();
        config.jwt.algorithms = vec![JwtAlgorithm::Hs256];
        config.jwt.keys = Some(KeyMaterial {
            path: None,
            text: Secret::new("a key for tests, of thirty-two bytes or so".to_owned()),
        });
        let hub = Hub::new(config, Box::new(RedisSubscriber), 1, UNIX);
        let mut world = World {
            hub: hub.expect("the configuration is good"),
            now: Tick::ZERO,
            link: None,
            application: None,
            said: BTreeMap::new(),
            cork: Cork::default(),
        };
        world.hub.elapsed(world.now);
        world.run();
        world.redis_says(GREETING);
        world
    }

    fn accepted(&mut self) -> PeerId {
        let client = self.hub.accepted(self.now, Door::Client, From::Unix);
        client.expect("there is room")
    }

    fn receives(&mut self, id: PeerId, bytes: &[u8]) {
        self.hub.received(self.now, id, &mut bytes.to_vec());
        self.run();
    }

    fn redis_says(&mut self, bytes: &[u8]) {
        if let Some(link) = self.link {
            self.receives(link, bytes);
        }
    }

    fn application_says(&mut self, bytes: &[u8]) {
        if let Some(application) = self.application {
            self.receives(application, bytes);
        }
    }

    fn is_let_in(&self, client: PeerId) -> bool {
        let said = self.said.get(&client);
        said.is_some_and(|said| said.starts_with(b"HTTP/1.1 101 "))
    }

    /// Grants every wish. Redis is connected to once; whom the hub drops is forgotten.
    fn run(&mut self) {
        loop {
            let mut is_idle = true;
            while let Some(action) = self.hub.next_action() {
                is_idle = false;
                self.act(action);
            }
            while let Some(id) = self.hub.next_write() {
                loop {
                    let bytes = self.hub.pending(id, &mut self.cork);
                    let n = bytes.len();
                    if n == 0 {
                        break;
                    }
                    self.said.entry(id).or_default().extend_from_slice(bytes);
                    self.hub.sent(id, n);
                }
                is_idle = false;
            }
            if is_idle {
                break;
            }
        }
        while self.hub.next_report().is_some() {}
        self.hub.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect(id, To::Redis(RedisOf::Messages)) if self.link.is_none() => {
                self.link = Some(id);
                self.hub.connected(self.now, id);
            }
            Action::Connect(id, To::Application) => {
                self.application = Some(id);
                self.hub.connected(self.now, id);
            }
            Action::Connect(..) | Action::HalfClose(_) => {}
            Action::Drop(id) => {
                if self.application == Some(id) {
                    self.application = None;
                }
            }
        }
    }

    /// Lets a minute pass, in which every deadline of a handshake comes.
    fn ends(mut self) {
        let end = self.now + Duration::from_secs(60);
        for _ in 0..1_000 {
            let Some(due) = self.hub.deadline().filter(|due| *due <= end) else {
                return;
            };
            self.now = self.now.max(due);
            self.hub.elapsed(self.now);
            self.run();
        }
        panic!("a minute has no thousand deadlines");
    }
}
