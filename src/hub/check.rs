//! The invariants that relate the rooms to each other.

use super::Hub;
use super::session::State;
use crate::peer::Door;

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
        for (id, session) in self.peers.sessions() {
            let listed = self.dirty.iter().filter(|dirty| **dirty == id).count();
            assert_eq!(
                listed,
                usize::from(session.dirty),
                "a dirty session is listed once"
            );
            let hears = matches!(session.state, State::Open(_) | State::Admitting(_));
            assert!(
                hears || self.channels.heard_by(id.index) == 0,
                "only the living are members"
            );
        }
        assert!(
            self.addresses.total() <= open + pending,
            "addresses hold no dead sessions"
        );
    }
}
