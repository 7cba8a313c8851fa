//! When to look at whom again.
//!
//! A session has one deadline, and what it means is told by its state. Most deadlines only ever move
//! away (traffic postpones the next ping), so moving one must cost nothing: the heap keeps the old entry, and
//! when that surfaces too early it is pushed back with the true time. Only a deadline that comes nearer is
//! pushed at once; entries that it made stale are recognised by [`Alarm::armed`] and dropped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::peer::PeerId;
use crate::tick::Tick;

/// The deadline of one session, and the time of the one heap entry that counts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alarm {
    due: Tick,
    armed: Tick,
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm {
            due: Tick::NEVER,
            armed: Tick::NEVER,
        }
    }
}

/// The deadlines of all sessions.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Tick, PeerId)>>,
    /// With more entries than this, stale ones are looked for.
    len_max: usize,
}

/// Stale entries are not looked for among fewer.
const LEN_MIN: usize = 1_024;

impl Timers {
    /// Sets the deadline of `id`.
    pub(crate) fn set(&mut self, id: PeerId, alarm: &mut Alarm, due: Tick) {
        alarm.due = due;
        if due < alarm.armed {
            alarm.armed = due;
            self.heap.push(Reverse((due, id)));
        }
    }

    /// The earliest time at which something may be due.
    pub(crate) fn deadline(&self) -> Option<Tick> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// The next whose deadline has come. `alarm` finds the alarm of an id in `table`, if it still lives.
    pub(crate) fn pop<T>(
        &mut self,
        now: Tick,
        table: &mut T,
        alarm: impl Fn(&mut T, PeerId) -> Option<&mut Alarm>,
    ) -> Option<PeerId> {
        self.prune(table, &alarm);
        while let Some(&Reverse((at, id))) = self.heap.peek() {
            if at > now {
                return None;
            }
            self.heap.pop();
            let Some(alarm) = alarm(table, id) else {
                continue;
            };
            if alarm.armed != at {
                continue;
            }
            alarm.armed = Tick::NEVER;
            if alarm.due <= now {
                alarm.due = Tick::NEVER;
                return Some(id);
            }
            let due = alarm.due;
            self.set(id, alarm, due);
        }
        None
    }

    /// Whoever comes and goes at once leaves an entry that would surface at the next ping, which may be a day off. The
    /// heap has to double before it is looked through again, so each entry pays for one look.
    fn prune<T>(&mut self, table: &mut T, alarm: impl Fn(&mut T, PeerId) -> Option<&mut Alarm>) {
        if self.heap.len() <= self.len_max {
            return;
        }
        self.heap
            .retain(|Reverse((at, id))| alarm(table, *id).is_some_and(|alarm| alarm.armed == *at));
        self.len_max = LEN_MIN.max(2 * self.heap.len());
        self.heap.shrink_to(self.len_max);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    const ID: PeerId = PeerId {
        index: 3,
        generation: 9,
    };

    #[test]
    fn a_postponed_deadline_costs_no_entry_and_rings_once_at_the_true_time() {
        let (mut timers, mut alarm) = (Timers::default(), Alarm::default());
        for ms in 10..100 {
            timers.set(ID, &mut alarm, at(ms));
        }
        assert_eq!(timers.heap.len(), 1);
        assert_eq!(timers.pop(at(98), &mut alarm, |alarm, _| Some(alarm)), None);
        assert_eq!(timers.deadline(), Some(at(99)));
        assert_eq!(
            timers.pop(at(99), &mut alarm, |alarm, _| Some(alarm)),
            Some(ID)
        );
        assert_eq!(
            timers.pop(at(999), &mut alarm, |alarm, _| Some(alarm)),
            None
        );
    }

    #[test]
    fn a_deadline_that_comes_nearer_rings_then_and_not_again() {
        let (mut timers, mut alarm) = (Timers::default(), Alarm::default());
        timers.set(ID, &mut alarm, at(50));
        timers.set(ID, &mut alarm, at(20));
        assert_eq!(
            timers.pop(at(20), &mut alarm, |alarm, _| Some(alarm)),
            Some(ID)
        );
        assert_eq!(timers.pop(at(60), &mut alarm, |alarm, _| Some(alarm)), None);
    }

    #[test]
    fn those_who_come_and_go_do_not_add_up() {
        let (mut timers, mut staying) = (Timers::default(), Alarm::default());
        timers.set(ID, &mut staying, at(90_000));
        for n in 0..100_000 {
            let generation = 10 + n;
            timers.set(
                PeerId { generation, ..ID },
                &mut Alarm::default(),
                at(80_000),
            );
            let found = timers.pop(at(1), &mut staying, |alarm, id| (id == ID).then_some(alarm));
            assert_eq!(found, None);
        }
        assert!(timers.heap.len() <= LEN_MIN + 1, "{}", timers.heap.len());
        let found = timers.pop(at(90_000), &mut staying, |alarm, id| {
            (id == ID).then_some(alarm)
        });
        assert_eq!(found, Some(ID));
    }

    #[test]
    fn the_dead_do_not_ring() {
        let (mut timers, mut alarm) = (Timers::default(), Alarm::default());
        timers.set(ID, &mut alarm, at(5));
        assert_eq!(timers.pop(at(9), &mut (), |_, _| None), None);
        assert_eq!(timers.deadline(), None);
    }
}
