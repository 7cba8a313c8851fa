//! One client of the simulation: what it asked for, what it said, and what it is known to have got.

use std::collections::{BTreeMap, BTreeSet};

use ws4redis::Order;

use crate::world::Who;
use crate::world::client::Request;

/// How those who publish on a facility persist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persists {
    /// In one transaction with PUBLISH.
    Atomically,
    /// After it, one message after the other, as one publisher of the original does.
    Late,
    /// In one transaction, or not at all.
    Sometimes,
    /// In any way and all at once: the publishers themselves persist in another order than they publish.
    Anyhow,
}

/// The facilities.
pub(super) fn facilities() -> [(&'static str, Persists); 4] {
    [
        ("atomic", Persists::Atomically),
        ("late", Persists::Late),
        ("some", Persists::Sometimes),
        ("any", Persists::Anyhow),
    ]
}

impl Persists {
    /// How it is done on a channel.
    pub(super) fn on(channel: &str) -> Persists {
        let facility = channel.rsplit(':').next();
        let found = facilities()
            .into_iter()
            .find(|(name, _)| Some(*name) == facility);
        found.unwrap().1
    }
}

/// A client.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) who: Who,
    pub(super) hears: BTreeSet<String>,
    /// The channel that its messages go to.
    pub(super) speaks_to: Option<String>,
    pub(super) said: Vec<String>,
    pub(super) echoes: bool,
    /// It comes from a peer whose identity headers are believed.
    pub(super) is_trusted: bool,
    /// The session key that it has.
    pub(super) session: Option<String>,
    /// It is the user ann, of the group red.
    pub(super) is_ann: bool,
    /// It reads, answers and stays: there is no reason to close it.
    pub(super) is_good: bool,
    /// How many of its frames were judged.
    pub(super) judged: usize,
    /// The place, in the order of Redis, of the newest message that it has of each channel.
    pub(super) newest: BTreeMap<String, usize>,
    /// The same for all its channels together, of live messages only.
    pub(super) newest_live: usize,
}

impl Player {
    /// Somebody, and its request. `clients`: how the gateway persists what clients say.
    pub(super) fn draw(
        random: &mut fastrand::Rng,
        prefix: &str,
        clients: Persists,
    ) -> (Player, Request) {
        let (facility, persists) = facilities()[random.usize(0..4)];
        let mut player = Player {
            who: 0,
            hears: BTreeSet::new(),
            speaks_to: None,
            said: Vec::new(),
            echoes: random.u8(0..3) == 0,
            is_trusted: random.bool(),
            session: None,
            is_ann: false,
            is_good: random.bool(),
            judged: 0,
            newest: BTreeMap::new(),
            newest_live: 0,
        };
        let mut names = vec![("broadcast", Some("broadcast".to_owned()))];
        let key = random.bool().then(|| random.u8(0..2));
        player.session = key.map(|key| key.to_string());
        names.push(("session", key.map(|key| format!("session:{key}"))));
        let ann = player.is_trusted && random.bool();
        player.is_ann = ann;
        names.push(("user", ann.then(|| "user:ann".to_owned())));
        names.push(("group", ann.then(|| "group:red".to_owned())));
        let mut flags = Vec::new();
        for (audience, name) in names {
            let channel = name.map(|name| format!("{prefix}{name}:{facility}"));
            if random.u8(0..3) > 0 {
                flags.push(format!("subscribe-{audience}"));
                player.hears.extend(channel.clone());
            }
            let may_speak = persists == clients || persists == Persists::Anyhow;
            if may_speak && player.speaks_to.is_none() && random.u8(0..3) == 0 {
                flags.push(format!("publish-{audience}"));
                player.speaks_to = channel;
            }
        }
        if player.echoes {
            flags.push("echo".to_owned());
        }
        let mut request = Request::to(&format!("/ws/{facility}?{}", flags.join("&")));
        if let Some(key) = key {
            request = request.cookie(&format!("sessionid={key}"));
        }
        // Anybody can send these; they count from the trusted only.
        let forged = !player.is_trusted && random.bool();
        if ann || forged {
            request = request.with("X-Ws4redis-User", "ann");
            request = request.with("X-Ws4redis-Groups", "red");
        }
        (player, request)
    }

    /// Does this order mean it?
    pub(super) fn is_meant_by(&self, order: &Order) -> bool {
        let is_of_ann = order.user.is_some() || order.group.is_some();
        (self.is_ann || !is_of_ann) && (order.session.is_none() || order.session == self.session)
    }
}
