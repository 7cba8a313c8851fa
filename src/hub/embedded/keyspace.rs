//! The values, by database and key; when they expire; and who must be told that they changed.
//!
//! An expired key is gone for whoever asks, from that moment on; its memory is given back when it is next
//! asked for, or by a sweep, whichever is first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::limits::EMBEDDED_MEMORY_BYTES_MAX;
use crate::tick::Tick;

use super::error::CommandError;

/// So many databases, as in Redis unless told otherwise.
pub(super) const DATABASES: u8 = 16;
/// What a key takes besides the bytes of its name and its value, measured: places in two trees, two allocations.
const KEY_OVERHEAD_BYTES: usize = 320;
/// Keys that one sweep may remove: well under a millisecond.
const SWEEP_KEYS_MAX: usize = 1_000;
/// Between two sweeps. So expiry wakes an idle gateway ten times a second at most, however many keys expire.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// A key in a database. One tree holds them all, ordered by database first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) db: u8,
    pub(super) name: Bytes,
}

/// How often a watched key has changed since it is watched.
pub(super) type Version = u64;

/// All values of all databases.
#[derive(Debug, Default)]
pub(super) struct Keyspace {
    entries: BTreeMap<Key, Entry>,
    /// The keys that expire, and no others, by when they do.
    expiries: BTreeSet<(Tick, Key)>,
    /// The keys that somebody watches, be they there or not.
    watched: BTreeMap<Key, Watched>,
    /// What `entries` take.
    bytes: usize,
    /// No sweep before this.
    next_sweep: Tick,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Bytes,
    pub(super) expires: Option<Tick>,
}

#[derive(Debug, Default)]
struct Watched {
    version: Version,
    watchers: usize,
}

impl Keyspace {
    /// The value of a key that has not expired.
    pub(super) fn get(&mut self, now: Tick, key: &Key) -> Option<&Entry> {
        self.lapse(now, key);
        self.entries.get(key)
    }

    /// Sets a value, whatever was there; it must fit.
    pub(super) fn set(&mut self, now: Tick, key: &Key, entry: Entry) -> Result<(), CommandError> {
        let cost = cost(key, &entry);
        // What has expired and was not swept yet must not stand in the way.
        while !self.fits(key, cost) && self.remove_overdue(now) {}
        if !self.fits(key, cost) {
            return Err(CommandError::OutOfMemory);
        }
        self.remove_quietly(key);
        self.bytes += cost;
        if let Some(expires) = entry.expires {
            self.expiries.insert((expires, key.clone()));
        }
        self.entries.insert(key.clone(), entry);
        self.touch(key);
        Ok(())
    }

    /// Removes a key; `false` if there is none, or it had expired.
    pub(super) fn remove(&mut self, now: Tick, key: &Key) -> bool {
        self.lapse(now, key);
        self.delete(key)
    }

    /// Changes when a key expires; `None` is never. `false` if there is no such key.
    pub(super) fn expire(&mut self, now: Tick, key: &Key, expires: Option<Tick>) -> bool {
        self.lapse(now, key);
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        if let Some(before) = std::mem::replace(&mut entry.expires, expires) {
            self.expiries.remove(&(before, key.clone()));
        }
        if let Some(expires) = expires {
            self.expiries.insert((expires, key.clone()));
        }
        self.touch(key);
        true
    }

    /// The keys of a database that have not expired, in order.
    pub(super) fn names(&self, now: Tick, db: u8) -> impl Iterator<Item = &Bytes> {
        self.database(db)
            .filter(move |(_, entry)| !entry.has_expired(now))
            .map(|(key, _)| &key.name)
    }

    /// How many keys a database has, and how many of them expire. As in Redis, those count until they are swept.
    pub(super) fn size(&self, db: u8) -> (usize, usize) {
        self.database(db)
            .fold((0, 0), |(keys, expires), (_, entry)| {
                (keys + 1, expires + usize::from(entry.expires.is_some()))
            })
    }

    /// Empties a database.
    pub(super) fn flush(&mut self, db: u8) {
        let keys: Vec<Key> = self.database(db).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.delete(key);
        }
    }

    /// What all keys and values take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Watches a key: the same version later means that it did not change.
    pub(super) fn watch(&mut self, now: Tick, key: &Key) -> Version {
        self.lapse(now, key);
        let watched = self.watched.entry(key.clone()).or_default();
        watched.watchers += 1;
        watched.version
    }

    /// Ends watches, and says whether all keys are as they were when the watch began.
    pub(super) fn unwatch_unchanged(&mut self, now: Tick, watches: BTreeMap<Key, Version>) -> bool {
        for key in watches.keys() {
            self.lapse(now, key);
        }
        let unchanged = watches.iter().all(|(key, version)| {
            self.watched
                .get(key)
                .is_some_and(|watched| watched.version == *version)
        });
        self.unwatch(watches);
        unchanged
    }

    /// Ends watches.
    pub(super) fn unwatch(&mut self, watches: BTreeMap<Key, Version>) {
        for (key, _) in watches {
            if let Some(watched) = self.watched.get_mut(&key) {
                watched.watchers -= 1;
                if watched.watchers == 0 {
                    self.watched.remove(&key);
                }
            }
        }
    }

    /// When there is something to sweep.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let (first, _) = self.expiries.first()?;
        Some(self.next_sweep.max(*first))
    }

    /// Removes keys that have expired, some at a time.
    pub(super) fn sweep(&mut self, now: Tick) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        self.next_sweep = now + SWEEP_INTERVAL;
        for _ in 0..SWEEP_KEYS_MAX {
            if !self.remove_overdue(now) {
                break;
            }
        }
    }

    pub(super) fn check<'a>(&self, watches: impl Iterator<Item = (&'a Key, &'a Version)>) {
        let sum: usize = self
            .entries
            .iter()
            .map(|(key, entry)| cost(key, entry))
            .sum();
        assert_eq!(self.bytes, sum, "all keys are counted");
        assert!(sum <= EMBEDDED_MEMORY_BYTES_MAX);
        let expiries: BTreeSet<_> = self
            .entries
            .iter()
            .filter_map(|(key, entry)| Some((entry.expires?, key.clone())))
            .collect();
        assert_eq!(self.expiries, expiries, "what expires is known by its time");
        let mut watchers = BTreeMap::new();
        for (key, version) in watches {
            assert!(*version <= self.watched[key].version);
            *watchers.entry(key).or_insert(0_usize) += 1;
        }
        assert_eq!(self.watched.len(), watchers.len());
        for (key, watched) in &self.watched {
            assert_eq!(Some(&watched.watchers), watchers.get(key));
        }
    }

    fn database(&self, db: u8) -> impl Iterator<Item = (&Key, &Entry)> {
        let first = |db| Key {
            db,
            name: Bytes::new(),
        };
        self.entries.range(first(db)..first(db + 1))
    }

    /// Is there room for a key of this cost, in the place of what it may be now?
    fn fits(&self, key: &Key, cost: usize) -> bool {
        let freed = self
            .entries
            .get(key)
            .map_or(0, |entry| self::cost(key, entry));
        self.bytes - freed + cost <= EMBEDDED_MEMORY_BYTES_MAX
    }

    /// Removes a key if it has expired.
    fn lapse(&mut self, now: Tick, key: &Key) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.has_expired(now))
        {
            self.delete(key);
        }
    }

    /// Removes the key that expired first, if one has.
    fn remove_overdue(&mut self, now: Tick) -> bool {
        let Some((expires, key)) = self.expiries.first() else {
            return false;
        };
        *expires <= now && {
            let key = key.clone();
            self.delete(&key)
        }
    }

    fn delete(&mut self, key: &Key) -> bool {
        let removed = self.remove_quietly(key);
        if removed {
            self.touch(key);
        }
        removed
    }

    fn remove_quietly(&mut self, key: &Key) -> bool {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        self.bytes -= cost(key, &entry);
        if let Some(expires) = entry.expires {
            self.expiries.remove(&(expires, key.clone()));
        }
        true
    }

    fn touch(&mut self, key: &Key) {
        if let Some(watched) = self.watched.get_mut(key) {
            watched.version += 1;
        }
    }
}

impl Entry {
    fn has_expired(&self, now: Tick) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

fn cost(key: &Key, entry: &Entry) -> usize {
    key.name.len() + entry.value.len() + KEY_OVERHEAD_BYTES
}
