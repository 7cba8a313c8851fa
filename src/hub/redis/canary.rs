//! Is the link really alive? A nonce goes to our own probe channel, through the real path and back.
//!
//! A TCP connection to a stopped, wedged or unplugged Redis looks healthy for many minutes. So every second
//! a nonce is published; one that is not back after half a second is missed and a second one follows at once;
//! two missed are proof. A Redis that stalls at the worst moment, just after an answer, is noticed within
//! 1 s + 0.5 s + 0.5 s.
//!
//! While bytes come, or lie unread, the patience is longer: Redis answers in order, and a nonce that waits behind
//! a burst for thousands of clients is late because of us. To give up such a link would lose the rest of the burst.

use std::time::Duration;

use bytes::Bytes;

use crate::channel;
use crate::tick::Tick;

/// Between a nonce that came back and the next.
const PERIOD: Duration = Duration::from_secs(1);
/// After this a nonce is missed.
const PATIENCE: Duration = Duration::from_millis(500);

/// So much longer at most, while bytes come: who sends and never answers is no better than who stalls.
const BUSY: Duration = Duration::from_secs(15);

/// The probe of one link.
#[derive(Debug)]
pub(crate) struct Canary {
    channel: Bytes,
    serial: u64,
    /// When bytes came last, or lay unread.
    alive: Tick,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No link, or not yet greeted.
    Off,
    /// The last nonce came back.
    Resting { next: Tick },
    /// A nonce is on its way; the one before it was missed, or not.
    Flying { sent: Tick, before: Option<Tick> },
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Wait,
    /// Publish this nonce.
    Publish(String),
    /// Two were missed: the link is dead.
    Dead,
}

impl Canary {
    /// `random` tells this gateway's probe from those of others on the same Redis.
    pub(crate) fn new(prefix: &str, random: u64) -> Canary {
        Canary {
            channel: Bytes::from(channel::probe(prefix, random)),
            serial: 0,
            alive: Tick::ZERO,
            state: State::Off,
        }
    }

    /// The probe channel.
    pub(crate) fn channel(&self) -> &Bytes {
        &self.channel
    }

    /// The link is greeted.
    pub(crate) fn start(&mut self, now: Tick) {
        self.state = State::Resting { next: now };
    }

    /// The link is gone.
    pub(crate) fn stop(&mut self) {
        self.state = State::Off;
    }

    pub(crate) fn deadline(&self) -> Option<Tick> {
        match self.state {
            State::Off => None,
            State::Resting { next } => Some(next),
            State::Flying { sent, .. } => Some(self.alive.min(sent + BUSY).max(sent) + PATIENCE),
        }
    }

    pub(crate) fn elapsed(&mut self, now: Tick) -> Verdict {
        if self.deadline().is_none_or(|due| due > now) {
            return Verdict::Wait;
        }
        let before = match self.state {
            State::Flying {
                before: Some(_), ..
            } => {
                self.state = State::Off;
                return Verdict::Dead;
            }
            State::Flying { sent, before: None } => Some(sent),
            _ => None,
        };
        self.serial += 1;
        self.state = State::Flying { sent: now, before };
        Verdict::Publish(self.serial.to_string())
    }

    /// Bytes came or lie unread, whatever they say.
    pub(crate) fn alive(&mut self, now: Tick) {
        self.alive = now;
    }

    /// A nonce came back: how long was it away? `None` if it is none that we wait for.
    pub(crate) fn heard(&mut self, now: Tick, nonce: &[u8]) -> Option<Duration> {
        let State::Flying { sent, before } = self.state else {
            return None;
        };
        let serial: u64 = std::str::from_utf8(nonce).ok()?.parse().ok()?;
        // The first of two may be late and still be back in time: it proves the path as well.
        let went = if serial == self.serial {
            sent
        } else {
            before.filter(|_| serial + 1 == self.serial)?
        };
        self.state = State::Resting {
            next: sent + PERIOD,
        };
        Some(now.since(went))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_link_that_stalls_just_after_an_answer_is_dead_within_two_seconds() {
        let mut canary = Canary::new("", 1);
        canary.start(at(0));
        assert_eq!(canary.elapsed(at(0)), Verdict::Publish("1".into()));
        assert_eq!(canary.heard(at(1), b"1"), Some(Duration::from_millis(1)));
        let dead = loop {
            let now = canary.deadline().unwrap();
            if canary.elapsed(now) == Verdict::Dead {
                break now;
            }
        };
        assert!(dead.since(at(1)) <= Duration::from_secs(2), "{dead:?}");
        assert_eq!(canary.deadline(), None);
    }

    #[test]
    fn one_missed_nonce_is_forgiven_even_if_it_comes_late() {
        let mut canary = Canary::new("p", 1);
        assert_eq!(
            canary.channel().as_ref(),
            b"p:ws4redis:probe:0000000000000001"
        );
        canary.start(at(0));
        canary.elapsed(at(0));
        assert_eq!(canary.elapsed(at(500)), Verdict::Publish("2".into()));
        assert_eq!(
            canary.heard(at(600), b"1"),
            Some(Duration::from_millis(600))
        );
        assert_eq!(canary.heard(at(601), b"2"), None);
        assert_eq!(canary.elapsed(at(1499)), Verdict::Wait);
        assert_eq!(canary.elapsed(at(1500)), Verdict::Publish("3".into()));
    }

    #[test]
    fn a_nonce_behind_a_burst_is_waited_for_while_bytes_come_but_not_for_ever() {
        let at = |ms: u64| Tick::new(Duration::from_millis(ms));
        let mut canary = Canary::new("", 1);
        canary.start(at(0));
        assert!(matches!(canary.elapsed(at(0)), Verdict::Publish(_)));
        for ms in (0..4_000).step_by(400) {
            canary.alive(at(ms));
            assert_eq!(canary.elapsed(at(ms + 399)), Verdict::Wait);
        }
        let mut now = 4_000;
        while canary.elapsed(at(now)) != Verdict::Dead {
            canary.alive(at(now));
            now += 100;
            assert!(now < 40_000, "it never ended");
        }
    }
}
