//! When what is published.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::error::BenchError;
use super::ledger::Sums;
use super::plan::{Pace, Through, Work};
use super::run::{Bench, Moment, NAP};
use super::source::Source;

/// A window in which nothing moves for so long gets new messages: what was lost must not end the measurement.
const STALL: u64 = 1_000_000;
/// To look and find nothing takes a microsecond or two. What took longer was no CPU time of ours: others had the core.
const LOOK_MAX: u64 = 5;

/// How far the publishing of a phase is.
struct Course {
    began: u64,
    published: u64,
    /// When something arrived last, and how much had arrived.
    moved: (u64, u64),
    /// Of what is under way, what is not waited for any more.
    overdue: u64,
}

impl<F: FnMut(Moment) -> ControlFlow<()>> Bench<'_, F> {
    pub(super) fn publisher(&mut self, through: &Through) -> Result<(), BenchError> {
        let source = Source::open(through, self.swarm.poll.registry());
        self.source = Some(source.map_err(|error| self.cannot_publish(error))?);
        Ok(())
    }

    pub(super) fn publish_for(
        &mut self,
        time: Duration,
        pace: Option<Pace>,
        counts: bool,
    ) -> Result<(), BenchError> {
        let began = self.swarm.now();
        let end = began + time.as_micros() as u64;
        let mut course = Course {
            began,
            published: 0,
            moved: (began, 0),
            overdue: 0,
        };
        loop {
            let now = self.swarm.now();
            if now >= end {
                return Ok(());
            }
            if self.swarm.ledger.listeners == 0 {
                return Err(BenchError::Deserted);
            }
            let before = self.swarm.ledger.sums.published;
            let next = match pace {
                Some(Pace::Window(window)) => self.fill_window(window, &mut course, now)?,
                Some(Pace::Rate(rate)) => self.keep_rate(rate, &mut course, now)?,
                None => end,
            };
            if let Some(source) = &mut self.source
                && let Err(error) = source.flush(self.swarm.poll.registry())
            {
                return Err(self.cannot_publish(error));
            }
            // The kernel's timer counts milliseconds, and rounds up: the last one is spent looking.
            let wait = match self.plan.awake {
                true => Duration::ZERO,
                false => Duration::from_millis((next.min(end) - now) / 1_000).min(NAP),
            };
            let idles = wait.is_zero() && before == self.swarm.ledger.sums.published;
            if !self.turn(wait)? && idles {
                self.looked += (self.swarm.now() - now).min(LOOK_MAX);
            }
            let moment = if counts {
                Moment::Measuring {
                    since: Duration::from_micros(self.swarm.now() - began),
                    of: time,
                    count: self.swarm.ledger.sums.delivered,
                }
            } else {
                Moment::WarmingUp
            };
            self.say(moment)?;
        }
    }

    /// Publishes as many as there is room for; when there will be, nobody knows.
    fn fill_window(
        &mut self,
        window: u32,
        course: &mut Course,
        now: u64,
    ) -> Result<u64, BenchError> {
        let Sums { delivered, .. } = self.swarm.ledger.sums;
        if delivered != course.moved.1 {
            course.moved = (now, delivered);
        } else if now > course.moved.0 + STALL {
            course.moved.0 = now;
            course.overdue = self.swarm.ledger.in_flight;
        }
        course.overdue = course.overdue.min(self.swarm.ledger.in_flight);
        while self.swarm.ledger.in_flight - course.overdue < u64::from(window) {
            self.publish(now)?;
        }
        Ok(u64::MAX)
    }

    /// Publishes what is due by now; when the next one is.
    fn keep_rate(&mut self, rate: f64, course: &mut Course, now: u64) -> Result<u64, BenchError> {
        loop {
            let due = course.began + (course.published as f64 * 1e6 / rate) as u64;
            if due > now {
                return Ok(due);
            }
            self.publish(due)?;
            course.published += 1;
        }
    }

    fn publish(&mut self, due: u64) -> Result<(), BenchError> {
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        let channels = self.plan.channels().max(1);
        let channel = match &mut self.random {
            Some(random) => random.u32(..channels),
            None => self.turn_of,
        };
        self.turn_of = (channel + 1) % channels;
        let stamp = self.swarm.ledger.publish(channel, due);
        let published = source.publish(stamp, &self.swarm.messages, self.swarm.poll.registry());
        published.map_err(|error| self.cannot_publish(error))
    }

    pub(super) fn cannot_publish(&self, error: io::Error) -> BenchError {
        let by = match &self.plan.work {
            Work::Fanout { through, .. } => through.to_string(),
            _ => String::new(),
        };
        BenchError::Publish { by, error }
    }
}
