//! The gateway without sockets: the hub, clients, a Redis and a clock, in one struct.
//!
//! [`World::turn`] does what the reactor does in a turn. [`World::run`] turns until nothing is left to be done and
//! [`World::advance`] goes from deadline to deadline. After every turn the hub's invariants are checked, and that
//! it does not ask to be woken in the past.

pub(crate) mod application;
pub(crate) mod client;
pub(crate) mod redis;
mod resp;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ws4redis::close::Close;
use ws4redis::hub::{Action, Cork, Hub, Lost, To};
use ws4redis::peer::{Door, From, PeerId, RedisOf};
use ws4redis::report::Report;
use ws4redis::tick::Tick;
use ws4redis::{Config, RedisSubscriber};

use application::Application;
use client::{Client, Request};
use redis::Redis;

/// Everything that there is.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) redis: Redis,
    /// The one of Django's sessions, for a gateway that is told of it.
    pub(crate) sessions: Redis,
    pub(crate) application: Application,
    pub(crate) clients: Vec<Client>,
    pub(crate) now: Tick,
    pub(crate) reports: Vec<Report>,
    /// Who opened, and what Redis had confirmed then.
    pub(crate) opened: Vec<(PeerId, BTreeSet<String>)>,
    /// How bytes travel.
    pub(crate) pace: Pace,
    /// Is the hub told of passing time when it asked for it? If not, it is told never.
    pub(crate) is_punctual: bool,
    link: Option<PeerId>,
    sessions_link: Option<PeerId>,
    by_id: BTreeMap<PeerId, Who>,
    unwritten: VecDeque<Who>,
    cork: Cork,
}

/// A client's place in the table.
pub(crate) type Who = usize;

/// How bytes travel.
#[derive(Debug)]
pub(crate) enum Pace {
    /// All there are, at once.
    Whole,
    /// One at a time.
    Single,
    /// Some of them, as chance will have it.
    Chance(fastrand::Rng),
}

/// More turns than this without a rest are a livelock.
const TURNS_MAX: usize = 20_000;
/// So many clients make it too costly to look at each after every turn.
const CROWD: usize = 500;
/// What the reactor reads at once.
const READ_BYTES: usize = 64 << 10;

/// The time since 1970 when it begins: when the sessions of the corpus are fresh.
pub(crate) const UNIX: Duration = Duration::from_secs(1_750_000_000);

/// Where most clients come from.
pub(crate) const HERE: From = From::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

impl World {
    /// A gateway whose link is proven.
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> World {
        let mut world = World::cold(change);
        world.run();
        assert_eq!(world.hub.ready(), Ok(()));
        world
    }

    /// A gateway that was not yet told to do anything.
    pub(crate) fn cold(change: impl FnOnce(&mut Config)) -> World {
        World::seeded(1, change)
    }

    /// The same, with this chance.
    pub(crate) fn seeded(seed: u64, change: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::default();
        change(&mut config);
        config.limits.clone().checked().unwrap();
        World {
            hub: Hub::new(config, Box::new(RedisSubscriber), seed, UNIX).unwrap(),
            redis: Redis::default(),
            sessions: Redis::default(),
            application: Application::default(),
            clients: Vec::new(),
            now: Tick::ZERO,
            reports: Vec::new(),
            opened: Vec::new(),
            pace: Pace::Whole,
            is_punctual: true,
            link: None,
            sessions_link: None,
            by_id: BTreeMap::new(),
            unwritten: VecDeque::new(),
            cork: Cork::default(),
        }
    }

    /// Somebody connects, and says nothing yet.
    pub(crate) fn knock(&mut self, door: Door, from: From) -> Who {
        let who = self.clients.len();
        let client = match self.hub.accepted(self.now, door, from) {
            Ok(id) => {
                self.by_id.insert(id, who);
                Client::new(id)
            }
            Err(answer) => Client::turned_away(&answer),
        };
        self.clients.push(client);
        who
    }

    /// A client connects and asks.
    pub(crate) fn ask(&mut self, from: From, request: &Request) -> Who {
        let who = self.knock(Door::Client, from);
        self.clients[who].send(&request.bytes());
        who
    }

    /// A client connects to this target.
    pub(crate) fn connect(&mut self, target: &str) -> Who {
        self.ask(HERE, &Request::to(target))
    }

    /// A client connects to this target, and has its 101.
    pub(crate) fn join(&mut self, target: &str) -> Who {
        let who = self.connect(target);
        self.run();
        assert!(self.clients[who].is_open(), "{:?}", self.clients[who]);
        who
    }

    /// What the admin listener answers: status and body.
    pub(crate) fn admin(&mut self, target: &str) -> (u16, String) {
        let who = self.knock(Door::Admin, HERE);
        let request = Request::to("").line(&format!("GET {target} HTTP/1.1"));
        self.clients[who].send(&request.bytes());
        self.run();
        let answer = self.clients[who].answer.clone().unwrap();
        (answer.status, answer.body)
    }

    /// The messages of a client.
    pub(crate) fn messages(&self, who: Who) -> Vec<String> {
        self.clients[who].messages()
    }

    /// The connection to Redis breaks.
    pub(crate) fn cut(&mut self) {
        self.redis.cut();
        if let Some(id) = self.link {
            let why = "connection reset by peer".to_owned();
            self.hub.lost(self.now, id, Lost::Failed(why));
            self.note();
        }
    }

    /// The connection to the Redis of Django's sessions breaks.
    pub(crate) fn cut_sessions(&mut self) {
        self.sessions.cut();
        if let Some(id) = self.sessions_link {
            self.hub.lost(self.now, id, Lost::Ended);
            self.note();
        }
    }

    /// How a client's session ended, as reported; it may not have been reported twice.
    pub(crate) fn ending(&self, who: Who) -> Option<Close> {
        let mut endings = self.reports.iter().filter_map(|report| match report {
            Report::Closed { id, close, .. } if *id == self.clients[who].id => Some(*close),
            _ => None,
        });
        let ending = endings.next();
        assert_eq!(endings.next(), None, "an ending is reported once");
        ending
    }

    /// Turns until there is nothing to do but to wait.
    pub(crate) fn run(&mut self) {
        for _ in 0..TURNS_MAX {
            if !self.turn() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets this much time pass, from deadline to deadline.
    pub(crate) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        self.run();
        while self.now < until {
            let next = self.hub.deadline().into_iter().chain(self.redis.deadline());
            let next = next.chain(self.sessions.deadline());
            let next = next.chain([until]).min().unwrap_or(until);
            assert!(next > self.now, "a deadline that has passed is still there");
            self.now = next.min(until);
            self.run();
        }
    }

    /// One turn of the reactor; says whether something was done.
    pub(crate) fn turn(&mut self) -> bool {
        self.redis.elapsed(self.now);
        self.sessions.elapsed(self.now);
        let mut busy = self.hear_redis();
        busy |= self.hear_sessions();
        busy |= self.hear_application();
        busy |= self.hear_clients();
        busy |= self.elapse();
        busy |= self.act();
        busy |= self.write();
        busy |= self.act();
        busy |= self.read();
        self.note();
        // In a crowd each look at everybody counts.
        if self.clients.len() < CROWD || !busy {
            self.hub.check();
        }
        busy
    }

    /// Bytes from Redis to the hub.
    pub(crate) fn hear_redis(&mut self) -> bool {
        self.redis.work();
        let waiting = self.redis.waiting();
        if let Some(id) = self.link
            && waiting > 0
        {
            let n = self.pace.some(waiting);
            let mut bytes = self.redis.take(n);
            let losses = self.hub.tally().link.losses;
            self.hub.received(self.now, id, &mut bytes);
            if self.hub.tally().link.losses > losses {
                // Something in it ended the link. How much of it was heard before, nobody knows.
                self.redis.retract(n);
            }
            self.note();
        }
        waiting > 0
    }

    /// Bytes from the Redis of Django's sessions to the hub.
    fn hear_sessions(&mut self) -> bool {
        self.sessions.work();
        let waiting = self.sessions.waiting();
        if let Some(id) = self.sessions_link
            && waiting > 0
        {
            let n = self.pace.some(waiting);
            let mut bytes = self.sessions.take(n);
            self.hub.received(self.now, id, &mut bytes);
            self.note();
        }
        waiting > 0
    }

    /// Answers of the application to the hub.
    fn hear_application(&mut self) -> bool {
        let mut busy = false;
        while let Some((id, mut bytes)) = self.application.say() {
            busy = true;
            self.hub.received(self.now, id, &mut bytes);
            self.note();
        }
        busy
    }

    /// Bytes from clients to the hub, and news of those who left.
    fn hear_clients(&mut self) -> bool {
        let mut busy = false;
        for client in &mut self.clients {
            if client.is_dropped {
                continue;
            }
            if !client.to_hub.is_empty() {
                busy = true;
                let n = self.pace.some(client.to_hub.len());
                let mut bytes: Vec<u8> = client.to_hub.drain(..n).collect();
                self.hub.received(self.now, client.id, &mut bytes);
            } else if let Some(lost) = client.leaving.clone() {
                busy = true;
                self.hub.lost(self.now, client.id, lost);
            }
        }
        self.note();
        busy
    }

    /// Takes the hub's reports, and writes down what each session that opens may rely on.
    fn note(&mut self) {
        while let Some(report) = self.hub.next_report() {
            if let Report::Opened { id, channels, .. } = &report
                && *channels > 0
                && self.clients.len() < CROWD
            {
                self.opened.push((*id, self.redis.heard()));
            }
            self.reports.push(report);
        }
    }

    fn elapse(&mut self) -> bool {
        let is_due = self.hub.deadline().is_some_and(|due| due <= self.now);
        if is_due && self.is_punctual {
            self.elapsed();
        }
        is_due && self.is_punctual
    }

    /// Tells the hub the time.
    pub(crate) fn elapsed(&mut self) {
        self.hub.elapsed(self.now);
        self.note();
        self.act();
        let deadline = self.hub.deadline();
        assert!(
            deadline.is_none_or(|due| due > self.now) || self.hub.has_writes(),
            "it asks again for {deadline:?} at {:?}",
            self.now
        );
    }

    fn act(&mut self) -> bool {
        let mut busy = false;
        while let Some(action) = self.hub.next_action() {
            busy = true;
            match action {
                Action::Connect(id, To::Application) => match self.application.connect(id) {
                    Ok(()) => self.hub.connected(self.now, id),
                    Err(why) => self.hub.lost(self.now, id, Lost::Failed(why)),
                },
                Action::Connect(id, To::Redis(of)) => {
                    let (redis, link) = match of {
                        RedisOf::Messages => (&mut self.redis, &mut self.link),
                        RedisOf::Sessions => (&mut self.sessions, &mut self.sessions_link),
                    };
                    assert_eq!(*link, None, "one link at a time");
                    *link = Some(id);
                    match redis.connect() {
                        None => {}
                        Some(Ok(())) => self.hub.connected(self.now, id),
                        Some(Err(why)) => self.hub.lost(self.now, id, Lost::Failed(why)),
                    }
                }
                Action::HalfClose(id) => {
                    let client = self.client_of(id).unwrap();
                    assert!(!client.is_ended, "one goodbye");
                    client.is_ended = true;
                }
                Action::Drop(id) if self.link == Some(id) => {
                    self.link = None;
                    self.redis.cut();
                }
                Action::Drop(id) if self.sessions_link == Some(id) => {
                    self.sessions_link = None;
                    self.sessions.cut();
                }
                Action::Drop(id) if !self.by_id.contains_key(&id) => self.application.drop(id),
                Action::Drop(id) => {
                    let client = self.client_of(id).unwrap();
                    assert!(!client.is_dropped, "dropped once");
                    client.is_dropped = true;
                }
            }
        }
        busy
    }

    pub(crate) fn write(&mut self) -> bool {
        let mut busy = false;
        for who in std::mem::take(&mut self.unwritten) {
            busy = true;
            self.write_to(self.clients[who].id);
        }
        while let Some(id) = self.hub.next_write() {
            busy = true;
            self.write_to(id);
        }
        assert!(!self.hub.has_writes());
        busy
    }

    fn write_to(&mut self, id: PeerId) {
        while self.application.has(id) {
            let bytes = self.hub.pending(id, &mut self.cork);
            if bytes.is_empty() {
                return;
            }
            let n = self.pace.some(bytes.len()).max(1);
            self.application.hear(id, &bytes[..n]);
            self.hub.sent(id, n);
        }
        let links = [
            (self.link, &mut self.redis),
            (self.sessions_link, &mut self.sessions),
        ];
        let asked = links.into_iter().find(|(link, _)| *link == Some(id));
        if let Some((_, redis)) = asked {
            loop {
                let bytes = self.hub.pending(id, &mut self.cork);
                if bytes.is_empty() {
                    return;
                }
                let n = self.pace.some(bytes.len()).max(1);
                redis.hear(&bytes[..n]);
                self.hub.sent(id, n);
            }
        }
        let World {
            hub,
            clients,
            by_id,
            pace,
            cork,
            ..
        } = self;
        let Some(client) = by_id.get(&id).map(|who| &mut clients[*who]) else {
            return;
        };
        while !client.is_blocked && !client.is_dropped {
            let bytes = hub.pending(id, cork);
            if bytes.is_empty() {
                return;
            }
            let room = client.room.saturating_sub(client.from_hub.len());
            let n = pace.some(bytes.len()).min(room);
            client.from_hub.extend_from_slice(&bytes[..n]);
            client.is_blocked = n < bytes.len();
            hub.sent(id, n);
        }
    }

    /// Clients read, and those to whom nothing more could be written can be written to again.
    pub(crate) fn read(&mut self) -> bool {
        let mut busy = false;
        for (who, client) in self.clients.iter_mut().enumerate() {
            if !client.reads {
                continue;
            }
            if !client.from_hub.is_empty() || client.is_ended && client.leaving.is_none() {
                let n = self.pace.some(client.from_hub.len());
                busy |= n > 0 || !client.from_hub.is_empty();
                let is_new = client.answer.is_none();
                client.read(self.now, n);
                if is_new {
                    client.answered_after = self.redis.published.len();
                }
            }
            if client.is_blocked && client.from_hub.len() < client.room {
                client.is_blocked = false;
                self.unwritten.push_back(who);
                busy = true;
            }
        }
        busy
    }

    fn client_of(&mut self, id: PeerId) -> Option<&mut Client> {
        self.by_id.get(&id).map(|who| &mut self.clients[*who])
    }
}

impl Pace {
    /// How many of `n` bytes travel now.
    fn some(&mut self, n: usize) -> usize {
        match self {
            Pace::Whole => n.min(READ_BYTES),
            Pace::Single => n.min(1),
            Pace::Chance(random) => match random.u8(0..8) {
                0 => 0,
                1 => random.usize(0..=n).min(READ_BYTES),
                2 => 1.min(n),
                _ => n.min(READ_BYTES),
            },
        }
    }
}

/// Milliseconds.
pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
