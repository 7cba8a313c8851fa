//! Clients of the embedded Redis: they come and go like everybody, and what they say goes to their own room.

use bytes::Bytes;

use super::Hub;
use super::peers::Peer;
use crate::peer::PeerId;

impl Hub {
    pub(super) fn backend_accepted(&mut self) -> Result<PeerId, Bytes> {
        let id = self.peers.insert(Peer::Backend);
        if self
            .embedded
            .as_mut()
            .is_some_and(|embedded| embedded.accepted(id))
        {
            return Ok(id);
        }
        self.peers.remove(id);
        Err(Bytes::from_static(
            b"-ERR max number of clients reached\r\n",
        ))
    }

    /// A client of the embedded Redis that has read its last reply.
    pub(super) fn end_finished_backend(&mut self, id: PeerId) -> bool {
        let Some(embedded) = self
            .embedded
            .as_mut()
            .filter(|embedded| embedded.finished(id))
        else {
            return false;
        };
        embedded.lost(id);
        self.drop_peer(id);
        true
    }
}
