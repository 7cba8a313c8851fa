//! Who is known how, and what was ordered lately: what it takes to find all whom an order means.
//!
//! Names are kept as fingerprints: a session's groups may be a thousand, and nobody needs to read them here.
//!
//! A handshake that is judged before an order and let in after it would have what was just taken away. So those that
//! are being admitted stand in the table as open sessions do; and a handshake that is still being judged remembers how
//! many orders there had been when its request was read, and is held against the later ones before it is let in.

use std::collections::VecDeque;
use std::time::Duration;

use super::fingerprint::{Fingerprint, Fingerprints};
use crate::channel::Identity;
use crate::limits::ORDERS_KEPT_MAX;
use crate::tick::Tick;
use crate::wire::order::Order;

/// The table, parallel to that of the peers, and the orders.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    known: Vec<Option<Box<Known>>>,
    /// The last of those that `orders` counts.
    recent: VecDeque<(Tick, Meant)>,
    orders: u64,
}

/// A client as orders name it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    user: Option<Fingerprint>,
    session: Option<Fingerprint>,
    groups: Box<[Fingerprint]>,
}

/// Whom an order means: who matches all of what is given, which is one at least.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meant {
    user: Option<Fingerprint>,
    group: Option<Fingerprint>,
    session: Option<Fingerprint>,
}

impl Known {
    /// `None` is nobody: no order can mean it.
    pub(crate) fn new(identity: &Identity, fingerprints: &Fingerprints) -> Option<Known> {
        let of = |name: &String| fingerprints.of(name.as_bytes());
        let known = Known {
            user: identity.user.as_ref().map(of),
            session: identity.session.as_ref().map(of),
            groups: identity.groups.iter().map(of).collect(),
        };
        let is_somebody =
            known.user.is_some() || known.session.is_some() || !known.groups.is_empty();
        is_somebody.then_some(known)
    }
}

impl Meant {
    pub(crate) fn new(order: &Order, fingerprints: &Fingerprints) -> Meant {
        let of = |name: &String| fingerprints.of(name.as_bytes());
        Meant {
            user: order.user.as_ref().map(of),
            group: order.group.as_ref().map(of),
            session: order.session.as_ref().map(of),
        }
    }

    fn matches(self, known: &Known) -> bool {
        self.user.is_none_or(|user| known.user == Some(user))
            && (self.session).is_none_or(|session| known.session == Some(session))
            && self.group.is_none_or(|group| known.groups.contains(&group))
    }
}

impl Roster {
    /// How many orders there have been. Times when some may have been missed count as one.
    pub(crate) fn orders(&self) -> u64 {
        self.orders
    }

    /// Orders may have been missed, and may have meant everybody.
    pub(crate) fn missed(&mut self) {
        self.orders += 1;
        self.recent.clear();
    }

    /// The client in this place of the table of peers is known from now on.
    pub(crate) fn enter(&mut self, index: u32, known: Option<Known>) {
        let index = index as usize;
        if self.known.len() <= index {
            if known.is_none() {
                return;
            }
            self.known.resize_with(index + 1, || None);
        }
        if let Some(place) = self.known.get_mut(index) {
            *place = known.map(Box::new);
        }
    }

    /// It is gone.
    pub(crate) fn leave(&mut self, index: u32) {
        if let Some(place) = self.known.get_mut(index as usize) {
            *place = None;
        }
    }

    /// Takes an order: the places of those whom it means. It is remembered for as long as a handshake may take.
    pub(crate) fn order(&mut self, now: Tick, meant: Meant, handshake: Duration) -> Vec<u32> {
        self.orders += 1;
        let is_over = |at: &Tick| now.since(*at) > handshake;
        while self.recent.len() >= ORDERS_KEPT_MAX
            || self.recent.front().is_some_and(|(at, _)| is_over(at))
        {
            self.recent.pop_front();
        }
        self.recent.push_back((now, meant));
        let places = (0..).zip(&self.known);
        let met = places.filter(|(_, known)| known.as_ref().is_some_and(|it| meant.matches(it)));
        met.map(|(index, _)| index).collect()
    }

    /// Was a client, whose request was read after so many orders, meant by one that came since? Where that cannot be
    /// told any more, it was.
    pub(crate) fn is_meant_since(&self, orders: u64, known: &Known) -> bool {
        let forgotten = self.orders - self.recent.len() as u64;
        let Some(earlier) = orders.checked_sub(forgotten) else {
            return true;
        };
        let earlier = usize::try_from(earlier).unwrap_or(usize::MAX);
        let mut later = self.recent.iter().skip(earlier);
        later.any(|(_, meant)| meant.matches(known))
    }

    /// The places that hold somebody.
    pub(crate) fn places(&self) -> impl Iterator<Item = u32> {
        let places = (0..).zip(&self.known);
        places.filter_map(|(index, known)| known.as_ref().map(|_| index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprints() -> Fingerprints {
        Fingerprints::new(1)
    }

    fn known(user: &str, groups: &[&str], session: &str) -> Option<Known> {
        let some = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let identity = Identity {
            user: some(user),
            groups: groups.iter().map(ToString::to_string).collect(),
            session: some(session),
        };
        Known::new(&identity, &fingerprints())
    }

    fn meant(order: &Order) -> Meant {
        Meant::new(order, &fingerprints())
    }

    fn at(seconds: u64) -> Tick {
        Tick::ZERO + Duration::from_secs(seconds)
    }

    const HANDSHAKE: Duration = Duration::from_secs(10);

    #[test]
    fn an_order_means_those_who_match_all_of_it() {
        let mut roster = Roster::default();
        roster.enter(5, known("john", &["staff", "chess"], "k1"));
        roster.enter(2, known("john", &["staff"], "k2"));
        roster.enter(3, known("mary", &["staff"], ""));
        roster.enter(4, known("", &[], ""));
        roster.enter(9, known("", &[], ""));
        for (order, places) in [
            (Order::disconnect().user("john"), &[2, 5][..]),
            (Order::disconnect().group("staff"), &[2, 3, 5]),
            (Order::recheck().session("k2"), &[2]),
            (Order::disconnect().user("john").group("chess"), &[5]),
            (Order::disconnect().user("mary").session("k1"), &[]),
            (Order::disconnect().user("staff"), &[]),
            (Order::disconnect().user("JOHN"), &[]),
        ] {
            let met = roster.order(at(0), meant(&order), HANDSHAKE);
            assert_eq!(met, places, "{order:?}");
        }
        roster.leave(2);
        let met = roster.order(at(0), meant(&Order::recheck().user("john")), HANDSHAKE);
        assert_eq!(met, [5]);
        assert!(roster.places().eq([3, 5]));
    }

    #[test]
    fn a_handshake_is_held_against_the_orders_since_its_request_and_no_earlier_one() {
        let mut roster = Roster::default();
        let john = known("john", &[], "").unwrap();
        let before = roster.orders();
        roster.order(at(0), meant(&Order::recheck().user("mary")), HANDSHAKE);
        assert!(!roster.is_meant_since(before, &john));
        roster.order(at(1), meant(&Order::recheck().user("john")), HANDSHAKE);
        assert!(roster.is_meant_since(before, &john));
        let after = roster.orders();
        assert!(!roster.is_meant_since(after, &john));
        roster.order(at(2), meant(&Order::recheck().user("mary")), HANDSHAKE);
        assert!(!roster.is_meant_since(after, &john));
    }

    #[test]
    fn what_is_forgotten_may_have_meant_everybody() {
        let mut roster = Roster::default();
        let john = known("john", &[], "").unwrap();
        let mary = meant(&Order::recheck().user("mary"));
        let before = roster.orders();
        for _ in 0..ORDERS_KEPT_MAX {
            roster.order(at(0), mary, HANDSHAKE);
        }
        assert!(!roster.is_meant_since(before, &john));
        roster.order(at(0), mary, HANDSHAKE);
        assert_eq!(roster.recent.len(), ORDERS_KEPT_MAX);
        assert!(roster.is_meant_since(before, &john));
        let later = roster.orders();
        roster.missed();
        assert!(roster.is_meant_since(later, &john));
        assert!(!roster.is_meant_since(roster.orders(), &john));
        // By then no handshake is so old.
        roster.order(at(11), mary, HANDSHAKE);
        assert_eq!(roster.recent.len(), 1);
        assert!(roster.is_meant_since(before, &john));
    }
}
