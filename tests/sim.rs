//! The seeded simulation: a world in which everything goes wrong that can, and what must hold all the same.
//!
//! A run is its seed. Weighted misfortunes are drawn: connects, messages of clients and of two kinds of outside
//! publishers, expiring keys, partial reads and writes, resets, slow readers, a link that is cut, stalls, is refused or
//! finds an empty Redis, timers that are late or early. The hub's invariants are checked after every turn (see `World`);
//! here a shadow of who should have heard what is compared with what each client really got:
//!
//! 1. Nobody hears a channel that is not theirs, and nobody hears anything before the 101.
//! 2. While the link stands, every message published after a client saw its 101 reaches it exactly once, and all of them
//!    in the order of Redis. Across a lost link, what Redis told the gateway still arrives.
//! 3. On a link that stood, no channel ever goes back in time, persisted messages included.
//! 4. When all is well again, the last thing that each client has of each channel is what is persisted there, or newer.
//! 5. When everybody has gone, nothing is left: no session, no channel, no queued byte.
//!
//! `make sim` plays 64 seeds, `make sim SEEDS=5000` so many, `make sim SEED=17` that one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ws4redis::report::Tally;

use crate::world::client::Request;
use crate::world::{HERE, Pace, Who, World, ms};

/// Steps of one run.
const STEPS: usize = 300;
/// Clients that are connected at once, at most.
const PLAYERS_MAX: usize = 12;
const SEEDS: u64 = 64;

/// How a facility's outside publishers persist. One kind to each: were they mixed, the publishers themselves would
/// persist in another order than they publish.
const FACILITIES: [(&str, Publisher); 3] = [
    ("atomic", Publisher::Atomic),
    ("late", Publisher::Late(ms(180))),
    ("some", Publisher::Sometimes),
];

#[derive(Debug, Clone, Copy)]
enum Publisher {
    /// SETEX and PUBLISH in one transaction, as clients' messages are.
    Atomic,
    /// PUBLISH, and SETEX so much later, as the original does.
    Late(Duration),
    /// In one transaction, or PUBLISH alone.
    Sometimes,
}

#[test]
fn sim() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse::<u64>().ok())
    };
    if let Some(seed) = number("SEED") {
        return println!("seed {seed} holds: {:?}", play(seed));
    }
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    for seed in 0..seeds {
        if let Err(panic) = std::panic::catch_unwind(|| play(seed)) {
            eprintln!("seed {seed} fails: make sim SEED={seed}");
            std::panic::resume_unwind(panic);
        }
        if seeds > SEEDS && seed % 500 == 499 {
            println!("{} of {seeds} seeds hold", seed + 1);
        }
    }
}

fn play(seed: u64) -> Tally {
    let mut game = Game::new(seed);
    for step in 0..STEPS {
        game.step = step;
        game.misfortune();
        game.watch();
    }
    game.heal();
    game.everybody_has_the_newest();
    game.everybody_heard_what_there_was();
    game.everybody_leaves();
    game.world.hub.tally()
}

/// A world, and what is known of who is in it.
struct Game {
    world: World,
    random: fastrand::Rng,
    players: Vec<Player>,
    /// Who said which message; outsiders are not in it.
    said_by: BTreeMap<String, Who>,
    messages: usize,
    /// Is the heartbeat configured? Then it is no message.
    beats: bool,
    step: usize,
    troubles_until: Duration,
    clock: Duration,
}

/// One client and what it asked for.
struct Player {
    who: Who,
    hears: BTreeSet<String>,
    speaks: bool,
    echoes: bool,
    /// The gateway was on its so-manieth link when this one connected.
    link: usize,
    /// It saw its 101 when so many messages had been published.
    opened: Option<usize>,
}

impl Game {
    fn new(seed: u64) -> Game {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::seeded(seed, |config| {
            config.limits.queue_bytes_max = 4 << 10;
            config.limits.message_bytes_max = 2 << 10;
            config.heartbeat = (seed % 3 == 0).then(|| "--beat--".to_owned());
        });
        world.pace = Pace::Chance(random.fork());
        world.redis.mood.pushes_first = random.bool();
        world.advance(ms(100));
        Game {
            world,
            random,
            players: Vec::new(),
            said_by: BTreeMap::new(),
            messages: 0,
            beats: seed % 3 == 0,
            step: 0,
            troubles_until: Duration::ZERO,
            clock: Duration::ZERO,
        }
    }

    fn misfortune(&mut self) {
        match self.random.u8(0..100) {
            0..22 => self.connect(),
            22..34 => self.somebody_speaks(),
            34..54 => self.outsider_publishes(),
            54..57 => (0..8).for_each(|_| self.outsider_publishes()),
            57..75 => {
                let time = ms(self.random.u64(0..400));
                self.pass(time);
            }
            75..82 => drop(self.world.turn()),
            82..86 => self.somebody_leaves(),
            86..92 => self.somebody_stops_reading_or_starts_again(),
            92..94 => self.trouble(),
            94..96 => {
                let channel = self.some_channel();
                self.world.redis.expire(&channel);
            }
            96..98 => self.world.elapsed(),
            _ => {
                self.world.is_punctual = false;
                self.world.run();
                self.world.now += ms(self.random.u64(0..300));
                self.world.is_punctual = true;
            }
        }
        if self.clock >= self.troubles_until {
            self.calm();
        }
    }

    fn connect(&mut self) {
        let here = self
            .players
            .iter()
            .filter(|player| self.world.clients[player.who].is_open());
        if here.count() >= PLAYERS_MAX {
            return;
        }
        let (facility, publisher) = FACILITIES[self.random.usize(0..FACILITIES.len())];
        let key = self.random.bool().then(|| self.random.u8(0..3));
        let mut flags = Vec::new();
        let mut hears = BTreeSet::new();
        if self.random.u8(0..4) > 0 {
            flags.push("subscribe-broadcast");
            hears.insert(format!("broadcast:{facility}"));
        }
        if self.random.bool() {
            flags.push("subscribe-session");
            hears.extend(key.map(|key| format!("session:{key}:{facility}")));
        }
        // Clients persist atomically: they speak where outsiders do, too.
        let speaks = matches!(publisher, Publisher::Atomic) && self.random.bool();
        if speaks {
            flags.push("publish-broadcast");
        }
        let echoes = self.random.u8(0..3) == 0;
        if echoes {
            flags.push("echo");
        }
        let mut request = Request::to(&format!("/ws/{facility}?{}", flags.join("&")));
        if let Some(key) = key {
            request = request.with("Cookie", &format!("sessionid={key}"));
        }
        let who = self.world.ask(HERE, &request);
        if self.random.u8(0..3) == 0 {
            self.world.clients[who].room = self.random.usize(64..4_000);
        }
        self.players.push(Player {
            who,
            hears,
            speaks,
            echoes,
            link: self.world.redis.connects,
            opened: None,
        });
    }

    fn somebody_speaks(&mut self) {
        let Some(who) = self.somebody(|player| player.speaks) else {
            return;
        };
        let message = self.message();
        self.said_by.insert(message.clone(), who);
        let client = &mut self.world.clients[who];
        match self.random.u8(0..8) {
            0 if self.beats => client.say("--beat--"),
            1 => client.say(""),
            2 => client.say_binary(message.as_bytes()),
            _ => client.say(&message),
        }
    }

    fn outsider_publishes(&mut self) {
        let channel = self.some_channel();
        let facility = channel.rsplit(':').next().unwrap_or_default();
        let (_, publisher) = FACILITIES
            .into_iter()
            .find(|(name, _)| *name == facility)
            .unwrap();
        let message = self.message();
        let redis = &mut self.world.redis;
        match publisher {
            Publisher::Late(delay) => redis.publish_then_persist(&channel, message, delay),
            Publisher::Sometimes if self.random.bool() => redis.publish(&channel, message),
            Publisher::Atomic | Publisher::Sometimes => redis.publish_persistent(&channel, message),
        }
    }

    fn somebody_leaves(&mut self) {
        let Some(who) = self.somebody(|_| true) else {
            return;
        };
        let client = &mut self.world.clients[who];
        match self.random.u8(0..4) {
            0 => client.reset(),
            1 => client.leaving = Some(ws4redis::hub::Lost::Ended),
            _ => client.say_close(self.random.bool().then_some(1000)),
        }
    }

    fn somebody_stops_reading_or_starts_again(&mut self) {
        let Some(who) = self.somebody(|_| true) else {
            return;
        };
        let client = &mut self.world.clients[who];
        client.reads = !client.reads;
        if !client.reads {
            client.room = self.random.usize(64..3_000);
        }
    }

    /// Something is wrong with Redis, for a while.
    fn trouble(&mut self) {
        let redis = &mut self.world.redis;
        match self.random.u8(0..6) {
            0 => redis.mood.stalls = true,
            1 => redis.mood.refuses = true,
            2 => redis.mood.is_missing = true,
            3 => redis.forget(),
            _ => {}
        }
        if !self.world.redis.mood.stalls {
            self.world.cut();
        }
        self.troubles_until = self.clock + ms(self.random.u64(0..3_000));
    }

    fn calm(&mut self) {
        let mood = &mut self.world.redis.mood;
        (mood.stalls, mood.refuses, mood.is_missing) = (false, false, false);
    }

    fn pass(&mut self, time: Duration) {
        self.clock += time;
        self.world.advance(time);
    }

    /// Notes who has its 101 now, and that nobody heard what is not theirs.
    fn watch(&mut self) {
        let published = self.world.redis.published.len();
        for player in &mut self.players {
            if player.opened.is_none() && self.world.clients[player.who].status() == Some(101) {
                player.opened = Some(published);
            }
        }
    }

    fn heal(&mut self) {
        self.calm();
        self.world.pace = Pace::Whole;
        for client in &mut self.world.clients {
            client.reads = true;
            client.room = usize::MAX;
        }
        self.pass(ms(8_000));
        self.watch();
        assert_eq!(self.world.hub.ready(), Ok(()));
        assert_eq!(self.world.hub.tally().publish_queue, 0);
    }

    /// Claim 4.
    fn everybody_has_the_newest(&self) {
        let places = self.places();
        for player in self.open_players() {
            let messages = self.world.messages(player.who);
            for channel in &player.hears {
                let Some(persisted) = self.world.redis.get(channel) else {
                    continue;
                };
                if self.said_by.get(&persisted) == Some(&player.who) && !player.echoes {
                    continue;
                }
                let on_channel = |message: &&String| {
                    places
                        .get(*message)
                        .is_some_and(|places| places.iter().any(|(on, _)| on == channel))
                };
                let last = messages.iter().rfind(on_channel);
                let newest = |message: &String| places[message].iter().map(|(_, at)| *at).max();
                assert!(
                    last.is_some_and(|last| newest(last) >= newest(&persisted)),
                    "client {} has {last:?} of {channel}, where {persisted:?} is persisted: {messages:?}",
                    player.who,
                );
            }
        }
    }

    /// Claims 1, 2 and 3.
    fn everybody_heard_what_there_was(&self) {
        let places = self.places();
        for player in &self.players {
            let Some(opened) = player.opened else {
                continue;
            };
            let messages = self.messages_of(player);
            for message in &messages {
                let is_theirs = places[message]
                    .iter()
                    .any(|(channel, _)| player.hears.contains(channel));
                assert!(
                    is_theirs,
                    "client {} heard {message}, which is not for it",
                    player.who
                );
            }
            let link_stood = self.world.redis.connects == player.link;
            if link_stood {
                self.nothing_went_back(player, &messages, &places, opened);
            }
            if self.world.clients[player.who].is_open() {
                self.heard_all(player, &messages, opened, link_stood);
            }
        }
    }

    fn heard_all(&self, player: &Player, messages: &[String], opened: usize, link_stood: bool) {
        let mut due: BTreeMap<String, usize> = BTreeMap::new();
        for published in &self.world.redis.published[opened..] {
            let is_due = player.hears.contains(&published.channel);
            if is_due && self.world.redis.was_delivered(published) {
                *due.entry(text(&published.payload)).or_default() += 1;
            }
        }
        for (message, times) in due {
            let heard = messages.iter().filter(|heard| **heard == message).count();
            // The echo rule compares with what was said last, so one's own may come back or not.
            let own = self.said_by.get(&message) == Some(&player.who) && !player.echoes;
            let missing = heard < times && !own;
            let surplus = heard > times && link_stood;
            assert!(
                !missing && !surplus,
                "client {} heard {message} {heard} times and not {times}: {messages:?}",
                player.who,
            );
        }
    }

    fn nothing_went_back(
        &self,
        player: &Player,
        messages: &[String],
        places: &BTreeMap<String, Vec<(String, usize)>>,
        opened: usize,
    ) {
        let mut of_channel: BTreeMap<&str, usize> = BTreeMap::new();
        let mut of_all = 0;
        for message in messages {
            let (channel, at) = places[message].last().unwrap();
            let before = of_channel.insert(channel, *at);
            assert!(
                before.is_none_or(|before| before < *at),
                "client {} heard {message} of {channel} too late: {messages:?}",
                player.who,
            );
            if *at >= opened {
                assert!(
                    *at >= of_all,
                    "client {} heard {message} out of order: {messages:?}",
                    player.who
                );
                of_all = *at;
            }
        }
    }

    /// Claim 5.
    fn everybody_leaves(&mut self) {
        let drains = self.random.bool();
        if drains {
            self.world.hub.drain(self.world.now);
        }
        for client in &mut self.world.clients {
            match self.random.u8(0..3) {
                _ if drains => {}
                0 => client.reset(),
                _ => client.say_close(None),
            }
        }
        self.world.advance(ms(60_000));
        assert_eq!(self.world.hub.is_drained(), drains);
        let tally = self.world.hub.tally();
        let left = [
            tally.sessions,
            tally.pending,
            tally.clients,
            tally.channels,
            tally.partial_bytes,
        ];
        assert_eq!(left, [0; 5]);
        assert_eq!(
            tally.opened,
            tally.closes.iter().sum::<u64>(),
            "who opens closes"
        );
        assert_eq!(
            self.world.redis.heard(),
            BTreeSet::new(),
            "Redis heard that nobody listens"
        );
    }

    fn open_players(&self) -> impl Iterator<Item = &Player> {
        self.players
            .iter()
            .filter(|player| self.world.clients[player.who].is_open())
    }

    fn messages_of(&self, player: &Player) -> Vec<String> {
        let mut messages = self.world.messages(player.who);
        messages.retain(|message| message != "--beat--");
        messages
    }

    /// Where each message was published: a client's may have been published twice, at a lost link.
    fn places(&self) -> BTreeMap<String, Vec<(String, usize)>> {
        let mut places: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
        for (at, published) in self.world.redis.published.iter().enumerate() {
            places
                .entry(text(&published.payload))
                .or_default()
                .push((published.channel.clone(), at));
        }
        places
    }

    fn somebody(&mut self, fits: impl Fn(&Player) -> bool) -> Option<Who> {
        let open: Vec<Who> = self
            .open_players()
            .filter(|player| fits(player))
            .map(|player| player.who)
            .collect();
        (!open.is_empty()).then(|| open[self.random.usize(0..open.len())])
    }

    fn some_channel(&mut self) -> String {
        let (facility, _) = FACILITIES[self.random.usize(0..FACILITIES.len())];
        match self.random.u8(0..5) {
            0..3 => format!("broadcast:{facility}"),
            key => format!("session:{}:{facility}", key - 3),
        }
    }

    fn message(&mut self) -> String {
        self.messages += 1;
        let padding = if self.random.u8(0..6) == 0 { 900 } else { 0 };
        format!("m{}{}", self.messages, ".".repeat(padding))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
