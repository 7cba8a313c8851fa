//! Who hears what: channels by name, and channels by pattern.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::limits::{EMBEDDED_SUBSCRIPTION_BYTES_MAX, EMBEDDED_SUBSCRIPTIONS_MAX};
use crate::peer::PeerId;
use crate::wire::resp::Reply;

use super::error::CommandError;
use super::glob;
use super::outboxes::Outboxes;

/// What a subscription takes besides its name, measured: places in two trees and the beginning of a set.
const SUBSCRIPTION_OVERHEAD_BYTES: usize = 320;

/// What a subscription names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Channel,
    Pattern,
}

/// A message, on its way to those who hear its channel.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) channel: Bytes,
    pub(super) payload: Bytes,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(super) struct PubSub {
    channels: Table,
    patterns: Table,
    /// What both tables take.
    bytes: usize,
}

/// The same set of pairs, ordered both ways. No set in it is empty.
#[derive(Debug, Default)]
struct Table {
    by_name: BTreeMap<Bytes, BTreeSet<PeerId>>,
    by_client: BTreeMap<PeerId, BTreeSet<Bytes>>,
}

impl PubSub {
    /// The client hears this from now on, or did so already.
    pub(super) fn subscribe(
        &mut self,
        kind: Kind,
        id: PeerId,
        name: &Bytes,
    ) -> Result<(), CommandError> {
        if self.table(kind).has(id, name) {
            return Ok(());
        }
        let cost = cost(name);
        if self.count(id) >= EMBEDDED_SUBSCRIPTIONS_MAX
            || self.bytes + cost > EMBEDDED_SUBSCRIPTION_BYTES_MAX
        {
            return Err(CommandError::TooManySubscriptions);
        }
        self.bytes += cost;
        self.table_mut(kind).insert(id, name);
        Ok(())
    }

    /// The client does not hear this any more.
    pub(super) fn unsubscribe(&mut self, kind: Kind, id: PeerId, name: &Bytes) {
        if self.table_mut(kind).remove(id, name) {
            self.bytes -= cost(name);
        }
    }

    /// The client hears nothing any more.
    pub(super) fn forget(&mut self, id: PeerId) {
        for kind in [Kind::Channel, Kind::Pattern] {
            for name in self.heard_by(kind, id) {
                self.unsubscribe(kind, id, &name);
            }
        }
    }

    /// What a client hears.
    pub(super) fn heard_by(&self, kind: Kind, id: PeerId) -> Vec<Bytes> {
        let names = self.table(kind).by_client.get(&id);
        names.into_iter().flatten().cloned().collect()
    }

    /// How many channels and how many patterns a client hears.
    pub(super) fn counts(&self, id: PeerId) -> (usize, usize) {
        let count = |table: &Table| table.by_client.get(&id).map_or(0, BTreeSet::len);
        (count(&self.channels), count(&self.patterns))
    }

    /// How many of both.
    pub(super) fn count(&self, id: PeerId) -> usize {
        let (channels, patterns) = self.counts(id);
        channels + patterns
    }

    /// The channels that somebody hears by name, in order.
    pub(super) fn channels(&self) -> impl Iterator<Item = &Bytes> {
        self.channels.by_name.keys()
    }

    /// How many hear a channel by its name.
    pub(super) fn listeners(&self, channel: &Bytes) -> usize {
        self.channels.by_name.get(channel).map_or(0, BTreeSet::len)
    }

    /// How many patterns somebody hears.
    pub(super) fn patterns(&self) -> usize {
        self.patterns.by_name.len()
    }

    /// How many pushes a message to this channel makes: a client gets one for each way in which it hears it.
    pub(super) fn receivers(&self, channel: &Bytes) -> usize {
        let by_pattern = self.matching(channel).map(|(_, clients)| clients.len());
        self.listeners(channel) + by_pattern.sum::<usize>()
    }

    /// Pushes a message to all who hear its channel: those by name first, as in Redis.
    pub(super) fn deliver(&self, message: &Message, outboxes: &mut Outboxes) {
        let channel = || Reply::Bulk(message.channel.clone());
        let payload = || Reply::Bulk(message.payload.clone());
        let listeners = self.channels.by_name.get(&message.channel);
        outboxes.push_to_all(
            listeners.into_iter().flatten().copied(),
            &[word("message"), channel(), payload()],
        );
        for (pattern, clients) in self.matching(&message.channel) {
            let pattern = Reply::Bulk(pattern.clone());
            outboxes.push_to_all(
                clients.iter().copied(),
                &[word("pmessage"), pattern, channel(), payload()],
            );
        }
    }

    pub(super) fn check(&self, is_client: impl Fn(PeerId) -> bool) {
        let mut bytes = 0;
        for table in [&self.channels, &self.patterns] {
            let by_name: BTreeSet<_> = table
                .by_name
                .iter()
                .flat_map(|(name, ids)| ids.iter().map(move |id| (*id, name)))
                .collect();
            let by_client: BTreeSet<_> = table
                .by_client
                .iter()
                .flat_map(|(id, names)| names.iter().map(move |name| (*id, name)))
                .collect();
            assert_eq!(by_name, by_client, "both orders hold the same pairs");
            assert!(table.by_name.values().all(|ids| !ids.is_empty()));
            assert!(table.by_client.values().all(|names| !names.is_empty()));
            assert!(table.by_client.keys().all(|id| is_client(*id)));
            bytes += by_name.iter().map(|(_, name)| cost(name)).sum::<usize>();
        }
        assert_eq!(self.bytes, bytes, "all subscriptions are counted");
        assert!(bytes <= EMBEDDED_SUBSCRIPTION_BYTES_MAX);
    }

    fn matching(&self, channel: &Bytes) -> impl Iterator<Item = (&Bytes, &BTreeSet<PeerId>)> {
        self.patterns
            .by_name
            .iter()
            .filter(|(pattern, _)| glob::matches(pattern, channel))
    }

    fn table(&self, kind: Kind) -> &Table {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
        }
    }

    fn table_mut(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
        }
    }
}

impl Table {
    fn has(&self, id: PeerId, name: &Bytes) -> bool {
        self.by_client
            .get(&id)
            .is_some_and(|names| names.contains(name))
    }

    fn insert(&mut self, id: PeerId, name: &Bytes) {
        self.by_name.entry(name.clone()).or_default().insert(id);
        self.by_client.entry(id).or_default().insert(name.clone());
    }

    fn remove(&mut self, id: PeerId, name: &Bytes) -> bool {
        let Some(names) = self.by_client.get_mut(&id) else {
            return false;
        };
        if !names.remove(name) {
            return false;
        }
        if names.is_empty() {
            self.by_client.remove(&id);
        }
        if let Some(ids) = self.by_name.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_name.remove(name);
            }
        }
        true
    }
}

fn word(word: &'static str) -> Reply {
    Reply::Bulk(Bytes::from_static(word.as_bytes()))
}

fn cost(name: &Bytes) -> usize {
    name.len() + SUBSCRIPTION_OVERHEAD_BYTES
}
