//! The invariants that relate the rooms to each other.

use std::collections::BTreeSet;

use super::Hub;
use super::session::{Session, State};
use crate::peer::{Door, PeerId};
use crate::wire::ws::Partial;

impl Hub {
    /// Panics unless all invariants hold that relate the rooms to each other. For tests and simulations.
    pub fn check(&self) {
        self.channels.check();
        self.frames
            .check(self.peers.sessions().map(|(_, session)| &session.outbox));
        if let Some(embedded) = &self.embedded {
            embedded.check();
        }
        let sessions = || self.peers.sessions().map(|(_, session)| session);
        let open = sessions()
            .filter(|session| matches!(session.state, State::Open(_)))
            .count();
        assert_eq!(
            open as u64, self.counts.sessions,
            "open sessions are counted"
        );
        let admitting = sessions()
            .filter(|session| matches!(session.state, State::Admitting(_)))
            .count();
        assert_eq!(open + admitting, self.admitted, "the admitted are counted");
        let clients = || sessions().filter(|session| session.door == Door::Client);
        let pending = clients().filter(|session| session.is_pending()).count();
        assert_eq!(
            pending as u64, self.counts.pending,
            "pending sessions are counted"
        );
        assert_eq!(
            clients().count() as u64,
            self.counts.clients,
            "clients are counted"
        );
        let partial = |session: &Session| match &session.state {
            State::Open(open) => open.partial.as_deref().map_or(0, Partial::bytes),
            _ => 0,
        };
        assert_eq!(
            sessions().map(partial).sum::<usize>() as u64,
            self.counts.partial_bytes,
            "half-received messages are counted"
        );
        let mut dirty: Vec<PeerId> = self.dirty.iter().copied().collect();
        dirty.sort_unstable();
        for (id, session) in self.peers.sessions() {
            let from = dirty.partition_point(|dirty| *dirty < id);
            let to = dirty.partition_point(|dirty| *dirty <= id);
            assert_eq!(
                to - from,
                usize::from(session.dirty),
                "a dirty session is listed once"
            );
            let hears = matches!(session.state, State::Open(_) | State::Admitting(_));
            assert!(
                hears || self.channels.heard_by(id.index) == 0,
                "only the living are members"
            );
        }
        self.check_control();
        if let Some(application) = &self.application {
            application.calls.check();
            for (ticket, id) in &application.awaited {
                let waits = self.peers.session(*id).map(|session| &session.state);
                assert!(
                    matches!(waits, Some(State::Identifying(who)) if who.ticket() == Some(*ticket)),
                    "verdicts are for those who wait for them"
                );
            }
        }
        assert!(
            self.addresses.total() <= open + admitting,
            "addresses hold no dead sessions"
        );
    }

    /// A place that is kept for somebody who has gone would be taken for the next one there.
    fn check_control(&self) {
        let lives = |state: &State| matches!(state, State::Open(_) | State::Admitting(_));
        let living = self.peers.sessions();
        let living: BTreeSet<u32> = living
            .filter(|(_, session)| lives(&session.state))
            .map(|(id, _)| id.index)
            .collect();
        let mut places = self.control.places();
        assert!(
            places.all(|index| living.contains(&index)),
            "only the living are known"
        );
    }
}
