//! What is to be written, and to whom: one list of those with something to say, Redis first.

use super::Hub;
use super::embedded::Embedded;
use super::outbox::Cork;
use super::peers::Peer;
use super::redis::link::{Link, Up};
use crate::peer::{Door, PeerId, RedisOf};

impl Hub {
    /// `n` bytes of what was pending were written.
    pub fn sent(&mut self, id: PeerId, n: usize) {
        match self.peers.get_mut(id) {
            None => {}
            Some(Peer::Application) => {
                if let Some(application) = &mut self.application {
                    application.calls.sent(id, n);
                }
            }
            Some(Peer::Link(of)) => {
                let link = self.redis.link_mut(*of);
                if let Some(up) = link.and_then(Link::up_mut) {
                    up.advance(n);
                }
            }
            Some(Peer::Backend) => {
                if let Some(embedded) = &mut self.embedded {
                    embedded.sent(id, n);
                }
                self.end_finished_backend(id);
            }
            Some(Peer::Session(session)) => {
                session.begun |= n > 0;
                self.frames.advance(&mut session.outbox, n);
                self.counts.sent_bytes += n as u64;
                if session.outbox.is_empty() {
                    self.flushed(id);
                }
            }
        }
    }

    /// Who has something to write: each, once. Redis first, since what it is asked takes longest.
    pub fn next_write(&mut self) -> Option<PeerId> {
        for of in RedisOf::ALL {
            let link = self.redis.link_mut(of);
            if let Some(up) = link.and_then(Link::up_mut)
                && up.take_dirty()
            {
                return Some(up.id);
            }
        }
        let application = self.application.as_mut();
        if let Some(id) = application.and_then(|application| application.calls.next_write()) {
            return Some(id);
        }
        while let Some(id) = self.embedded.as_mut().and_then(Embedded::next_dirty) {
            if !self.end_finished_backend(id) {
                return Some(id);
            }
        }
        loop {
            let id = self.dirty.pop_front()?;
            if let Some(session) = self.peers.session_mut(id) {
                session.dirty = false;
                return Some(id);
            }
        }
    }

    /// Does somebody wait to be named by [`Hub::next_write`]?
    pub fn has_writes(&self) -> bool {
        let links = RedisOf::ALL.into_iter();
        let link = links
            .filter_map(|of| self.redis.link_of(of)?.up())
            .any(Up::is_dirty);
        let application = self.application.as_ref();
        let asks = application.is_some_and(|application| application.calls.has_writes());
        link || asks
            || !self.dirty.is_empty()
            || self.embedded.as_ref().is_some_and(Embedded::has_dirty)
    }

    /// What to write to a peer now: in place where it can be, else gathered into `cork`. Empty is nothing.
    pub fn pending<'a>(&'a self, id: PeerId, cork: &'a mut Cork) -> &'a [u8] {
        match self.peers.get(id) {
            None => &[],
            Some(Peer::Application) => self
                .application
                .as_ref()
                .map_or(&[], |application| application.calls.pending(id)),
            Some(Peer::Link(of)) => {
                let link = self.redis.link_of(*of);
                link.and_then(Link::up).map_or(&[], Up::pending)
            }
            Some(Peer::Backend) => self
                .embedded
                .as_ref()
                .map_or(&[], |embedded| embedded.pending(id)),
            Some(Peer::Session(session)) if session.is_writable() => {
                self.frames.front(&session.outbox, cork)
            }
            Some(Peer::Session(_)) => &[],
        }
    }

    pub(super) fn mark_dirty(&mut self, id: PeerId) {
        if let Some(session) = self.peers.session_mut(id)
            && !session.dirty
            && !session.outbox.is_empty()
        {
            session.dirty = true;
            match session.door {
                // Whether the loop turns is asked when it has most to do.
                Door::Admin => self.dirty.push_front(id),
                _ => self.dirty.push_back(id),
            }
        }
    }
}
