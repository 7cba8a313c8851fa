//! What was published and what arrived: every connection is checked for lost, twice, out of order and corrupt.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::message::Stamp;
use super::plan::Dealt;

/// Latencies over this are counted as this: a minute, in microseconds.
const LATENCY_MAX: u64 = 60_000_000;

/// What one connection has heard of its channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard {
    /// The next one, if all is well.
    next: u64,
    /// Which of the 64 before that came: the newest is the lowest bit.
    seen: u64,
}

/// What one client has heard of all its channels.
#[derive(Debug)]
pub(super) struct Ears {
    dealt: Dealt,
    first: Heard,
    others: Box<[Heard]>,
}

impl Ears {
    fn of(&mut self, channel: u32) -> Option<&mut Heard> {
        if channel == self.dealt.first {
            return Some(&mut self.first);
        }
        self.others.get_mut(self.dealt.other(channel)?)
    }
}

/// How it went, over all connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    /// Messages published.
    pub published: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// That should have arrived and did not.
    pub lost: u64,
    /// That arrived again.
    pub duplicate: u64,
    /// That arrived after a later one.
    pub reordered: u64,
    /// That arrived changed.
    pub corrupt: u64,
    /// Connections that could not be made, or ended.
    pub broken: u64,
}

impl Sums {
    /// Is there nothing to complain about?
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicate + self.reordered + self.corrupt + self.broken == 0
    }
}

/// All channels, and the sums.
#[derive(Debug)]
pub(super) struct Ledger {
    channels: Vec<Channel>,
    pub(super) sums: Sums,
    /// From when a message was due until a subscriber had it, in microseconds.
    pub(super) each: Histogram<u64>,
    /// ... and until the last of its subscribers had it.
    pub(super) last: Histogram<u64>,
    /// Messages that not all of their subscribers have.
    pub(super) in_flight: u64,
    /// Clients that listen.
    pub(super) listeners: u32,
}

#[derive(Debug, Default)]
struct Channel {
    members: u32,
    next: u64,
    /// How many subscribers still miss the last messages; the newest stands last.
    missing: VecDeque<u32>,
}

impl Ledger {
    pub(super) fn new(channels: u32) -> Ledger {
        Ledger {
            channels: (0..channels).map(|_| Channel::default()).collect(),
            sums: Sums::default(),
            each: histogram(),
            last: histogram(),
            in_flight: 0,
            listeners: 0,
        }
    }

    /// Forgets the past, but for what is under way.
    pub(super) fn begin(&mut self) {
        self.sums = Sums {
            broken: self.sums.broken,
            ..Sums::default()
        };
        self.each.reset();
        self.last.reset();
    }

    /// A client listens from now on; what was published before is not for it.
    pub(super) fn joined(&mut self, dealt: Dealt) -> Ears {
        self.listeners += 1;
        Ears {
            dealt,
            first: self.join(dealt.first),
            others: dealt.others().map(|channel| self.join(channel)).collect(),
        }
    }

    fn join(&mut self, channel: u32) -> Heard {
        let Some(channel) = self.channels.get_mut(channel as usize) else {
            return Heard::default();
        };
        channel.members += 1;
        Heard {
            next: channel.next,
            seen: 0,
        }
    }

    /// The stamp of the next message on a channel.
    pub(super) fn publish(&mut self, channel: u32, due: u64) -> Stamp {
        let mut sequence = 0;
        if let Some(channel) = self.channels.get_mut(channel as usize) {
            sequence = channel.next;
            channel.next += 1;
            channel.missing.push_back(channel.members);
            self.in_flight += u64::from(channel.members > 0);
        }
        self.sums.published += 1;
        Stamp {
            channel,
            sequence,
            due,
        }
    }

    /// A message arrived; `false` if it is not for this client.
    pub(super) fn heard(&mut self, ears: &mut Ears, stamp: Stamp, now: u64) -> bool {
        let channel = self.channels.get(stamp.channel as usize);
        // What was never published is a wrong one, whatever its check says: nothing is to be counted up to there.
        let is_published = channel.is_some_and(|channel| stamp.sequence < channel.next);
        if let Some(heard) = ears.of(stamp.channel).filter(|_| is_published) {
            self.count(heard, stamp, now);
            return true;
        }
        self.sums.corrupt += 1;
        false
    }

    fn count(&mut self, heard: &mut Heard, stamp: Stamp, now: u64) {
        if stamp.sequence >= heard.next {
            let ahead = stamp.sequence - heard.next;
            // What was skipped is lost, unless it still comes; in any case nothing waits for it.
            self.sums.lost += ahead;
            for sequence in heard.next..stamp.sequence {
                self.arrived(Stamp { sequence, ..stamp });
            }
            heard.seen = shifted(heard.seen, ahead + 1) | 1;
            heard.next = stamp.sequence + 1;
        } else {
            let behind = heard.next - 1 - stamp.sequence;
            let bit = shifted(1, behind);
            if bit == 0 || heard.seen & bit != 0 {
                self.sums.duplicate += 1;
                return;
            }
            heard.seen |= bit;
            self.sums.reordered += 1;
            self.sums.lost = self.sums.lost.saturating_sub(1);
            self.sums.delivered += 1;
            return;
        }
        self.sums.delivered += 1;
        let took = now.saturating_sub(stamp.due);
        self.each.saturating_record(took);
        if self.arrived(stamp) {
            self.last.saturating_record(took);
        }
    }

    /// The client is gone.
    pub(super) fn left(&mut self, mut ears: Ears) {
        self.settle(&mut ears);
        self.listeners = self.listeners.saturating_sub(1);
        for channel in std::iter::once(ears.dealt.first).chain(ears.dealt.others()) {
            if let Some(channel) = self.channels.get_mut(channel as usize) {
                channel.members = channel.members.saturating_sub(1);
            }
        }
    }

    /// What a client has not heard by now is lost, and nothing waits for it.
    pub(super) fn settle(&mut self, ears: &mut Ears) {
        self.settle_one(ears.dealt.first, &mut ears.first);
        for (channel, heard) in ears.dealt.others().zip(&mut ears.others) {
            self.settle_one(channel, heard);
        }
    }

    fn settle_one(&mut self, channel: u32, heard: &mut Heard) {
        let end = self
            .channels
            .get(channel as usize)
            .map_or(0, |entry| entry.next);
        let first = heard.next;
        self.sums.lost += end.saturating_sub(first);
        for sequence in first..end {
            self.arrived(Stamp {
                channel,
                sequence,
                due: 0,
            });
        }
        heard.seen = shifted(heard.seen, end.saturating_sub(first));
        heard.next = heard.next.max(end);
    }

    /// One subscriber less misses this message; was it the last one?
    fn arrived(&mut self, stamp: Stamp) -> bool {
        let Some(channel) = self.channels.get_mut(stamp.channel as usize) else {
            return false;
        };
        let oldest = channel.next - channel.missing.len() as u64;
        let at = stamp.sequence.checked_sub(oldest).map(|at| at as usize);
        let Some(missing) = at.and_then(|at| channel.missing.get_mut(at)) else {
            return false;
        };
        let was = *missing;
        *missing = was.saturating_sub(1);
        while channel.missing.front() == Some(&0) {
            channel.missing.pop_front();
        }
        self.in_flight -= u64::from(was == 1);
        was == 1
    }
}

fn shifted(bits: u64, by: u64) -> u64 {
    u32::try_from(by)
        .ok()
        .and_then(|by| bits.checked_shl(by))
        .unwrap_or(0)
}

fn histogram() -> Histogram<u64> {
    // Three digits: a thousandth is finer than what differs from run to run. The bounds are constants, and right.
    #[expect(clippy::expect_used, reason = "the bounds do not depend on anything")]
    Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("the bounds of the histogram")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        ledger: Ledger,
        connections: Vec<Ears>,
        published: Vec<Stamp>,
    }

    impl World {
        fn new(connections: u32) -> World {
            let mut ledger = Ledger::new(1);
            let dealt = |client| Dealt::new(client, connections, 1);
            let ears = |client| ledger.joined(dealt(client));
            let connections = (0..connections).map(ears).collect();
            World {
                ledger,
                connections,
                published: Vec::new(),
            }
        }

        fn publish(&mut self, count: usize) {
            for _ in 0..count {
                self.published.push(self.ledger.publish(0, 0));
            }
        }

        fn hear(&mut self, connection: usize, sequences: impl IntoIterator<Item = usize>) {
            for sequence in sequences {
                let (ears, stamp) = (&mut self.connections[connection], self.published[sequence]);
                assert!(self.ledger.heard(ears, stamp, 5));
            }
        }

        fn end(mut self) -> Sums {
            for ears in self.connections {
                self.ledger.left(ears);
            }
            assert_eq!(self.ledger.in_flight, 0);
            self.ledger.sums
        }
    }

    #[test]
    fn all_in_order_is_clean_and_the_last_subscriber_is_timed_once() {
        let mut world = World::new(3);
        world.publish(200);
        for connection in 0..3 {
            world.hear(connection, 0..200);
        }
        assert_eq!(world.ledger.last.len(), 200);
        assert_eq!(world.ledger.each.len(), 600);
        let sums = world.end();
        assert!(sums.is_clean());
        assert_eq!(sums.delivered, 600);
    }

    #[test]
    fn a_client_of_several_channels_is_checked_on_each_and_hears_no_other() {
        let mut ledger = Ledger::new(5);
        let mut ears = ledger.joined(Dealt::new(1, 2, 5));
        let stamps: Vec<Stamp> = [1, 3, 3, 3, 0]
            .map(|channel| ledger.publish(channel, 0))
            .into();
        assert!(ledger.heard(&mut ears, stamps[0], 5));
        assert!(ledger.heard(&mut ears, stamps[1], 5));
        assert!(ledger.heard(&mut ears, stamps[3], 5));
        assert!(!ledger.heard(&mut ears, stamps[4], 5));
        ledger.left(ears);
        assert_eq!(ledger.in_flight, 0);
        let sums = ledger.sums;
        assert_eq!((sums.delivered, sums.lost, sums.corrupt), (3, 1, 1));
    }

    #[test]
    fn each_fault_is_counted_as_what_it_is() {
        let mut world = World::new(1);
        world.publish(10);
        world.hear(0, [0, 1, 1, 3, 2, 5, 6, 7]);
        let sums = world.end();
        assert_eq!((sums.duplicate, sums.reordered, sums.lost), (1, 1, 3));
        assert_eq!(sums.delivered, 7);
    }

    #[test]
    fn a_message_that_was_never_published_is_a_wrong_one_and_takes_no_time() {
        let mut world = World::new(1);
        world.publish(1);
        world.hear(0, [0]);
        let never = Stamp {
            sequence: u64::MAX - 1,
            ..world.published[0]
        };
        assert!(!world.ledger.heard(&mut world.connections[0], never, 5));
        let sums = world.end();
        assert_eq!((sums.corrupt, sums.lost, sums.delivered), (1, 0, 1));
    }

    #[test]
    fn a_connection_that_breaks_loses_what_was_under_way_and_holds_nobody_up() {
        let mut world = World::new(2);
        world.publish(5);
        world.hear(0, 0..5);
        world.hear(1, 0..2);
        assert_eq!(world.ledger.in_flight, 3);
        let ears = world.connections.pop().unwrap();
        world.ledger.left(ears);
        assert_eq!(world.ledger.in_flight, 0);
        assert_eq!(world.end().lost, 3);
    }

    #[test]
    fn who_comes_later_misses_nothing_of_before() {
        let mut world = World::new(1);
        world.publish(3);
        let late = world.ledger.joined(Dealt::new(1, 2, 1));
        world.connections.push(late);
        world.publish(1);
        world.hear(0, 0..4);
        world.hear(1, 3..4);
        assert!(world.end().is_clean());
    }
}
