//! The embedded Redis: the very small one that `serve --embedded` brings along, so that a gateway can be tried,
//! and a small site be run, without another server.
//!
//! Facts in, wishes out, as everywhere in the hub: bytes of commands come in by [`Embedded::received`], replies
//! and pushes wait in [`Embedded::pending`]. It has strings, expiry, pub/sub and transactions, in RESP2 and
//! RESP3, and answers as Redis does, errors included: redis-cli, redis-py and the gateway's own link cannot tell.
//! Where it must differ (its limits, no wall clock) it says so in an error. Nothing outlives the process.
//!
//! Rooms: `keyspace` has the values, `pubsub` knows who hears what, `outboxes` holds what waits to be sent,
//! `client` is one connection; `commands` has a function for each command and no memory at all.

mod client;
mod commands;
mod error;
mod glob;
mod keyspace;
mod outboxes;
mod pubsub;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::limits::{EMBEDDED_BUFFERS_BYTES_MAX, EMBEDDED_CONNECTIONS_MAX};
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::resp::Reply;

use client::Client;
use commands::Context;
use keyspace::Keyspace;
use outboxes::Outboxes;
use pubsub::PubSub;

/// A very small Redis, without its sockets.
#[derive(Debug, Default)]
pub struct Embedded {
    clients: BTreeMap<PeerId, Client>,
    keys: Keyspace,
    pubsub: PubSub,
    outboxes: Outboxes,
    /// Bytes that all clients have sent and that are still here, see [`Client::held`].
    held: usize,
    /// Connections accepted so far: the ids that `CLIENT ID` tells.
    accepted: u64,
}

impl Embedded {
    /// An empty one.
    pub fn new() -> Embedded {
        Embedded::default()
    }

    /// Somebody connected; `false` if there are too many already, and the connection is to be closed.
    pub fn accepted(&mut self, id: PeerId) -> bool {
        if self.clients.len() >= EMBEDDED_CONNECTIONS_MAX {
            return false;
        }
        self.accepted += 1;
        self.clients.insert(id, Client::new(self.accepted));
        self.outboxes.open(id);
        true
    }

    /// Bytes came from a client: executes the commands that are whole with them.
    pub fn received(&mut self, now: Tick, id: PeerId, bytes: &[u8]) {
        self.make_room(bytes.len());
        if !self.outboxes.is_open(id) {
            return;
        }
        // The client steps out of the table while it speaks: it changes, and the others may be looked at.
        let Some(mut client) = self.clients.remove(&id) else {
            return;
        };
        let held_before = client.held();
        client.reader.feed(bytes);
        // Who said QUIT, or was cut off for what its last command answers, is not heard any more.
        while self.outboxes.is_open(id) {
            match client.reader.pull() {
                Ok(Some(words)) => self.execute(now, id, &mut client, &words),
                Ok(None) => break,
                Err(malformed) => {
                    let text = format!("ERR Protocol error: {malformed}");
                    self.outboxes.reply(id, &Reply::Error(text));
                    self.outboxes.leave(id);
                }
            }
        }
        self.held = self.held - held_before + client.held();
        self.clients.insert(id, client);
    }

    /// A client's connection is gone, whoever ended it: forgets the client.
    pub fn lost(&mut self, id: PeerId) {
        if let Some(client) = self.clients.remove(&id) {
            self.held -= client.held();
            self.keys.unwatch(client.watches.versions);
        }
        self.pubsub.forget(id);
        self.outboxes.close(id);
    }

    /// The next client that has new bytes to be sent or is to be closed; each once.
    pub fn next_dirty(&mut self) -> Option<PeerId> {
        self.outboxes.next_dirty()
    }

    /// Does somebody wait to be named by [`Embedded::next_dirty`]?
    pub fn has_dirty(&self) -> bool {
        self.outboxes.has_dirty()
    }

    /// What is to be sent to a client now.
    pub fn pending(&self, id: PeerId) -> &[u8] {
        self.outboxes.pending(id)
    }

    /// The first `n` bytes of [`Embedded::pending`] went out.
    pub fn sent(&mut self, id: PeerId, n: usize) {
        self.outboxes.sent(id, n);
    }

    /// Is a client to be closed, with nothing left to be sent to it?
    pub fn finished(&self, id: PeerId) -> bool {
        self.outboxes.finished(id)
    }

    /// When [`Embedded::elapsed`] has something to do.
    pub fn deadline(&self) -> Option<Tick> {
        self.keys.deadline()
    }

    /// Time passed: gives back the memory of some of the keys that have expired.
    pub fn elapsed(&mut self, now: Tick) {
        self.keys.sweep(now);
    }

    /// For tests and simulation.
    ///
    /// # Panics
    /// If an invariant of a room, or one between two of them, does not hold.
    pub fn check(&self) {
        self.keys.check(
            self.clients
                .values()
                .flat_map(|client| &client.watches.versions),
        );
        let held = self.clients.values().map(Client::held);
        assert_eq!(self.held, held.sum::<usize>(), "what is held is counted");
        self.pubsub.check(|id| self.clients.contains_key(&id));
        self.outboxes.check(|id| self.clients.contains_key(&id));
        for client in self.clients.values() {
            client.check();
        }
    }

    /// Makes room for bytes that came. Where all clients together hold too much, the one that holds the most is
    /// closed, whoever is about to add to it.
    fn make_room(&mut self, bytes: usize) {
        while self.held + bytes > EMBEDDED_BUFFERS_BYTES_MAX {
            let clients = self.clients.iter_mut();
            let fattest = clients.max_by_key(|(_, client)| client.held());
            let Some((&id, client)) = fattest.filter(|(_, client)| client.held() > 0) else {
                break;
            };
            self.held -= client.held();
            let number = client.number;
            let client = std::mem::replace(client, Client::new(number));
            self.keys.unwatch(client.watches.versions);
            self.outboxes.cut(id);
        }
    }

    fn execute(&mut self, now: Tick, id: PeerId, client: &mut Client, words: &[Bytes]) {
        let mut context = Context {
            now,
            id,
            client,
            others: &self.clients,
            keys: &mut self.keys,
            pubsub: &mut self.pubsub,
            outboxes: &mut self.outboxes,
            published: Vec::new(),
        };
        commands::run(&mut context, words);
        // After the reply, as Redis does since 7.2: a client that publishes to itself from within EXEC would
        // otherwise find the push in the middle of EXEC's array, where a parser cannot tell it from an element.
        let published = context.published;
        for message in &published {
            self.pubsub.deliver(message, &mut self.outboxes);
        }
    }
}
