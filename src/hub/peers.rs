//! Everybody at the other end of a socket, under one numbering.
//!
//! The reactor's socket table uses the same indices, so an event finds its peer by two array look-ups.

use slab::Slab;

use super::session::Session;
use crate::peer::{PeerId, RedisOf};

/// What is at the other end.
#[derive(Debug)]
pub(crate) enum Peer {
    /// A client, or a caller of the admin listener.
    Session(Session),
    /// A Redis.
    Link(RedisOf),
    /// The application that is asked about clients.
    Application,
    /// A client of the embedded Redis.
    Backend,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    slots: Slab<Slot>,
    generations: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    peer: Peer,
}

impl Peers {
    pub(crate) fn insert(&mut self, peer: Peer) -> PeerId {
        self.generations = self.generations.wrapping_add(1);
        // Descriptors are far fewer than 2^32.
        let index = self.slots.insert(Slot {
            generation: self.generations,
            peer,
        }) as u32;
        PeerId {
            index,
            generation: self.generations,
        }
    }

    pub(crate) fn get(&self, id: PeerId) -> Option<&Peer> {
        let slot = self.slots.get(id.index as usize)?;
        (slot.generation == id.generation).then_some(&slot.peer)
    }

    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        let slot = self.slots.get_mut(id.index as usize)?;
        (slot.generation == id.generation).then_some(&mut slot.peer)
    }

    pub(crate) fn session(&self, id: PeerId) -> Option<&Session> {
        match self.get(id)? {
            Peer::Session(session) => Some(session),
            Peer::Link(_) | Peer::Application | Peer::Backend => None,
        }
    }

    pub(crate) fn session_mut(&mut self, id: PeerId) -> Option<&mut Session> {
        match self.get_mut(id)? {
            Peer::Session(session) => Some(session),
            Peer::Link(_) | Peer::Application | Peer::Backend => None,
        }
    }

    /// The session at a place of the table, with its full name.
    #[inline]
    pub(crate) fn session_at(&mut self, index: u32) -> Option<(PeerId, &mut Session)> {
        let slot = self.slots.get_mut(index as usize)?;
        match &mut slot.peer {
            Peer::Session(session) => Some((
                PeerId {
                    index,
                    generation: slot.generation,
                },
                session,
            )),
            Peer::Link(_) | Peer::Application | Peer::Backend => None,
        }
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = (PeerId, &Session)> {
        self.slots
            .iter()
            .filter_map(|(index, slot)| match &slot.peer {
                Peer::Session(session) => Some((
                    PeerId {
                        index: index as u32,
                        generation: slot.generation,
                    },
                    session,
                )),
                Peer::Link(_) | Peer::Application | Peer::Backend => None,
            })
    }

    pub(crate) fn remove(&mut self, id: PeerId) -> Option<Peer> {
        self.get(id)?;
        Some(self.slots.remove(id.index as usize).peer)
    }
}
