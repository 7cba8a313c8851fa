//! The course of a benchmark: open, warm up, measure, wait for the rest.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use mio::Events;

use super::dial;
use super::error::BenchError;
use super::files;
use super::plan::{Pace, Plan, Work};
use super::process::{self, Cost};
use super::report::{Latency, Phase, Report};
use super::source::Source;
use super::swarm::Swarm;

/// Between two words on how it goes.
const PROGRESS_EVERY: u64 = 500_000;
/// Without a handshake or a message for so long nothing more is waited for, in microseconds.
const PATIENCE: u64 = 5_000_000;
/// The longest sleep.
pub(super) const NAP: Duration = Duration::from_millis(20);

/// How it goes, for who wants to show it.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// So many clients are open.
    Opening {
        /// Now.
        open: u32,
        /// In the end.
        of: u32,
    },
    /// It warms up.
    WarmingUp,
    /// It measures.
    Measuring {
        /// For so long.
        since: Duration,
        /// Of so long.
        of: Duration,
        /// Messages that arrived, or handshakes that came about.
        count: u64,
    },
    /// It waits for the messages that are under way.
    Landing {
        /// So many.
        in_flight: u64,
    },
}

/// Runs a benchmark. `tell` hears how it goes, twice a second, and may end it. What was measured until it ended, by
/// that or by a failure, is in the report; there is only an error if nothing was.
pub fn run(plan: &Plan, tell: impl FnMut(Moment) -> ControlFlow<()>) -> Result<Report, BenchError> {
    dial::check(plan)?;
    files::raise(plan)?;
    let mut bench = Bench {
        swarm: Swarm::new(plan)?,
        source: None,
        events: Events::with_capacity(4_096),
        told_at: 0,
        looked: 0,
        turn_of: 0,
        random: None,
        tell,
        plan,
    };
    bench.check_gateway()?;
    let mut report = Report::new(plan);
    let done = bench.work(&mut report);
    report.handshakes = bench.swarm.handshakes;
    report.trouble = bench.swarm.trouble.take();
    match done {
        Err(error) if report.phases.is_empty() => Err(error),
        done => {
            report.conclude(done.err());
            Ok(report)
        }
    }
}

/// One that runs.
pub(super) struct Bench<'a, F> {
    pub(super) plan: &'a Plan,
    pub(super) swarm: Swarm,
    pub(super) source: Option<Source>,
    events: Events,
    told_at: u64,
    /// Time that passed with looking for what was not there yet: it could have been slept.
    pub(super) looked: u64,
    /// The channel that is published on next.
    pub(super) turn_of: u32,
    /// It is drawn, if there is this.
    pub(super) random: Option<fastrand::Rng>,
    tell: F,
}

/// The cost so far.
struct Costs {
    gateway: Option<Cost>,
    own: Cost,
    looked: u64,
}

impl<F: FnMut(Moment) -> ControlFlow<()>> Bench<'_, F> {
    fn work(&mut self, report: &mut Report) -> Result<(), BenchError> {
        match &self.plan.work {
            Work::Connect => self.connect(report),
            Work::Idle => {
                let before = self.cost()?.gateway;
                self.open(self.plan.connections, false)?;
                let done = self.measure("idle", None, report);
                let after = self.cost()?.gateway;
                report.memory_per_connection = before.zip(after).map(|(before, after)| {
                    after.memory.saturating_sub(before.memory) as f64
                        / f64::from(self.plan.connections)
                });
                done
            }
            Work::Publish { window } => {
                self.open(self.plan.connections, false)?;
                self.settle()?;
                for index in 0..self.plan.connections {
                    self.swarm.say(index, *window);
                }
                self.measure("publish", None, report)
            }
            Work::Fanout {
                pace,
                through,
                random,
                slow,
            } => {
                self.random = random.map(fastrand::Rng::with_seed);
                // First, as there is little sense in ten thousand clients without a publisher.
                self.publisher(through)?;
                self.open(self.plan.connections, false)?;
                self.settle()?;
                self.measure("fanout", Some(*pace), report)?;
                if *slow > 0 {
                    self.open(*slow, true)?;
                    self.measure("with slow clients", Some(*pace), report)?;
                }
                Ok(())
            }
        }
    }

    /// Opens so many clients more.
    fn open(&mut self, more: u32, deaf: bool) -> Result<(), BenchError> {
        let (wanted, broken) = (self.swarm.open + more, self.swarm.ledger.sums.broken);
        let mut begun = 0;
        let mut moved = (self.swarm.now(), self.swarm.open);
        while self.swarm.open < wanted {
            while begun < more && self.swarm.opening < self.plan.concurrency {
                match self.swarm.begin(deaf) {
                    Ok(()) => begun += 1,
                    // The queue of a unix socket is full.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(self.cannot_open(wanted, error.to_string())),
                }
            }
            self.turn(NAP)?;
            let (now, open) = (self.swarm.now(), self.swarm.open);
            if open > moved.1 {
                moved = (now, open);
            }
            self.say(Moment::Opening { open, of: wanted })?;
            if now > moved.0 + PATIENCE || self.swarm.ledger.sums.broken > broken {
                let why = self.swarm.trouble.take();
                let why = why.unwrap_or_else(|| "no answer for 5 s".to_owned());
                return Err(self.cannot_open(wanted, why));
            }
        }
        Ok(())
    }

    fn cannot_open(&self, wanted: u32, why: String) -> BenchError {
        BenchError::Open {
            open: self.swarm.open,
            wanted,
            at: self.plan.target.address.to_string(),
            why,
        }
    }

    /// Lets pass what the plan leaves between the last handshake and the first message.
    fn settle(&mut self) -> Result<(), BenchError> {
        let end = self.swarm.now() + self.plan.settle.as_micros() as u64;
        while self.swarm.now() < end {
            self.turn(NAP)?;
        }
        Ok(())
    }

    /// Warms up, measures, and waits for the rest.
    fn measure(
        &mut self,
        name: &'static str,
        pace: Option<Pace>,
        report: &mut Report,
    ) -> Result<(), BenchError> {
        self.publish_for(self.plan.warm_up, pace, false)?;
        self.swarm.ledger.begin();
        let before = self.cost()?;
        let began = self.swarm.now();
        let mut done = self.publish_for(self.plan.duration, pace, true);
        let mut phase = self.phase(name, began, &before, self.swarm.ledger.sums.delivered)?;
        // What a publisher still has when it fails is no loss of the gateway's.
        if !matches!(done, Err(BenchError::Publish { .. })) {
            done = done.and(self.land());
        }
        // What came late is late, not lost.
        phase.latency = Latency::of(&self.swarm.ledger.each);
        phase.to_the_last = Latency::of(&self.swarm.ledger.last);
        phase.sums = self.swarm.ledger.sums;
        report.phases.push(phase);
        self.check_gateway().and(done)
    }

    /// Waits for what is under way, as long as something comes.
    fn land(&mut self) -> Result<(), BenchError> {
        self.swarm.silent = true;
        let mut moved = (self.swarm.now(), self.swarm.ledger.sums.delivered);
        while self.swarm.ledger.in_flight > 0 && self.swarm.now() < moved.0 + PATIENCE {
            self.turn(NAP)?;
            let delivered = self.swarm.ledger.sums.delivered;
            if delivered > moved.1 {
                moved = (self.swarm.now(), delivered);
            }
            let in_flight = self.swarm.ledger.in_flight;
            self.say(Moment::Landing { in_flight })?;
        }
        self.swarm.settle();
        self.swarm.silent = false;
        Ok(())
    }

    /// Clients come and go for as long as it was said.
    fn connect(&mut self, report: &mut Report) -> Result<(), BenchError> {
        self.swarm.churn = true;
        for _ in 0..self.plan.concurrency {
            let begun = self.swarm.begin(false);
            begun.map_err(|error| self.cannot_open(self.plan.concurrency, error.to_string()))?;
        }
        self.churn_for(self.plan.warm_up, false)?;
        self.swarm.ledger.begin();
        let (before, handshakes) = (self.cost()?, self.swarm.handshakes);
        let began = self.swarm.now();
        let done = self.churn_for(self.plan.duration, true);
        let count = self.swarm.handshakes - handshakes;
        let phase = self.phase("connect", began, &before, count)?;
        report.phases.push(phase);
        self.check_gateway().and(done)?;
        match count {
            0 => Err(BenchError::NoHandshake),
            _ => Ok(()),
        }
    }

    fn churn_for(&mut self, time: Duration, counts: bool) -> Result<(), BenchError> {
        let (began, handshakes) = (self.swarm.now(), self.swarm.handshakes);
        let end = began + time.as_micros() as u64;
        while self.swarm.now() < end {
            self.turn(NAP)?;
            let moment = if counts {
                Moment::Measuring {
                    since: Duration::from_micros(self.swarm.now() - began),
                    of: time,
                    count: self.swarm.handshakes - handshakes,
                }
            } else {
                Moment::WarmingUp
            };
            self.say(moment)?;
        }
        Ok(())
    }

    /// What came of a phase that ends now.
    fn phase(
        &mut self,
        name: &'static str,
        began: u64,
        before: &Costs,
        events: u64,
    ) -> Result<Phase, BenchError> {
        let seconds = Duration::from_micros(self.swarm.now() - began).as_secs_f64();
        let after = self.cost()?;
        let spent =
            |(before, after): (Cost, Cost)| after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let looked = Duration::from_micros(after.looked - before.looked).as_secs_f64();
        Ok(Phase {
            name,
            seconds,
            events,
            gateway_cpu_seconds: before.gateway.zip(after.gateway).map(spent),
            gateway_memory: after.gateway.map(|cost| cost.memory),
            own_cpu_seconds: (spent((before.own, after.own)) - looked).max(0.0),
            latency: Latency::of(&self.swarm.ledger.each),
            to_the_last: Latency::of(&self.swarm.ledger.last),
            sums: self.swarm.ledger.sums,
        })
    }

    /// One turn of the loop: clients, and who publishes. Did something happen?
    pub(super) fn turn(&mut self, timeout: Duration) -> Result<bool, BenchError> {
        let Bench {
            swarm,
            source,
            events,
            ..
        } = self;
        let mut failed = None;
        let something = swarm.turn(events, timeout, |swarm, index, readable| {
            if let Some(source) = source {
                let mut scratch = std::mem::take(&mut swarm.scratch);
                let registry = swarm.poll.registry();
                let heard =
                    source.happened(index, readable, &mut scratch, &swarm.messages, registry);
                swarm.scratch = scratch;
                if let Err(error) = heard {
                    failed.get_or_insert(error);
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(self.cannot_publish(error));
        }
        for (index, messages) in std::mem::take(&mut self.swarm.answered) {
            if !self.swarm.silent {
                self.swarm.say(index, messages);
            }
        }
        Ok(something)
    }

    fn cost(&self) -> io::Result<Costs> {
        Ok(Costs {
            gateway: self.plan.pid.and_then(|pid| process::cost(pid).ok()),
            own: process::cost(std::process::id())?,
            looked: self.looked,
        })
    }

    /// Is the process there that is measured?
    fn check_gateway(&self) -> Result<(), BenchError> {
        match self.plan.pid {
            Some(pid) => process::cost(pid)
                .map(drop)
                .map_err(|error| BenchError::Process { pid, error }),
            None => Ok(()),
        }
    }

    pub(super) fn say(&mut self, moment: Moment) -> Result<(), BenchError> {
        let now = self.swarm.now();
        if now < self.told_at + PROGRESS_EVERY {
            return Ok(());
        }
        self.told_at = now;
        match (self.tell)(moment) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BenchError::Interrupted),
        }
    }
}
