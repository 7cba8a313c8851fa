//! The seeded simulation: a world in which everything goes wrong that can, and what must hold all the same.
//!
//! A run is its seed. Weighted actions are drawn: connects with random flags and identities, messages of clients and of
//! several kinds of outside publishers, orders, expiring keys, partial reads and writes, resets, slow and deaf readers, a link that
//! is cut, stalls, is refused, finds an empty Redis or one that takes no writes, time that is told late or early. The
//! hub's own invariants are checked after every turn (see `World`); what clients and operators were promised is checked
//! by `judge` after every step, and once more when all is well again and when everybody has gone.
//!
//! `make sim` plays 64 seeds, `make sim SEEDS=5000` so many, `make sim SEED=17` that one, telling each step.

mod judge; // what must hold
mod player; // one client, what it asked for and what it said

use std::panic::{AssertUnwindSafe, catch_unwind};

use ws4redis::hub::Lost;
use ws4redis::peer::{Door, From};
use ws4redis::{Config, Order};

use crate::world::redis::Mood;
use crate::world::{HERE, Pace, World, ms};
use judge::Judge;
use player::{Persists, Player, facilities};

/// Steps of one run.
const STEPS: usize = 300;
/// Runs, unless told otherwise.
const SEEDS: u64 = 64;
/// Clients that are connected at once, at most.
const PLAYERS_MAX: usize = 12;
const BEAT: &str = "--beat--";

#[test]
fn sim() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("SEED") {
        return play(seed, true);
    }
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    for seed in 0..seeds {
        play(seed, false);
        if seed % 500 == 499 {
            println!("{} of {seeds} seeds hold", seed + 1);
        }
    }
}

fn play(seed: u64, aloud: bool) {
    let mut game = Game::new(seed, aloud);
    let played = catch_unwind(AssertUnwindSafe(|| game.play()));
    if let Err(panic) = played {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        let (step, text) = (game.step, text.unwrap_or_default());
        panic!("seed {seed} fails at step {step} (make sim SEED={seed}): {text}");
    }
}

/// A world, who is in it, and who judges it.
struct Game {
    world: World,
    random: fastrand::Rng,
    players: Vec<Player>,
    judge: Judge,
    step: usize,
    messages: usize,
    /// Stands before every channel.
    prefix: &'static str,
    /// Is there a heartbeat? Then its text is no message.
    beats: bool,
    /// How the gateway persists what clients say.
    clients: Persists,
    /// What it was told at the start.
    config: Config,
    /// Until when something is wrong with Redis.
    trouble_until: ws4redis::tick::Tick,
    aloud: bool,
}

impl Game {
    fn new(seed: u64, aloud: bool) -> Game {
        let mut random = fastrand::Rng::with_seed(seed);
        let is_tight = random.u8(0..3) == 0;
        let beats = random.bool();
        let clients = [Persists::Atomically, Persists::Sometimes][random.usize(0..2)];
        let prefix = ["", "site:"][random.usize(0..2)];
        let mut told = Config::default();
        let mut world = World::seeded(seed, |config| {
            let limits = &mut config.limits;
            limits.queue_bytes_max = 16 << 10;
            limits.message_bytes_max = 2 << 10;
            limits.redis_message_bytes_max = 64 << 10;
            limits.budget_bytes_max = if is_tight { 40 << 10 } else { 4 << 20 };
            limits.publish_queue_max = 30;
            limits.publish_queue_age_max = ms(3_000);
            limits.ping_interval = ms(5_000);
            limits.pong_timeout = ms(2_000);
            limits.handshake_timeout = ms(3_000);
            limits.drain_per_second = 5;
            limits.drain_timeout = ms(8_000);
            config.expire = if clients == Persists::Atomically {
                3_600
            } else {
                0
            };
            config.control.unsigned = true;
            config.heartbeat = beats.then(|| BEAT.to_owned());
            config.prefix = prefix.trim_end_matches(':').to_owned();
            told = config.clone();
        });
        world.pace = Pace::Chance(random.fork());
        world.redis.mood.pushes_first = random.bool();
        let trouble_until = world.now;
        Game {
            world,
            random,
            players: Vec::new(),
            judge: Judge::new(is_tight),
            step: 0,
            messages: 0,
            prefix,
            beats,
            clients,
            config: told,
            trouble_until,
            aloud,
        }
    }

    fn play(&mut self) {
        self.world.advance(ms(100));
        while self.step < STEPS {
            let action = self.act();
            if self.aloud {
                println!("{:>4} {:>12?} {action}", self.step, self.world.now);
            }
            self.judge.look(&self.world, &mut self.players);
            self.step += 1;
        }
        self.heal();
        self.judge.look(&self.world, &mut self.players);
        self.judge.all_is_well(&self.world, &self.players);
        self.leave();
        self.judge.look(&self.world, &mut self.players);
        self.judge.nothing_is_left(&self.world);
    }

    /// Does something; says what.
    fn act(&mut self) -> String {
        if self.world.now >= self.trouble_until {
            self.calm();
        }
        match self.random.u8(0..100) {
            0..18 => self.connect(),
            18..32 => self.speak(),
            32..50 => self.publish(),
            50..54 => {
                let all: Vec<_> = (0..8).map(|_| self.publish()).collect();
                all.join(", ")
            }
            54..66 => {
                let time = ms(self.random.u64(0..400));
                self.world.advance(time);
                format!("{time:?} pass")
            }
            66..80 => self.creep(),
            80..85 => self.go(),
            85..91 => self.read_or_not(),
            91..93 => self.trouble(),
            93 => self.order(),
            94..96 => {
                let channel = self.some_channel();
                self.world.redis.expire(&channel);
                format!("{channel} expires")
            }
            96..98 => {
                self.world.elapsed();
                "the clock is looked at early".to_owned()
            }
            98 => self.reload(),
            _ => {
                self.world.run();
                self.world.now += ms(self.random.u64(0..400));
                "the clock is looked at late".to_owned()
            }
        }
    }

    /// The configuration is read anew, and is another one, but not for those who play by any rules.
    fn reload(&mut self) -> String {
        let mut config = self.config.clone();
        let limits = &mut config.limits;
        limits.sessions_per_address_max = self.random.usize(0..2) * 1_000;
        limits.ping_interval = ms(self.random.u64(4_000..5_000));
        limits.publish_queue_age_max = ms(self.random.u64(2_000..3_000));
        let max = limits.sessions_per_address_max;
        self.world.hub.reload(self.world.now, Ok(config));
        format!("it is reloaded: at most {max} sessions of an address")
    }

    /// Time passes in small steps while everything is on its way.
    fn creep(&mut self) -> String {
        let turns = self.random.u64(1..12);
        for _ in 0..turns {
            self.world.now += ms(self.random.u64(0..15));
            self.world.turn();
        }
        format!("{turns} turns")
    }

    fn connect(&mut self) -> String {
        let here = self.players.iter();
        let here = here.filter(|player| !self.world.clients[player.who].is_dropped);
        if here.count() >= PLAYERS_MAX {
            return "no room".to_owned();
        }
        let (mut player, request) = Player::draw(&mut self.random, self.prefix, self.clients);
        let from = if player.is_trusted { From::Unix } else { HERE };
        let who = self.world.knock(Door::Client, from);
        player.who = who;
        let client = &mut self.world.clients[who];
        let bytes = request.bytes();
        match self.random.u8(0..20) {
            0 => client.send(&bytes[..self.random.usize(0..bytes.len())]),
            1 => client.send(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
            _ => client.send(&bytes),
        }
        if !player.is_good {
            client.room = self.random.usize(200..4_000);
            client.pongs = self.random.bool();
            client.is_polite = self.random.bool();
        }
        let told = format!("{who} connects: {:?}", player.hears);
        self.players.push(player);
        told
    }

    fn speak(&mut self) -> String {
        let speaker = self.some_player(|player| player.speaks_to.is_some());
        let Some(at) = speaker else {
            return "nobody speaks".to_owned();
        };
        let channel = self.players[at].speaks_to.clone().unwrap_or_default();
        let text = match self.random.u8(0..10) {
            0 => self.again(&channel),
            1 => String::new(),
            2 if self.beats => BEAT.to_owned(),
            _ => self.message(),
        };
        let player = &mut self.players[at];
        let client = &mut self.world.clients[player.who];
        if self.random.u8(0..4) == 0 {
            client.say_binary(text.as_bytes());
        } else {
            client.say(&text);
        }
        let told = format!("{} says {:.20}", player.who, text);
        player.said.push(text);
        told
    }

    fn publish(&mut self) -> String {
        let channel = self.some_channel();
        let message = match Persists::on(&channel) {
            persists if persists == self.clients && self.random.u8(0..10) == 0 => {
                self.again(&channel)
            }
            _ => self.message(),
        };
        let delay = ms(self.random.u64(0..200));
        let redis = &mut self.world.redis;
        let told = format!("{message:.20} to {channel}");
        match Persists::on(&channel) {
            Persists::Late if redis.is_late(&channel) => return format!("{channel} is busy"),
            Persists::Late => redis.publish_then_persist(&channel, message, delay),
            Persists::Sometimes if self.random.bool() => redis.publish(&channel, message),
            Persists::Anyhow if self.random.bool() => {
                redis.publish_then_persist(&channel, message, delay);
            }
            _ => redis.publish_persistent(&channel, message),
        }
        told
    }

    /// What was published there last, perhaps by oneself: the echo rule looks at nothing else.
    fn again(&mut self, channel: &str) -> String {
        let mut published = self.world.redis.published.iter();
        let last = published.rfind(|published| published.channel == channel);
        let text = last.map(|last| String::from_utf8_lossy(&last.payload).into_owned());
        self.judge.repeated.extend(text.clone());
        text.unwrap_or_else(|| self.message())
    }

    fn go(&mut self) -> String {
        let Some(at) = self.some_player(|_| true) else {
            return "nobody goes".to_owned();
        };
        let who = self.players[at].who;
        let client = &mut self.world.clients[who];
        match self.random.u8(0..4) {
            0 => client.reset(),
            1 => client.leaving = Some(Lost::Ended),
            _ => client.say_close(self.random.bool().then_some(1_000)),
        }
        self.players[at].is_good = false;
        format!("{who} goes")
    }

    fn read_or_not(&mut self) -> String {
        let Some(at) = self.some_player(|player| !player.is_good) else {
            return "all read".to_owned();
        };
        let who = self.players[at].who;
        let client = &mut self.world.clients[who];
        client.reads = !client.reads;
        format!("{who} reads: {}", client.reads)
    }

    /// The application takes something back.
    fn order(&mut self) -> String {
        let mut order = match self.random.bool() {
            true => Order::disconnect(),
            false => Order::recheck(),
        };
        order = match self.random.u8(0..4) {
            0 => order.user("ann"),
            1 => order.group("red"),
            2 => order.session("0"),
            _ => order.session("1"),
        };
        if self.random.u8(0..3) == 0 {
            order = order.user("ann");
        }
        let channel = format!("{}ws4redis:control", self.prefix);
        let json = order.to_json();
        let at = self.world.redis.published.len();
        self.world.redis.publish(&channel, &json);
        self.judge.orders.push((at, order));
        format!("the order {json}")
    }

    /// Something is wrong with Redis, for a while.
    fn trouble(&mut self) -> String {
        let time = ms(self.random.u64(0..3_000));
        self.trouble_until = self.world.now + time;
        let mood = &mut self.world.redis.mood;
        let kind = self.random.u8(0..10);
        let what = match kind {
            0 => "refuses",
            1 => "is missing",
            2 => "has forgotten everything",
            3 => "takes no writes",
            4 => "is a replica",
            5 => "denies a facility",
            6 => "stalls",
            7 => "loads",
            _ => "cuts",
        };
        match kind {
            0 => mood.refuses = true,
            1 => mood.is_missing = true,
            2 => self.world.redis.forget(),
            3 => mood.readonly = Some("OOM command not allowed".to_owned()),
            4 => mood.readonly = Some("READONLY You can't write".to_owned()),
            5 => {
                let (facility, _) = facilities()[self.random.usize(0..4)];
                let channel = format!("{}broadcast:{facility}", self.prefix);
                mood.denied.insert(channel.clone());
                self.judge.denied.insert(channel);
            }
            6 => mood.stalls = true,
            7 => mood.loads = true,
            _ => {}
        }
        if kind < 3 || kind > 4 && kind != 6 && self.random.bool() {
            self.world.cut();
        }
        format!("Redis {what} for {time:?}")
    }

    fn calm(&mut self) {
        let mood = &mut self.world.redis.mood;
        *mood = Mood {
            pushes_first: mood.pushes_first,
            ..Mood::default()
        };
    }

    fn heal(&mut self) {
        self.calm();
        self.world.pace = Pace::Whole;
        for client in &mut self.world.clients {
            client.reads = true;
            client.room = usize::MAX;
        }
        self.world.advance(ms(10_000));
    }

    fn leave(&mut self) {
        if self.random.bool() {
            self.world.hub.drain(self.world.now);
            self.world.advance(ms(8_000));
            assert!(self.world.hub.is_drained());
            return;
        }
        for player in &mut self.players {
            player.is_good = false;
        }
        for client in &mut self.world.clients {
            match self.random.bool() {
                true => client.reset(),
                false => client.say_close(None),
            }
        }
        self.world.advance(ms(60_000));
    }

    fn some_player(&mut self, fits: impl Fn(&Player) -> bool) -> Option<usize> {
        let here = self.players.iter().enumerate();
        let here = here.filter(|(_, player)| self.world.clients[player.who].is_here());
        let here: Vec<usize> = here
            .filter(|(_, player)| fits(player))
            .map(|(at, _)| at)
            .collect();
        self.random.choice(here)
    }

    fn some_channel(&mut self) -> String {
        let (facility, _) = facilities()[self.random.usize(0..4)];
        let audience = match self.random.u8(0..8) {
            0 => "session:0",
            1 => "session:1",
            2 => "user:ann",
            3 => "group:red",
            _ => "broadcast",
        };
        format!("{}{audience}:{facility}", self.prefix)
    }

    fn message(&mut self) -> String {
        self.messages += 1;
        let padding = [0, 0, 0, 0, 130, 700][self.random.usize(0..6)];
        format!("m{}{}", self.messages, ".".repeat(padding))
    }
}
