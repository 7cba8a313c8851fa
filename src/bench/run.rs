//! The course of a benchmark: open, warm up, measure, wait for the rest.

use std::time::Duration;

use mio::Events;

use super::error::BenchError;
use super::files;
use super::plan::{Pace, Plan, Through, Work};
use super::process::{self, Cost};
use super::report::{Latency, Phase, Report};
use super::source::Source;
use super::swarm::Swarm;

/// Between two words on how it goes.
const PROGRESS_EVERY: u64 = 500_000;
/// Without a handshake or a message for so long nothing more is waited for, in microseconds.
const PATIENCE: u64 = 5_000_000;
/// The longest sleep.
const NAP: Duration = Duration::from_millis(20);

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

/// Runs a benchmark. `tell` hears how it goes, twice a second.
pub fn run(plan: &Plan, tell: impl FnMut(Moment)) -> Result<Report, BenchError> {
    files::raise(plan)?;
    let mut bench = Bench {
        swarm: Swarm::new(plan)?,
        source: None,
        events: Events::with_capacity(4_096),
        told_at: 0,
        turn_of: 0,
        random: None,
        tell,
        plan,
    };
    bench.cost()?;
    let mut report = Report::new(plan);
    match &plan.work {
        Work::Connect => report.phases.push(bench.connect()?),
        Work::Idle => {
            let before = bench.cost()?.gateway;
            bench.open(plan.connections, false)?;
            report.phases.push(bench.measure("idle", None)?);
            let after = bench.cost()?.gateway;
            report.memory_per_connection = before.zip(after).map(|(before, after)| {
                after.memory.saturating_sub(before.memory) as f64 / f64::from(plan.connections)
            });
        }
        Work::Publish { window } => {
            bench.open(plan.connections, false)?;
            bench.settle()?;
            for index in 0..plan.connections {
                bench.swarm.say(index, *window);
            }
            report.phases.push(bench.measure("publish", None)?);
        }
        Work::Fanout {
            pace,
            through,
            random,
            slow,
        } => {
            bench.random = random.map(fastrand::Rng::with_seed);
            bench.open(plan.connections, false)?;
            bench.publisher(through)?;
            bench.settle()?;
            report.phases.push(bench.measure("fanout", Some(*pace))?);
            if *slow > 0 {
                bench.open(*slow, true)?;
                report
                    .phases
                    .push(bench.measure("with slow clients", Some(*pace))?);
            }
        }
    }
    report.handshakes = bench.swarm.handshakes;
    report.trouble = bench.swarm.trouble.take();
    Ok(report)
}

struct Bench<'a, F> {
    plan: &'a Plan,
    swarm: Swarm,
    source: Option<Source>,
    events: Events,
    told_at: u64,
    /// The channel that is published on next.
    turn_of: u32,
    /// It is drawn, if there is this.
    random: Option<fastrand::Rng>,
    tell: F,
}

/// The cost so far.
struct Costs {
    gateway: Option<Cost>,
    own: Cost,
}

impl<F: FnMut(Moment)> Bench<'_, F> {
    /// Opens so many clients more.
    fn open(&mut self, more: u32, deaf: bool) -> Result<(), BenchError> {
        let (wanted, broken) = (self.swarm.open + more, self.swarm.ledger.sums.broken);
        let mut begun = 0;
        let mut moved = (self.swarm.now(), self.swarm.open);
        while self.swarm.open < wanted {
            while begun < more && self.swarm.opening < self.plan.concurrency {
                self.swarm.begin(deaf)?;
                begun += 1;
            }
            self.turn(NAP)?;
            let (now, open) = (self.swarm.now(), self.swarm.open);
            if open > moved.1 {
                moved = (now, open);
            }
            self.say(Moment::Opening { open, of: wanted });
            if now > moved.0 + PATIENCE || self.swarm.ledger.sums.broken > broken {
                let why = self.swarm.trouble.take();
                let why = why.unwrap_or_else(|| "no answer for 5 s".to_owned());
                return Err(BenchError::Open { open, wanted, why });
            }
        }
        Ok(())
    }

    fn publisher(&mut self, through: &Through) -> Result<(), BenchError> {
        let source = Source::open(through, self.swarm.poll.registry());
        self.source = Some(source.map_err(BenchError::Publish)?);
        Ok(())
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
    fn measure(&mut self, name: &'static str, pace: Option<Pace>) -> Result<Phase, BenchError> {
        let began = self.swarm.now();
        self.publish_until(began, self.plan.warm_up, pace, false)?;
        self.swarm.ledger.begin();
        let before = self.cost()?;
        let began = self.swarm.now();
        self.publish_until(began, self.plan.duration, pace, true)?;
        let mut phase = self.phase(name, began, &before, self.swarm.ledger.sums.delivered)?;
        self.land()?;
        // What came late is late, not lost.
        phase.latency = Latency::of(&self.swarm.ledger.each);
        phase.to_the_last = Latency::of(&self.swarm.ledger.last);
        phase.sums = self.swarm.ledger.sums;
        Ok(phase)
    }

    fn publish_until(
        &mut self,
        began: u64,
        time: Duration,
        pace: Option<Pace>,
        counts: bool,
    ) -> Result<(), BenchError> {
        let end = began + time.as_micros() as u64;
        let mut published = 0_u64;
        loop {
            let now = self.swarm.now();
            if now >= end {
                return Ok(());
            }
            let mut wait = end - now;
            match pace {
                Some(Pace::Window(window)) => {
                    while self.swarm.ledger.in_flight < u64::from(window) {
                        self.publish(now)?;
                    }
                }
                Some(Pace::Rate(rate)) => loop {
                    let due = began + (published as f64 * 1e6 / rate) as u64;
                    if due > now {
                        wait = wait.min(due - now);
                        break;
                    }
                    self.publish(due)?;
                    published += 1;
                },
                None => {}
            }
            if let Some(source) = &mut self.source {
                let flushed = source.flush(self.swarm.poll.registry());
                flushed.map_err(BenchError::Publish)?;
            }
            // The kernel's timer counts milliseconds, and rounds up: the last one is spent looking.
            let wait = match self.plan.awake {
                true => Duration::ZERO,
                false => Duration::from_millis(wait / 1_000).min(NAP),
            };
            self.turn(wait)?;
            let moment = if counts {
                Moment::Measuring {
                    since: Duration::from_micros(self.swarm.now() - began),
                    of: time,
                    count: self.swarm.ledger.sums.delivered,
                }
            } else {
                Moment::WarmingUp
            };
            self.say(moment);
        }
    }

    fn publish(&mut self, due: u64) -> Result<(), BenchError> {
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        let channels = self.plan.channels.max(1);
        let channel = match &mut self.random {
            Some(random) => random.u32(..channels),
            None => self.turn_of,
        };
        self.turn_of = (channel + 1) % channels;
        let stamp = self.swarm.ledger.publish(channel, due);
        let published = source.publish(stamp, &self.swarm.messages, self.swarm.poll.registry());
        published.map_err(BenchError::Publish)
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
            self.say(Moment::Landing { in_flight });
        }
        self.swarm.settle();
        self.swarm.silent = false;
        Ok(())
    }

    /// Clients come and go for as long as it was said.
    fn connect(&mut self) -> Result<Phase, BenchError> {
        self.swarm.churn = true;
        for _ in 0..self.plan.concurrency {
            self.swarm.begin(false)?;
        }
        self.churn_for(self.plan.warm_up, false)?;
        self.swarm.ledger.begin();
        let (before, handshakes) = (self.cost()?, self.swarm.handshakes);
        let began = self.swarm.now();
        self.churn_for(self.plan.duration, true)?;
        self.phase(
            "connect",
            began,
            &before,
            self.swarm.handshakes - handshakes,
        )
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
            self.say(moment);
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
        Ok(Phase {
            name,
            seconds,
            events,
            gateway_cpu_seconds: before.gateway.zip(after.gateway).map(spent),
            gateway_memory: after.gateway.map(|cost| cost.memory),
            own_cpu_seconds: spent((before.own, after.own)),
            awake: self.plan.awake,
            latency: Latency::of(&self.swarm.ledger.each),
            to_the_last: Latency::of(&self.swarm.ledger.last),
            sums: self.swarm.ledger.sums,
        })
    }

    /// One turn of the loop: clients, and who publishes.
    fn turn(&mut self, timeout: Duration) -> Result<(), BenchError> {
        let Bench {
            swarm,
            source,
            events,
            ..
        } = self;
        let mut failed = None;
        swarm.turn(events, timeout, |swarm, index| {
            if let Some(source) = source {
                let mut scratch = std::mem::take(&mut swarm.scratch);
                let registry = swarm.poll.registry();
                let heard = source.happened(index, &mut scratch, &swarm.messages, registry);
                swarm.scratch = scratch;
                failed = heard.err();
            }
            Ok(())
        })?;
        if let Some(error) = failed {
            return Err(BenchError::Publish(error));
        }
        for (index, messages) in std::mem::take(&mut self.swarm.answered) {
            if !self.swarm.silent {
                self.swarm.say(index, messages);
            }
        }
        Ok(())
    }

    fn cost(&self) -> Result<Costs, BenchError> {
        let of = |pid| process::cost(pid).map_err(|error| BenchError::Process { pid, error });
        Ok(Costs {
            gateway: self.plan.pid.map(of).transpose()?,
            own: of(std::process::id())?,
        })
    }

    fn say(&mut self, moment: Moment) {
        let now = self.swarm.now();
        if now >= self.told_at + PROGRESS_EVERY {
            self.told_at = now;
            (self.tell)(moment);
        }
    }
}
