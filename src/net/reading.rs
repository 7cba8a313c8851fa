//! The turn's step that reads: Redis first, then everybody once.
//!
//! Redis waits while what it said before is not written yet: a burst for thousands of clients lies in the kernel
//! then and not in their queues, where it would make slow readers of them all.

use std::time::Duration;

use super::reactor::{Reactor, at};
use super::socket::{Readable, Taken};
use crate::hub::Lost;
use crate::peer::PeerId;
use crate::tick::Tick;

/// Bytes read from one socket at once, and from a client in one turn.
pub(super) const READ_BYTES: usize = 64 << 10;
/// Reads from Redis in one turn.
const REDIS_READS: usize = 8;
/// How long Redis waits at most for a fan-out: below the patience of the canary.
const REDIS_WAITS: Duration = Duration::from_millis(150);
/// Bytes read from Redis when it has waited so long and its burst is still not written: enough to see that it lives.
const REDIS_SIP: usize = 4 << 10;
/// How long Redis is read at most before others have their turn: small messages for thousands of clients cost far
/// more than their bytes.
const REDIS_TAKES: Duration = Duration::from_millis(20);
impl Reactor {
    pub(super) fn list(&mut self, id: PeerId) {
        if let Some(socket) = at(&mut self.sockets, id)
            && !socket.listed
        {
            socket.listed = true;
            self.readable.push_back(id);
        }
    }

    pub(super) fn read(&mut self, now: Tick) {
        if let Some(link) = self.link {
            self.read_redis(now, link);
            if at(&mut self.sockets, link).is_some_and(|link| link.readable != Readable::Drained) {
                self.hub.fell_behind(now);
            }
        }
        for _ in 0..self.readable.len() {
            let Some(id) = self.readable.pop_front() else {
                return;
            };
            let Some(socket) = at(&mut self.sockets, id) else {
                continue;
            };
            socket.listed = false;
            let more = match self.link == Some(id) {
                true => socket.readable != Readable::Drained,
                false => self.read_once(now, id, READ_BYTES),
            };
            if more {
                self.list(id);
            }
        }
    }

    fn read_redis(&mut self, now: Tick, link: PeerId) {
        let overdue = now >= self.redis_read_at + REDIS_WAITS;
        if self.hub.has_writes() && !overdue {
            return;
        }
        for _ in 0..REDIS_READS {
            let crowded = self.hub.has_writes() && self.hub.is_crowded();
            let bytes = if crowded { REDIS_SIP } else { READ_BYTES };
            let more = self.read_once(now, link, bytes);
            // Counted from its beginning, the next read would be overdue at once.
            self.redis_read_at = self.clock.now();
            if !more || crowded || self.redis_read_at >= now + REDIS_TAKES {
                return;
            }
        }
    }

    /// Reads one socket once, so many bytes at most; says whether there may be more.
    fn read_once(&mut self, now: Tick, id: PeerId, bytes: usize) -> bool {
        let Some(socket) =
            at(&mut self.sockets, id).filter(|socket| socket.readable != Readable::Drained)
        else {
            return false;
        };
        let lost = match socket.take(self.scratch.get_mut(..bytes).unwrap_or_default()) {
            Ok(Taken::Nothing) => return false,
            Ok(Taken::Bytes { n, more }) => {
                self.hub
                    .received(now, id, self.scratch.get_mut(..n).unwrap_or_default());
                return more;
            }
            Ok(Taken::End) => Lost::Ended,
            Err(error) => Lost::Failed(error.to_string()),
        };
        socket.readable = Readable::Drained;
        self.hub.lost(now, id, lost);
        false
    }
}
