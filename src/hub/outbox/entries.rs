//! Each frame once, for as long as somebody holds it.

use std::collections::BTreeMap;

use bytes::Bytes;
use slab::Slab;

use super::NONE;

/// All frames that wait anywhere.
#[derive(Debug)]
pub(super) struct Entries {
    slots: Slab<Entry>,
    /// Entries that were added as shared, by the address of their bytes, which they keep from being used again.
    shared: BTreeMap<usize, u32>,
    /// The entry that was added last, if it is still here.
    newest: u32,
    removed: u64,
    bytes: usize,
}

/// One frame.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bytes: Bytes,
    references: u32,
    /// The entry that was added next, if this one was the newest then.
    pub(super) after: u32,
}

impl Default for Entries {
    fn default() -> Entries {
        Entries {
            slots: Slab::new(),
            shared: BTreeMap::new(),
            newest: NONE,
            removed: 0,
            bytes: 0,
        }
    }
}

impl Entries {
    /// Takes a frame, held once.
    pub(super) fn add(&mut self, bytes: Bytes) -> u32 {
        self.bytes += bytes.len();
        // The slab cannot pass u32: a frame takes 2 bytes at least, and the byte budget is far below 8 GiB.
        let frame = self.slots.insert(Entry {
            bytes,
            references: 1,
            after: NONE,
        }) as u32;
        if let Some(newest) = self.slots.get_mut(self.newest as usize) {
            newest.after = frame;
        }
        self.newest = frame;
        frame
    }

    /// Takes a frame that may be here already, held once more.
    pub(super) fn add_shared(&mut self, bytes: &Bytes) -> u32 {
        if let Some(&known) = self.shared.get(&address(bytes)) {
            self.hold(known);
            return known;
        }
        let frame = self.add(bytes.clone());
        self.shared.insert(address(bytes), frame);
        frame
    }

    /// Is this frame here as shared?
    pub(super) fn has_shared(&self, bytes: &Bytes) -> bool {
        self.shared.contains_key(&address(bytes))
    }

    #[inline]
    pub(super) fn get(&self, frame: u32) -> Option<&Entry> {
        self.slots.get(frame as usize)
    }

    #[inline]
    pub(super) fn hold(&mut self, frame: u32) {
        if let Some(entry) = self.slots.get_mut(frame as usize) {
            entry.references += 1;
        }
    }

    #[inline]
    pub(super) fn release(&mut self, frame: u32) {
        let Some(entry) = self.slots.get_mut(frame as usize) else {
            return;
        };
        entry.references -= 1;
        if entry.references == 0 {
            self.remove(frame);
        }
    }

    /// Once a frame, where the rest is once a delivery.
    #[inline(never)]
    fn remove(&mut self, frame: u32) {
        let entry = self.slots.remove(frame as usize);
        self.bytes -= entry.bytes.len();
        self.shared.remove(&address(&entry.bytes));
        self.removed += 1;
        if self.newest == frame {
            self.newest = NONE;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many are gone. As long as that stays the same, no place holds another frame than before.
    pub(super) fn removed(&self) -> u64 {
        self.removed
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives unused places back.
    pub(super) fn shrink(&mut self) {
        self.slots.shrink_to_fit();
    }

    /// Panics unless each is held as often as it is found in the queues. For tests.
    pub(super) fn check(&self, found: &BTreeMap<u32, u32>) {
        for (address, at) in &self.shared {
            let entry = &self.slots[*at as usize];
            assert_eq!(
                entry.bytes.as_ptr().addr(),
                *address,
                "a shared frame is found"
            );
        }
        let held = self
            .slots
            .iter()
            .map(|(at, entry)| (at as u32, entry.references));
        assert_eq!(
            &held.collect::<BTreeMap<u32, u32>>(),
            found,
            "a frame lives as long as it is queued"
        );
        let bytes = self.slots.iter().map(|(_, entry)| entry.bytes.len());
        assert_eq!(self.bytes, bytes.sum::<usize>());
    }
}

fn address(bytes: &Bytes) -> usize {
    bytes.as_ptr().addr()
}
