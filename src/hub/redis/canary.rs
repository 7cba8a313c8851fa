//! Is the link really alive? A nonce goes through the real path and back: to our own probe channel, or where nothing
//! is published, with PING.
//!
//! A TCP connection to a stopped, wedged or unplugged Redis looks healthy for many minutes. So every second
//! a nonce is published; one that is not back after half a second is missed and a second one follows at once;
//! two missed are proof. A Redis that stalls at the worst moment, just after an answer, is noticed within
//! 1 s + 0.5 s + 0.5 s.
//!
//! While bytes come, or lie unread, the patience is longer: Redis answers in order, and a nonce that waits behind
//! a burst for thousands of clients is late because of us. To give up such a link would lose the rest of the burst.

use std::time::Duration;

use crate::tick::Tick;

/// Between a nonce that came back and the next.
const PERIOD: Duration = Duration::from_secs(1);
/// After this a nonce is missed.
const PATIENCE: Duration = Duration::from_millis(500);

/// So much longer at most, while bytes come: who sends and never answers is no better than who stalls.
const BUSY: Duration = Duration::from_secs(15);

/// The probe of one link.
#[derive(Debug, Default)]
pub(crate) struct Canary {
    serial: u64,
    /// When bytes came last, or lay unread.
    alive: Tick,
    state: State,
    proven: bool,
    delay: Option<Duration>,
}

#[derive(Debug, Default)]
enum State {
    /// No link, or not yet greeted.
    #[default]
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
    /// Send this nonce on its way.
    Send(String),
    /// Two were missed: the link is dead.
    Dead,
}

impl Canary {
    /// Has a nonce gone through this link and come back?
    pub(crate) fn is_proven(&self) -> bool {
        self.proven
    }

    /// How long the last one was away.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// The link is greeted.
    pub(crate) fn start(&mut self, now: Tick) {
        self.state = State::Resting { next: now };
    }

    /// The link is gone.
    pub(crate) fn stop(&mut self) {
        self.proven = false;
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
        Verdict::Send(self.serial.to_string())
    }

    /// Bytes came or lie unread, whatever they say.
    pub(crate) fn alive(&mut self, now: Tick) {
        self.alive = now;
    }

    /// A nonce came back. One that we do not wait for proves nothing.
    pub(crate) fn heard(&mut self, now: Tick, nonce: &[u8]) {
        let State::Flying { sent, before } = self.state else {
            return;
        };
        let said = std::str::from_utf8(nonce).ok();
        let serial: Option<u64> = said.and_then(|nonce| nonce.parse().ok());
        let went = match serial {
            Some(serial) if serial == self.serial => Some(sent),
            // The first of two may be late and still be back in time: it proves the path as well.
            Some(serial) if serial.checked_add(1) == Some(self.serial) => before,
            _ => None,
        };
        if let Some(went) = went {
            self.proven = true;
            self.delay = Some(now.since(went));
            self.state = State::Resting {
                next: sent + PERIOD,
            };
        }
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
        let mut canary = Canary::default();
        canary.start(at(0));
        assert_eq!(canary.elapsed(at(0)), Verdict::Send("1".into()));
        assert!(!canary.is_proven());
        canary.heard(at(1), b"1");
        assert!(canary.is_proven());
        assert_eq!(canary.delay(), Some(Duration::from_millis(1)));
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
        let mut canary = Canary::default();
        canary.start(at(0));
        canary.elapsed(at(0));
        assert_eq!(canary.elapsed(at(500)), Verdict::Send("2".into()));
        canary.heard(at(600), b"1");
        canary.heard(at(601), b"2");
        assert_eq!(canary.delay(), Some(Duration::from_millis(600)));
        assert_eq!(canary.elapsed(at(1499)), Verdict::Wait);
        assert_eq!(canary.elapsed(at(1500)), Verdict::Send("3".into()));
    }

    #[test]
    fn what_is_no_nonce_of_ours_proves_nothing() {
        let mut canary = Canary::default();
        canary.heard(at(0), b"1");
        canary.start(at(0));
        canary.elapsed(at(0));
        for nonce in [&b""[..], b"0", b"2", b"\xff", b"18446744073709551615"] {
            canary.heard(at(1), nonce);
        }
        assert!(!canary.is_proven());
    }

    #[test]
    fn a_nonce_behind_a_burst_is_waited_for_while_bytes_come_but_not_for_ever() {
        let mut canary = Canary::default();
        canary.start(at(0));
        assert!(matches!(canary.elapsed(at(0)), Verdict::Send(_)));
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
