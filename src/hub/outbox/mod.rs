//! What waits to be sent to each client.
//!
//! A message to ten thousand clients is one [`Frames`] entry and ten thousand 12-byte nodes: queueing is a push
//! onto a linked list in one shared arena, so an idle client owns no queue storage and a burst allocates
//! nothing once the arena has grown. A node names a *run*: frames of which each was added next after the one before.
//! So a burst is one node for each client, however many messages it has, and clients that wait for the same run are
//! sent the same copy of it.
//!
//! Invariant: `entry.references` = runs that hold the entry + holders between [`Frames::add`] and
//! [`Frames::release`]; an entry without references is gone. `outbox.bytes` = sum of its frames − `sent`.
//! `entry.after` is set once, so it leads through a run for as long as the run holds its entries, whatever came to
//! lie in the places of others meanwhile.

mod entries;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::entries::Entries;

/// No node, no frame.
const NONE: u32 = u32::MAX;

/// Above this a frame goes to the socket by itself; below, it is worth a copy to spare a system call (16 KiB
/// copies in 0.4 us, a send costs 3).
const CORK_BYTES: usize = 16 << 10;

/// One encoded frame in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameId(u32);

/// The queue of one client: ends of a list in the arena.
#[derive(Debug)]
pub(crate) struct Outbox {
    head: u32,
    tail: u32,
    /// Bytes of the first frame that are already sent.
    sent: u32,
    /// Bytes that wait.
    bytes: u32,
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox {
            head: NONE,
            tail: NONE,
            sent: 0,
            bytes: 0,
        }
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

/// Where frames are copied together, to be sent at once.
#[derive(Debug, Default)]
pub struct Cork {
    bytes: Vec<u8>,
    holds: Option<Held>,
}

/// Whose bytes a cork holds: a run's, as long as no place of an entry was given up since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    first: u32,
    last: u32,
    removed: u64,
}

/// The bound of the outbox would be passed; nothing was added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The arena of all frames and all queues.
#[derive(Debug)]
pub(crate) struct Frames {
    entries: Entries,
    nodes: Vec<Node>,
    free: u32,
    /// Nodes that are not free.
    queued: usize,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames {
            entries: Entries::default(),
            nodes: Vec::new(),
            free: NONE,
            queued: 0,
        }
    }
}

/// A run of frames, and what waits behind it.
#[derive(Debug, Clone, Copy)]
struct Node {
    first: u32,
    last: u32,
    next: u32,
}

impl Frames {
    /// Takes a frame, held by the caller until [`Frames::release`].
    pub(crate) fn add(&mut self, bytes: Bytes) -> FrameId {
        FrameId(self.entries.add(bytes))
    }

    /// Takes a frame that may be here already, on behalf of others: it is held, and counted, once.
    pub(crate) fn add_shared(&mut self, bytes: &Bytes) -> FrameId {
        FrameId(self.entries.add_shared(bytes))
    }

    /// By how much a shared frame would add to [`Frames::bytes`].
    pub(crate) fn cost(&self, bytes: &Bytes) -> usize {
        if self.entries.has_shared(bytes) {
            0
        } else {
            bytes.len()
        }
    }

    /// Gives up the hold of [`Frames::add`].
    pub(crate) fn release(&mut self, frame: FrameId) {
        self.entries.release(frame.0);
    }

    /// Queues a frame. The first may be of any size, so that one large message reaches a reader who keeps up;
    /// what waits behind it must fit into `bytes_max`. (Were the first counted too, a ping that falls due
    /// while a large message is on its way would end a session that reads as fast as it can.)
    pub(crate) fn push(
        &mut self,
        outbox: &mut Outbox,
        frame: FrameId,
        bytes_max: usize,
    ) -> Result<(), Full> {
        let Some(entry) = self.entries.get(frame.0) else {
            return Ok(());
        };
        let length = entry.bytes.len();
        if outbox.bytes() + length > bytes_max && !outbox.is_empty() {
            let first = self.first(outbox).map_or(0, |(_, first)| first.len());
            let behind = outbox.bytes() + outbox.sent as usize - first;
            if behind + length > bytes_max {
                return Err(Full);
            }
        }
        self.entries.hold(frame.0);
        self.link(outbox, frame.0, length);
        Ok(())
    }

    /// Queues bytes for one client alone, whatever its bound: an HTTP answer, a Close. There is one of each.
    pub(crate) fn push_own(&mut self, outbox: &mut Outbox, bytes: Bytes) {
        let length = bytes.len();
        let frame = self.add(bytes);
        self.link(outbox, frame.0, length);
    }

    /// Queues a shared frame, whatever the bound: a persisted message for a client that had no chance yet to read.
    pub(crate) fn push_shared(&mut self, outbox: &mut Outbox, bytes: &Bytes) {
        let frame = self.add_shared(bytes);
        self.link(outbox, frame.0, bytes.len());
    }

    /// Puts what waits in `first` before what waits in `outbox`, of which nothing may be sent yet.
    pub(crate) fn prepend(&mut self, mut first: Outbox, outbox: &mut Outbox) {
        if first.is_empty() {
            return;
        }
        if !outbox.is_empty() {
            if let Some(node) = self.nodes.get_mut(first.tail as usize) {
                node.next = outbox.head;
            }
            first.tail = outbox.tail;
            first.bytes += outbox.bytes;
        }
        *outbox = first;
    }

    /// The bytes to send next: the first frame, or as many whole ones as fit into [`CORK_BYTES`], copied
    /// into `cork`, unless that is what it holds.
    pub(crate) fn front<'a>(&'a self, outbox: &Outbox, cork: &'a mut Cork) -> &'a [u8] {
        let Some((node, frame)) = self.first(outbox) else {
            return &[];
        };
        let part = frame.get(outbox.sent as usize..).unwrap_or_default();
        let is_run = node.next == NONE;
        if is_run && node.first == node.last || part.len() >= CORK_BYTES {
            return part;
        }
        let held = (is_run && outbox.sent == 0).then_some(Held {
            first: node.first,
            last: node.last,
            removed: self.entries.removed(),
        });
        if held.is_none() || held != cork.holds {
            cork.holds = held;
            self.gather(node, part, &mut cork.bytes);
        }
        &cork.bytes
    }

    /// Copies `part`, of the first frame of `node`, and what of the frames behind it fits whole.
    fn gather<'a>(&'a self, mut node: Node, mut part: &'a [u8], into: &mut Vec<u8>) {
        into.clear();
        loop {
            into.extend_from_slice(part);
            node = match self.behind(node) {
                Some(node) => node,
                None => return,
            };
            match self.entries.get(node.first) {
                Some(more) if into.len() + more.bytes.len() <= CORK_BYTES => part = &more.bytes,
                _ => return,
            }
        }
    }

    /// Forgets `n` bytes that were sent.
    pub(crate) fn advance(&mut self, outbox: &mut Outbox, n: usize) {
        let mut n = n + outbox.sent as usize;
        outbox.bytes = outbox.bytes.saturating_add(outbox.sent);
        while let Some((_, frame)) = self.first(outbox) {
            let length = frame.len();
            if n < length {
                break;
            }
            n -= length;
            outbox.bytes -= length as u32;
            self.pop(outbox);
        }
        outbox.sent = n as u32;
        outbox.bytes -= outbox.sent;
    }

    /// Forgets everything that waits but the rest of a frame that is partly sent: the one place where a
    /// Close may follow without landing inside another frame. `but_first`: the first frame stays in any case.
    pub(crate) fn clear(&mut self, outbox: &mut Outbox, but_first: bool) {
        let mut rest = std::mem::take(outbox);
        if (rest.sent > 0 || but_first)
            && let Some((node, frame)) = self.first(&rest)
        {
            // It stays the frame that others wait for, too: a copy would be counted once for each of them.
            let length = frame.len();
            self.entries.hold(node.first);
            self.link(outbox, node.first, length);
            outbox.sent = rest.sent;
            outbox.bytes -= rest.sent;
        }
        while !rest.is_empty() {
            self.pop(&mut rest);
        }
    }

    /// Bytes of all frames that wait anywhere, each counted once, and of their places in the queues. Free places do
    /// not count: closing somebody would not give them back.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.bytes() + self.queued * size_of::<Node>()
    }

    /// Gives the arena back after a burst, when nothing waits.
    pub(crate) fn shrink(&mut self) {
        const WORTH_IT: usize = 1 << 16;
        if self.entries.is_empty() && self.nodes.len() > WORTH_IT {
            self.nodes = Vec::new();
            self.free = NONE;
            self.entries.shrink();
        }
    }

    /// Panics unless the invariants hold, given every outbox there is. For tests.
    pub(crate) fn check<'a>(&self, outboxes: impl Iterator<Item = &'a Outbox>) {
        let mut found = BTreeMap::new();
        let mut queued = 0;
        for outbox in outboxes {
            let (mut at, mut bytes) = (outbox.head, 0);
            while let Some(node) = self.nodes.get(at as usize) {
                queued += 1;
                let mut frame = node.first;
                loop {
                    let entry = self.entries.get(frame);
                    assert!(entry.is_some(), "a run holds its frames");
                    bytes += entry.map_or(0, |entry| entry.bytes.len());
                    *found.entry(frame).or_default() += 1;
                    if frame == node.last {
                        break;
                    }
                    frame = entry.map_or(NONE, |entry| entry.after);
                }
                assert!(
                    node.next != NONE || at == outbox.tail,
                    "an outbox ends at its tail"
                );
                at = node.next;
            }
            assert_eq!(
                outbox.bytes() + outbox.sent as usize,
                bytes,
                "an outbox knows its bytes"
            );
        }
        assert_eq!(self.queued, queued, "the queues' nodes are counted");
        self.entries.check(&found);
    }

    /// The first run that waits, and its first frame.
    fn first(&self, outbox: &Outbox) -> Option<(Node, &Bytes)> {
        let node = *self.nodes.get(outbox.head as usize)?;
        let entry = self.entries.get(node.first)?;
        Some((node, &entry.bytes))
    }

    /// What waits behind the first frame of a run.
    fn behind(&self, node: Node) -> Option<Node> {
        if node.first == node.last {
            return self.nodes.get(node.next as usize).copied();
        }
        let first = self.entries.get(node.first)?.after;
        Some(Node { first, ..node })
    }

    fn link(&mut self, outbox: &mut Outbox, frame: u32, length: usize) {
        outbox.bytes = outbox.bytes.saturating_add(length as u32);
        let tail = self.nodes.get_mut(outbox.tail as usize);
        if let Some(tail) = tail
            && let Some(last) = self.entries.get(tail.last)
            && last.after == frame
        {
            tail.last = frame;
            return;
        }
        let at = self.node(frame);
        match self.nodes.get_mut(outbox.tail as usize) {
            Some(tail) => tail.next = at,
            None => outbox.head = at,
        }
        outbox.tail = at;
    }

    /// A run of this frame alone.
    fn node(&mut self, frame: u32) -> u32 {
        let node = Node {
            first: frame,
            last: frame,
            next: NONE,
        };
        self.queued += 1;
        match self.nodes.get_mut(self.free as usize) {
            Some(free) => {
                let at = self.free;
                self.free = free.next;
                *free = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    /// Forgets the first frame.
    fn pop(&mut self, outbox: &mut Outbox) {
        let at = outbox.head;
        let Some(node) = self.nodes.get_mut(at as usize) else {
            return;
        };
        let frame = node.first;
        match self.entries.get(frame) {
            Some(entry) if frame != node.last => node.first = entry.after,
            _ => {
                self.queued -= 1;
                outbox.head = node.next;
                if outbox.head == NONE {
                    outbox.tail = NONE;
                }
                node.next = self.free;
                self.free = at;
            }
        }
        self.entries.release(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(frames: &mut Frames, outbox: &mut Outbox, texts: &[&'static str]) {
        for text in texts {
            frames.push_own(outbox, Bytes::from_static(text.as_bytes()));
        }
    }

    fn drained(frames: &mut Frames, outbox: &mut Outbox, step: usize) -> String {
        let (mut out, mut cork) = (Vec::new(), Cork::default());
        loop {
            let front = frames.front(outbox, &mut cork);
            if front.is_empty() {
                return String::from_utf8(out).unwrap();
            }
            let n = step.min(front.len());
            out.extend_from_slice(&front[..n]);
            frames.advance(outbox, n);
        }
    }

    #[test]
    fn what_is_queued_comes_out_once_and_in_order_however_little_is_sent_at_a_time() {
        for step in 1..8 {
            let (mut frames, mut outbox) = (Frames::default(), Outbox::default());
            queue(&mut frames, &mut outbox, &["one", "twotwo", "3"]);
            assert_eq!(outbox.bytes(), 10);
            frames.advance(&mut outbox, 1);
            frames.check([&outbox].into_iter());
            assert_eq!(drained(&mut frames, &mut outbox, step), "netwotwo3");
            assert!(outbox.is_empty() && outbox.bytes() == 0 && frames.entries.is_empty());
        }
    }

    #[test]
    fn a_frame_shared_by_two_queues_leaves_with_the_last() {
        let mut frames = Frames::default();
        let (mut a, mut b) = (Outbox::default(), Outbox::default());
        let frame = frames.add(Bytes::from_static(b"hello"));
        assert_eq!(frames.push(&mut a, frame, 10), Ok(()));
        assert_eq!(frames.push(&mut b, frame, 10), Ok(()));
        frames.release(frame);
        frames.check([&a, &b].into_iter());
        assert_eq!(drained(&mut frames, &mut a, 5), "hello");
        assert!(!frames.entries.is_empty());
        assert_eq!(drained(&mut frames, &mut b, 5), "hello");
        assert!(frames.entries.is_empty());
    }

    #[test]
    fn the_bound_is_checked_before_adding_but_the_first_frame_may_have_any_size() {
        let (mut frames, mut outbox) = (Frames::default(), Outbox::default());
        let frame = frames.add(Bytes::from_static(b"12345678"));
        assert_eq!(frames.push(&mut outbox, frame, 4), Ok(()));
        assert_eq!(frames.push(&mut outbox, frame, 7), Err(Full));
        assert_eq!(outbox.bytes(), 8);
        assert_eq!(frames.push(&mut outbox, frame, 8), Ok(()));
        frames.advance(&mut outbox, 3);
        assert_eq!(frames.push(&mut outbox, frame, 15), Err(Full));
        assert_eq!(outbox.bytes(), 13);
        frames.release(frame);
        frames.check([&outbox].into_iter());
    }

    #[test]
    fn clearing_keeps_the_rest_of_a_frame_that_is_partly_sent() {
        let (mut frames, mut outbox) = (Frames::default(), Outbox::default());
        queue(&mut frames, &mut outbox, &["first", "second", "third"]);
        frames.advance(&mut outbox, 7);
        frames.clear(&mut outbox, false);
        queue(&mut frames, &mut outbox, &["close"]);
        assert_eq!(drained(&mut frames, &mut outbox, 3), "condclose");

        queue(&mut frames, &mut outbox, &["first"]);
        frames.clear(&mut outbox, false);
        assert!(outbox.is_empty());

        queue(&mut frames, &mut outbox, &["first", "second"]);
        frames.clear(&mut outbox, true);
        assert_eq!(drained(&mut frames, &mut outbox, 3), "first");
        frames.check([&outbox].into_iter());
    }

    #[test]
    fn what_many_cleared_queues_keep_of_one_frame_is_counted_once() {
        let mut frames = Frames::default();
        let mut outboxes: Vec<Outbox> = (0..100).map(|_| Outbox::default()).collect();
        let frame = frames.add(Bytes::from(vec![7; 1_000]));
        for outbox in &mut outboxes {
            frames.push(outbox, frame, 10_000).unwrap();
            frames.push(outbox, frame, 10_000).unwrap();
            frames.advance(outbox, 10);
        }
        frames.release(frame);
        outboxes
            .iter_mut()
            .for_each(|outbox| frames.clear(outbox, false));
        frames.check(outboxes.iter());
        assert_eq!(frames.bytes(), 1_000 + 100 * size_of::<Node>());
        for outbox in &mut outboxes {
            frames.advance(outbox, 990);
        }
        assert_eq!(frames.bytes(), 0, "free nodes are not held by anybody");
    }

    #[test]
    fn the_first_goes_before_what_was_held() {
        let (mut frames, mut held) = (Frames::default(), Outbox::default());
        queue(&mut frames, &mut held, &["live"]);
        let mut first = Outbox::default();
        queue(&mut frames, &mut first, &["101", "snapshot"]);
        frames.prepend(first, &mut held);
        queue(&mut frames, &mut held, &["later"]);
        assert_eq!(drained(&mut frames, &mut held, 99), "101snapshotlivelater");
    }

    #[test]
    fn a_large_frame_is_not_copied_and_small_ones_fill_one_cork() {
        let (mut frames, mut outbox) = (Frames::default(), Outbox::default());
        let mut cork = Cork::default();
        let large = Bytes::from(vec![7; CORK_BYTES]);
        let address = large.as_ptr();
        frames.push_own(&mut outbox, large);
        queue(&mut frames, &mut outbox, &["a", "b"]);
        assert_eq!(frames.front(&outbox, &mut cork).as_ptr(), address);
        frames.advance(&mut outbox, CORK_BYTES);
        assert_eq!(frames.front(&outbox, &mut cork), b"ab");
    }
    #[test]
    fn a_burst_is_one_node_a_client_and_copied_once_for_all_of_them() {
        let (mut frames, mut cork) = (Frames::default(), Cork::default());
        let (mut a, mut b) = (Outbox::default(), Outbox::default());
        for text in ["one", "two", "three"] {
            let frame = frames.add(Bytes::from_static(text.as_bytes()));
            frames.push(&mut a, frame, 99).unwrap();
            frames.push(&mut b, frame, 99).unwrap();
            frames.release(frame);
        }
        frames.check([&a, &b].into_iter());
        assert_eq!(frames.queued, 2);
        assert_eq!(frames.front(&a, &mut cork), b"onetwothree");
        frames.advance(&mut a, 11);
        // It would be copied over, if it were copied.
        cork.bytes[..3].copy_from_slice(b"ONE");
        assert_eq!(frames.front(&b, &mut cork), b"ONEtwothree");
        frames.advance(&mut b, 3);
        frames.check([&a, &b].into_iter());
        assert_eq!(frames.front(&b, &mut cork), b"twothree");
    }

    #[test]
    fn a_copy_is_not_taken_for_that_of_others_that_came_into_the_same_places() {
        let (mut frames, mut cork) = (Frames::default(), Cork::default());
        let mut outbox = Outbox::default();
        for text in ["one", "two"] {
            queue(&mut frames, &mut outbox, &[text, "end"]);
            let front = frames.front(&outbox, &mut cork).to_vec();
            assert_eq!(front, [text.as_bytes(), b"end"].concat());
            frames.advance(&mut outbox, 6);
        }
    }

    #[test]
    fn a_run_survives_that_its_neighbours_go_and_others_take_their_places() {
        let mut frames = Frames::default();
        let (mut slow, mut quick) = (Outbox::default(), Outbox::default());
        let mut expected = String::new();
        for round in 0..50 {
            let text = format!("{round},");
            let frame = frames.add(Bytes::from(text.clone()));
            frames.push(&mut quick, frame, 999).unwrap();
            if round % 7 < 3 {
                frames.push(&mut slow, frame, 999).unwrap();
                expected += &text;
            }
            frames.release(frame);
            if round % 5 == 4 {
                drained(&mut frames, &mut quick, 3);
            }
            frames.check([&slow, &quick].into_iter());
        }
        assert_eq!(drained(&mut frames, &mut slow, 5), expected);
        drained(&mut frames, &mut quick, 9);
        assert!(frames.entries.is_empty() && frames.queued == 0);
    }
}
