//! What must hold.
//!
//! 1. Nobody hears what is not theirs, what nobody published, or anything before the 101; and the 101 comes only when
//!    Redis has confirmed all subscriptions.
//! 2. While the link stands, every message published after a client saw its 101 reaches it exactly once, those of all its
//!    channels in the order of Redis. What Redis told the gateway before the link broke arrives, too.
//! 3. No channel goes back in time, persisted messages included, unless the publishers themselves persist so.
//! 4. When all is well again, the last thing that each client has of each channel is what is persisted there, or newer.
//! 5. What clients say is published in their order, and twice only if the link broke in between.
//! 6. Each session opens once and ends once, for a reason that it gave; the counts are those of the reports.
//! 7. Whoever was open when an order came that means it is closed for that, and nobody else is.
//! 8. When everybody has gone, nothing is left: no session, no channel, no subscription, no byte.

use std::collections::{BTreeMap, BTreeSet};

use ws4redis::Order;
use ws4redis::close::Close;
use ws4redis::peer::PeerId;
use ws4redis::report::Report;
use ws4redis::wire::order::Action;

use super::BEAT;
use super::player::{Persists, Player};
use crate::world::World;
use crate::world::client::Frame;

/// What is known of a run so far.
#[derive(Debug)]
pub(super) struct Judge {
    /// Messages that were published more than once on purpose.
    pub(super) repeated: BTreeSet<String>,
    /// Channels that Redis has denied for a while, and their keys with them.
    pub(super) denied: BTreeSet<String>,
    /// What was ordered, and at which place in the order of Redis.
    pub(super) orders: Vec<(usize, Order)>,
    /// The byte budget is so small that even who reads may pay for it.
    is_tight: bool,
    /// On which channel each message was published, and at which places in the order of Redis.
    places: BTreeMap<String, (String, Vec<usize>)>,
    opened: BTreeSet<PeerId>,
    closed: BTreeMap<PeerId, Close>,
    refused: u64,
    published_seen: usize,
    reports_seen: usize,
    openings_seen: usize,
}

impl Judge {
    pub(super) fn new(is_tight: bool) -> Judge {
        Judge {
            repeated: BTreeSet::new(),
            denied: BTreeSet::new(),
            orders: Vec::new(),
            is_tight,
            places: BTreeMap::new(),
            opened: BTreeSet::new(),
            closed: BTreeMap::new(),
            refused: 0,
            published_seen: 0,
            reports_seen: 0,
            openings_seen: 0,
        }
    }

    /// After every step.
    pub(super) fn look(&mut self, world: &World, players: &mut [Player]) {
        self.note_published(world);
        self.judge_openings(world, players);
        self.judge_reports(world, players);
        for player in players {
            self.judge_frames(world, player);
        }
    }

    /// After a while with a healthy Redis and clients that read.
    pub(super) fn all_is_well(&self, world: &World, players: &[Player]) {
        let tally = world.hub.tally();
        assert_eq!(world.hub.ready(), Ok(()));
        assert_eq!((tally.publish_queue, tally.queued_bytes), (0, 0));
        let published = world.redis.published.iter();
        let told = published.filter(|one| world.redis.was_delivered(one));
        let told = told.filter(|one| !one.channel.contains("ws4redis:"));
        assert!(tally.messages_in >= told.count() as u64);
        let mut heard = BTreeSet::new();
        for player in players {
            let is_open = world.clients[player.who].is_open();
            assert!(!is_open || !self.is_sent_away(world, player), "{player:?}");
            self.judge_numbers(world, player, is_open);
            if is_open {
                heard.extend(player.hears.iter().cloned());
                self.judge_newest(world, player);
                self.judge_said(world, player);
            }
        }
        assert_eq!(world.redis.heard(), heard, "Redis knows who listens");
    }

    /// After everybody has gone.
    pub(super) fn nothing_is_left(&self, world: &World) {
        let tally = world.hub.tally();
        for (what, left) in [
            ("sessions", tally.sessions),
            ("pending", tally.pending),
            ("clients", tally.clients),
            ("channels", tally.channels),
            ("queued bytes", tally.queued_bytes),
            ("partial bytes", tally.partial_bytes),
            ("publishes", tally.publish_queue),
        ] {
            assert_eq!(left, 0, "{what} are left");
        }
        assert_eq!(self.opened.len(), self.closed.len(), "who opens closes");
        assert_eq!(world.redis.heard(), BTreeSet::new());
        assert!(world.clients.iter().all(|client| client.is_dropped));
    }

    fn note_published(&mut self, world: &World) {
        let all = world.redis.published.iter().enumerate();
        for (at, published) in all.skip(self.published_seen) {
            let text = String::from_utf8_lossy(&published.payload).into_owned();
            if published.channel.contains("ws4redis:") {
                continue;
            }
            let channel = || (published.channel.clone(), Vec::new());
            let (on, places) = self.places.entry(text).or_insert_with(channel);
            assert_eq!(*on, published.channel, "a message for one channel");
            places.push(at);
        }
        self.published_seen = world.redis.published.len();
    }

    /// Claim 1.
    fn judge_openings(&mut self, world: &World, players: &[Player]) {
        for (id, confirmed) in &world.opened[self.openings_seen..] {
            let mut who = players.iter();
            let player = who.find(|player| world.clients[player.who].id == *id);
            let hears = &player.unwrap().hears;
            assert!(hears.is_subset(confirmed), "{hears:?} of {confirmed:?}");
        }
        self.openings_seen = world.opened.len();
    }

    /// Claim 6.
    fn judge_reports(&mut self, world: &World, players: &[Player]) {
        for report in &world.reports[self.reports_seen..] {
            match report {
                Report::Opened { id, .. } => {
                    assert!(self.opened.insert(*id), "{id} opens twice");
                }
                Report::Closed { id, close, .. } => {
                    assert!(self.opened.contains(id), "{id} closes and was never open");
                    let twice = self.closed.insert(*id, *close);
                    assert_eq!(twice, None, "{id} closes twice");
                    let mut who = players.iter();
                    let player = who.find(|player| world.clients[player.who].id == *id);
                    self.judge_close(player.unwrap(), *close);
                }
                Report::Refused { .. } => self.refused += 1,
                _ => {}
            }
        }
        self.reports_seen = world.reports.len();
        let tally = world.hub.tally();
        assert_eq!(tally.opened, self.opened.len() as u64);
        assert_eq!(tally.closes.iter().sum::<u64>(), self.closed.len() as u64);
        assert_eq!(tally.refusals.iter().sum::<u64>(), self.refused);
        let open = self.opened.len() - self.closed.len();
        assert_eq!(tally.sessions, open as u64);
    }

    fn judge_close(&self, player: &Player, close: Close) {
        let may = match close {
            Close::Client(_) | Close::Gone | Close::Idle => !player.is_good,
            Close::Slow => !player.is_good || self.is_tight,
            Close::PublishQueueFull | Close::PublishRefused => player.speaks_to.is_some(),
            Close::SubscribeRefused => !self.denied.is_disjoint(&player.hears),
            Close::Drain => true,
            Close::Revoked => self.is_meant(player, Action::Disconnect),
            Close::Recheck => self.is_meant(player, Action::Recheck),
            Close::Protocol | Close::NotUtf8 | Close::TooFast | Close::TooBig | Close::Expired => {
                false
            }
        };
        let (who, good) = (player.who, player.is_good);
        assert!(may, "{who} (good: {good}) is closed for {close:?}");
    }

    /// Claim 7.
    fn is_meant(&self, player: &Player, action: Action) -> bool {
        let mut orders = self.orders.iter();
        orders.any(|(_, order)| order.action == action && player.is_meant_by(order))
    }

    /// Did the gateway hear an order that means it after its 101?
    fn is_sent_away(&self, world: &World, player: &Player) -> bool {
        let since = world.clients[player.who].answered_after;
        let published = &world.redis.published;
        self.orders.iter().any(|(at, order)| {
            *at >= since && world.redis.was_delivered(&published[*at]) && player.is_meant_by(order)
        })
    }

    /// Claims 1 to 3.
    fn judge_frames(&self, world: &World, player: &mut Player) {
        let client = &world.clients[player.who];
        for heard in &client.heard[player.judged..] {
            let text = match &heard.frame {
                Frame::Text(text) if text == BEAT => continue,
                Frame::Text(text) => text,
                Frame::Binary(bytes) => panic!("{bytes:?} was text"),
                _ => continue,
            };
            let known = self.places.get(text);
            let (channel, places) = known.unwrap_or_else(|| panic!("nobody published {text}"));
            let who = player.who;
            assert!(player.hears.contains(channel), "{text} is not for {who}");
            let before = player.newest.get(channel).copied();
            let mut later = places
                .iter()
                .filter(|at| before.is_none_or(|before| **at > before));
            let Some(&at) = later.next() else {
                self.judge_older(world, player, channel, text);
                continue;
            };
            player.newest.insert(channel.clone(), at);
            let published = &world.redis.published[at];
            let is_live = at >= client.answered_after && world.redis.was_delivered(published);
            // Of a message that came more than once nobody knows which one this is.
            if is_live && !player.said.contains(text) && !self.repeated.contains(text) {
                assert!(
                    at > player.newest_live,
                    "{text} comes to {who} out of order"
                );
                player.newest_live = at;
            }
        }
        player.judged = client.heard.len();
    }

    /// A client gets what it had already, or what is older.
    fn judge_older(&self, world: &World, player: &Player, channel: &str, text: &str) {
        let newest = player.newest[channel];
        let link_broke = world.redis.connects > world.redis.published[newest].connects;
        let is_same = self.places[text].1.contains(&newest);
        let may = match Persists::on(channel) {
            Persists::Atomically | Persists::Late => link_broke && is_same,
            // What is persisted may be older than what was published and not persisted.
            Persists::Sometimes => link_broke,
            Persists::Anyhow => true,
        };
        let (who, messages) = (player.who, world.messages(player.who));
        let messages = brief(&messages);
        assert!(may, "{text:.9} comes to {who} too late: {messages:?}");
    }

    /// Claim 2.
    fn judge_numbers(&self, world: &World, player: &Player, is_open: bool) {
        let client = &world.clients[player.who];
        if client.status() != Some(101) {
            return;
        }
        let mut heard: BTreeMap<&str, usize> = BTreeMap::new();
        let messages = client.messages();
        for text in messages.iter().filter(|text| *text != BEAT) {
            *heard.entry(text).or_default() += 1;
        }
        for (text, (channel, places)) in &self.places {
            if !player.hears.contains(channel) {
                continue;
            }
            let heard = heard.get(text.as_str()).copied().unwrap_or_default();
            let published = |at: &usize| &world.redis.published[*at];
            let after = places.iter().filter(|at| **at >= client.answered_after);
            let told = after.map(published);
            let due = told.filter(|one| world.redis.was_delivered(one)).count();
            // The echo rule compares with what was said last, so one's own may come back or not.
            let is_own = player.said.contains(text) && !player.echoes;
            let who = player.who;
            if is_open && !is_own {
                let messages = brief(&messages);
                assert!(
                    heard >= due,
                    "{who} heard {text:.9} {heard} times of {due}: {messages:?}"
                );
            }
            // Each lost link may bring it again, and so may the next one that is made.
            let links = world.redis.connects - published(&places[0]).connects;
            let most = places.len() + links;
            let messages = brief(&messages);
            assert!(
                heard <= most,
                "{who} heard {text:.9} {heard} times: {messages:?}"
            );
        }
    }

    /// Claim 4.
    fn judge_newest(&self, world: &World, player: &Player) {
        let messages = world.messages(player.who);
        for channel in player.hears.difference(&self.denied) {
            let Some(persisted) = world.redis.get(channel) else {
                continue;
            };
            let newest = |text: &String| self.places[text].1.last().copied();
            // What it said itself it has, though nobody sent it back.
            let own = player
                .said
                .iter()
                .filter(|text| self.places.get(*text).is_some_and(|(on, _)| on == channel));
            if !player.echoes && own.map(newest).max() >= Some(newest(&persisted)) {
                continue;
            }
            let on_channel = |text: &&String| {
                let known = self.places.get(*text);
                known.is_some_and(|(on, _)| on == channel)
            };
            let last = messages.iter().rfind(on_channel);
            assert!(
                last.is_some_and(|last| newest(last) >= newest(&persisted)),
                "{} has {last:.9?} of {channel}, where {persisted:.9} is persisted: {:?}",
                player.who,
                brief(&messages),
            );
        }
    }

    /// Claim 5.
    fn judge_said(&self, world: &World, player: &Player) {
        let mut before = None;
        for text in &player.said {
            if text.is_empty() || text == BEAT || self.repeated.contains(text) {
                continue;
            }
            let who = player.who;
            let places = self.places.get(text).map(|(_, places)| places.as_slice());
            let places = places.unwrap_or_else(|| panic!("{text} of {who} was lost"));
            // Of those that were sent again, the last time counts: that is what stays.
            assert!(before < places.last(), "{text} of {who} was overtaken");
            before = places.last();
            let links = places.iter().map(|at| world.redis.published[*at].connects);
            let links: BTreeSet<usize> = links.collect();
            assert_eq!(
                links.len(),
                places.len(),
                "{text} of {who} was published twice"
            );
        }
    }
}

/// Messages without their padding.
fn brief(messages: &[String]) -> Vec<&str> {
    let messages = messages.iter();
    messages.map(|text| text.trim_end_matches('.')).collect()
}
