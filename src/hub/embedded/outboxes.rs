//! What waits to be sent to each client, bounded for each and for all.
//!
//! A client that does not read is closed, as by Redis' `client-output-buffer-limit`, when what waits for it
//! passes its bound. Where all that waits passes the bound for all, the fattest outbox is closed, whoever was
//! about to get more: who reads in time does not pay for those who do not.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{EMBEDDED_BUFFERS_BYTES_MAX, EMBEDDED_COMMAND_BYTES_MAX};
use crate::peer::PeerId;
use crate::wire::resp::{self, Protocol, Reply};

/// Bytes that may wait for one client. What came in one command can go out in one push, which has a pattern
/// and some more words around it.
pub(super) const OUTBOX_BYTES_MAX: usize = EMBEDDED_COMMAND_BYTES_MAX + (16 << 10);
/// Room that an empty outbox keeps for the next reply.
const KEPT_BYTES: usize = 16 << 10;
/// The most that RESP puts around one value: a type, twenty digits and two line ends.
const FRAMING_BYTES: usize = 25;

/// The outboxes of all clients.
#[derive(Debug, Default)]
pub(super) struct Outboxes {
    boxes: BTreeMap<PeerId, Outbox>,
    /// Those whose `dirty` is set, each once. It may hold clients that are gone.
    dirty: VecDeque<PeerId>,
    /// What waits in all of them.
    waiting: usize,
}

/// Invariant: what waits, `bytes[sent..]`, is at most [`OUTBOX_BYTES_MAX`], and more than what was sent before it.
#[derive(Debug)]
struct Outbox {
    protocol: Protocol,
    life: Life,
    bytes: Vec<u8>,
    sent: usize,
    dirty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// What waits is sent, then the connection is closed.
    Leaving,
    /// The connection is closed, and nothing more is sent.
    Cut,
}

impl Outboxes {
    /// For a new client.
    pub(super) fn open(&mut self, id: PeerId) {
        let outbox = Outbox {
            protocol: Protocol::Resp2,
            life: Life::Open,
            bytes: Vec::new(),
            sent: 0,
            dirty: false,
        };
        self.boxes.insert(id, outbox);
    }

    /// The client is gone.
    pub(super) fn close(&mut self, id: PeerId) {
        if let Some(outbox) = self.boxes.remove(&id) {
            self.waiting -= outbox.waiting().len();
        }
    }

    /// Is the client there, and is it heard?
    pub(super) fn is_open(&self, id: PeerId) -> bool {
        self.boxes
            .get(&id)
            .is_some_and(|outbox| outbox.life == Life::Open)
    }

    /// What the client speaks.
    pub(super) fn protocol(&self, id: PeerId) -> Protocol {
        self.boxes
            .get(&id)
            .map_or(Protocol::Resp2, |outbox| outbox.protocol)
    }

    /// The client speaks `protocol` from its next reply on.
    pub(super) fn speak(&mut self, id: PeerId, protocol: Protocol) {
        if let Some(outbox) = self.boxes.get_mut(&id) {
            outbox.protocol = protocol;
        }
    }

    /// Adds the reply to a command.
    pub(super) fn reply(&mut self, id: PeerId, reply: &Reply) {
        if self.make_room(id, weight(reply)) {
            self.append(id, |out, protocol| resp::reply(out, protocol, reply));
        }
    }

    /// Adds a push for one client.
    pub(super) fn push(&mut self, id: PeerId, words: &[Reply]) {
        if self.make_room(id, weight_of_all(words)) {
            self.append(id, |out, protocol| resp::push(out, protocol, words));
        }
    }

    /// Adds a push for many, encoded once for each protocol.
    pub(super) fn push_to_all(&mut self, ids: impl IntoIterator<Item = PeerId>, words: &[Reply]) {
        let mut encoded = [const { Vec::new() }; 2];
        for id in ids {
            let protocol = self.protocol(id);
            let [resp2, resp3] = &mut encoded;
            let bytes = match protocol {
                Protocol::Resp2 => resp2,
                Protocol::Resp3 => resp3,
            };
            if bytes.is_empty() {
                resp::push(bytes, protocol, words);
            }
            if self.is_open(id) && self.make_room(id, bytes.len()) {
                self.append(id, |out, _| out.extend_from_slice(bytes));
            }
        }
    }

    /// The client is to be closed after what waits for it was sent.
    pub(super) fn leave(&mut self, id: PeerId) {
        if let Some(outbox) = self.boxes.get_mut(&id)
            && outbox.life == Life::Open
        {
            outbox.life = Life::Leaving;
            self.mark(id);
        }
    }

    /// The client is to be closed at once, and is sent nothing more.
    pub(super) fn cut(&mut self, id: PeerId) {
        if let Some(outbox) = self.boxes.get_mut(&id) {
            self.waiting -= outbox.waiting().len();
            outbox.life = Life::Cut;
            outbox.bytes = Vec::new();
            outbox.sent = 0;
            self.mark(id);
        }
    }

    pub(super) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The next client with new bytes, or to be closed; each once.
    pub(super) fn next_dirty(&mut self) -> Option<PeerId> {
        while let Some(id) = self.dirty.pop_front() {
            if let Some(outbox) = self.boxes.get_mut(&id) {
                outbox.dirty = false;
                return Some(id);
            }
        }
        None
    }

    /// What is to be sent to a client.
    pub(super) fn pending(&self, id: PeerId) -> &[u8] {
        self.boxes.get(&id).map(Outbox::waiting).unwrap_or_default()
    }

    /// `n` bytes of that went out.
    pub(super) fn sent(&mut self, id: PeerId, n: usize) {
        if let Some(outbox) = self.boxes.get_mut(&id) {
            self.waiting -= outbox.shift(n);
        }
    }

    /// To be closed now?
    pub(super) fn finished(&self, id: PeerId) -> bool {
        self.boxes.get(&id).is_some_and(|outbox| match outbox.life {
            Life::Open => false,
            Life::Leaving => outbox.waiting().is_empty(),
            Life::Cut => true,
        })
    }

    pub(super) fn check(&self, is_client: impl Fn(PeerId) -> bool) {
        let mut waiting = 0;
        for (id, outbox) in &self.boxes {
            assert!(is_client(*id), "{id} has an outbox and is a client");
            assert!(outbox.waiting().len() <= OUTBOX_BYTES_MAX);
            assert!(outbox.sent == 0 || outbox.sent < outbox.waiting().len());
            let listed = self.dirty.iter().filter(|dirty| *dirty == id).count();
            assert_eq!(listed, usize::from(outbox.dirty), "{id} is listed once");
            waiting += outbox.waiting().len();
        }
        assert_eq!(self.waiting, waiting, "all that waits is counted");
        assert!(waiting <= EMBEDDED_BUFFERS_BYTES_MAX);
    }

    /// May `bytes` more wait for this client? If not, it has been cut.
    fn make_room(&mut self, id: PeerId, bytes: usize) -> bool {
        if self.pending(id).len() + bytes > OUTBOX_BYTES_MAX {
            self.cut(id);
        }
        while self.waiting + bytes > EMBEDDED_BUFFERS_BYTES_MAX {
            let sizes = self.boxes.iter();
            match sizes.max_by_key(|(_, outbox)| outbox.waiting().len()) {
                Some((&fattest, outbox)) if !outbox.waiting().is_empty() => self.cut(fattest),
                _ => break,
            }
        }
        self.boxes
            .get(&id)
            .is_some_and(|outbox| outbox.life != Life::Cut)
    }

    fn append(&mut self, id: PeerId, encode: impl FnOnce(&mut Vec<u8>, Protocol)) {
        if let Some(outbox) = self.boxes.get_mut(&id) {
            let before = outbox.bytes.len();
            encode(&mut outbox.bytes, outbox.protocol);
            self.waiting += outbox.bytes.len() - before;
            self.mark(id);
        }
    }

    fn mark(&mut self, id: PeerId) {
        if let Some(outbox) = self.boxes.get_mut(&id)
            && !outbox.dirty
        {
            outbox.dirty = true;
            self.dirty.push_back(id);
        }
    }
}

impl Outbox {
    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Takes away what was sent, and says how much that was.
    fn shift(&mut self, n: usize) -> usize {
        let n = n.min(self.waiting().len());
        self.sent += n;
        // A client that never quite catches up would keep all that it was ever sent. Moving no more than was
        // sent keeps the cost of all moves below that of all bytes.
        if self.sent >= self.waiting().len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
            if self.bytes.len() < KEPT_BYTES {
                self.bytes.shrink_to(KEPT_BYTES);
            }
        }
        n
    }
}

/// The most that a reply can take when encoded, known before it is: MGET may name one large value a thousand
/// times, and then the values are small and their encoding is not.
pub(super) fn weight(reply: &Reply) -> usize {
    FRAMING_BYTES
        + match reply {
            Reply::Simple(bytes) | Reply::Bulk(bytes) | Reply::Other(bytes) => bytes.len(),
            Reply::Error(text) => text.len(),
            Reply::Integer(_) | Reply::Null | Reply::NullArray => 0,
            // Becomes an error of one line.
            Reply::Oversize(_) => 64,
            Reply::Array(items) => weight_of_all(items),
            Reply::Map(pairs) => pairs
                .iter()
                .map(|(key, value)| weight(key) + weight(value))
                .sum(),
        }
}

fn weight_of_all(items: &[Reply]) -> usize {
    FRAMING_BYTES + items.iter().map(weight).sum::<usize>()
}
