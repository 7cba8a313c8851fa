//! What came of a benchmark, for people and for machines.

use std::fmt::{self, Write as _};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::error::BenchError;
use super::ledger::Sums;
use super::plan::{Pace, Plan, Work};

/// All of it. Times are in seconds, memory in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// Why it ended early, if it did.
    pub error: Option<String>,
    /// Clients; those that come and go, at a time.
    pub connections: u32,
    /// Channels.
    pub channels: u32,
    /// Bytes of a message, where there are any.
    pub size: Option<usize>,
    /// How fast it was meant to be.
    pub pace: String,
    /// Handshakes that came about.
    pub handshakes: u64,
    /// Memory of the gateway for each idle connection.
    pub memory_per_connection: Option<f64>,
    /// What was measured, in turn.
    pub phases: Vec<Phase>,
    /// What the first connection that broke met.
    pub trouble: Option<String>,
}

/// What is to be thought of a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Clean,
    /// The gateway did wrong.
    Faults,
    /// It ended early; until then all was well.
    Incomplete,
    /// Nothing was measured: there is an error, and no more.
    Failed,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Which.
    pub name: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// Messages that arrived in that time, or handshakes that came about.
    pub events: u64,
    /// CPU time of the gateway.
    pub gateway_cpu_seconds: Option<f64>,
    /// Memory of the gateway at its end.
    pub gateway_memory: Option<u64>,
    /// CPU time of the benchmark itself, without that in which it only looked whether something had come.
    pub own_cpu_seconds: f64,
    /// From when a message was due, or a connection was begun, until it was there.
    pub latency: Option<Latency>,
    /// From when a message was due until its last subscriber had it.
    pub to_the_last: Option<Latency>,
    /// What was lost, and the like.
    pub sums: Sums,
}

const OWN_LIMIT: &str = "the benchmark itself was the bottleneck: the gateway can do more";

/// A distribution, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// 90 % are below.
    pub p90: f64,
    /// 99 % are below.
    pub p99: f64,
    /// 99.9 % are below.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    pub(super) fn of(histogram: &Histogram<u64>) -> Option<Latency> {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
        (!histogram.is_empty()).then(|| Latency {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1e6,
        })
    }
}

impl Phase {
    /// Events a second.
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.seconds.max(1e-9)
    }

    /// CPU seconds of the gateway for each event.
    pub fn gateway_cpu_per_event(&self) -> Option<f64> {
        self.gateway_cpu_seconds
            .filter(|_| self.events > 0)
            .map(|cpu| cpu / self.events as f64)
    }

    /// Was the benchmark itself what was slow? It is one thread: at nine tenths of a core it has no room. What ended at
    /// once says nothing of that.
    pub fn is_own_limit(&self) -> bool {
        self.seconds > 0.1 && self.own_cpu_seconds > 0.9 * self.seconds
    }
}

impl Report {
    pub(super) fn new(plan: &Plan) -> Report {
        let pace = match plan.work {
            Work::Fanout {
                pace: Pace::Rate(rate),
                ..
            } => format!("{rate} messages/s"),
            Work::Fanout {
                pace: Pace::Window(window),
                ..
            } => format!("{window} under way"),
            Work::Publish { window } => format!("{window} under way per client"),
            Work::Connect => format!("{} handshakes at a time", plan.concurrency),
            Work::Idle => "idle".to_owned(),
        };
        Report {
            verdict: Verdict::Clean,
            error: None,
            connections: match plan.work {
                Work::Connect => plan.concurrency,
                _ => plan.connections,
            },
            channels: plan.channels(),
            size: match plan.work {
                Work::Connect | Work::Idle => None,
                Work::Fanout { .. } | Work::Publish { .. } => Some(plan.size),
            },
            pace,
            handshakes: 0,
            memory_per_connection: None,
            phases: Vec::new(),
            trouble: None,
        }
    }

    /// All is measured, or it ended early.
    pub(super) fn conclude(&mut self, error: Option<BenchError>) {
        let is_clean = self.phases.iter().all(|phase| phase.sums.is_clean());
        self.verdict = match (is_clean, &error) {
            (false, _) => Verdict::Faults,
            (true, Some(_)) => Verdict::Incomplete,
            (true, None) => Verdict::Clean,
        };
        self.error = error.map(|error| error.to_string());
    }
}

/// The table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clients, channels) = (u64::from(self.connections), u64::from(self.channels));
        let s = if channels == 1 { "" } else { "s" };
        write!(
            f,
            "{} clients on {} channel{s}",
            grouped(clients),
            grouped(channels)
        )?;
        if let Some(size) = self.size {
            write!(f, ", {size} bytes")?;
        }
        writeln!(f, ", {}", self.pace)?;
        for phase in &self.phases {
            phase.write(f)?;
        }
        writeln!(f)?;
        if let Some(bytes) = self.memory_per_connection {
            line(f, "memory per connection", &format!("{bytes:.0} bytes"))?;
        }
        if let Some(trouble) = &self.trouble {
            line(f, "first to break", trouble)?;
        }
        if let Some(error) = &self.error {
            line(f, "ended early", error)?;
        }
        let hears = self.size.is_some();
        let verdict = match self.verdict {
            Verdict::Clean if hears => "every message arrived once, in order, unchanged",
            Verdict::Clean => "no connection broke",
            Verdict::Faults => "FAULTS, see above",
            Verdict::Incomplete | Verdict::Failed => "no fault until it ended early",
        };
        line(f, "verdict", verdict)
    }
}

impl Phase {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handshakes = self.name == "connect";
        let thing = if handshakes { "handshake" } else { "delivery" };
        writeln!(f, "\n{}, {:.1} s", self.name, self.seconds)?;
        if self.events > 0 {
            let things = if handshakes {
                "handshakes"
            } else {
                "deliveries"
            };
            line(
                f,
                things,
                &format!(
                    "{}, {}/s",
                    grouped(self.events),
                    grouped(self.rate() as u64)
                ),
            )?;
        }
        let first = if handshakes {
            "handshake"
        } else {
            "each client"
        };
        let latencies = [(first, self.latency), ("the last client", self.to_the_last)];
        if self.latency.is_some() {
            line(
                f,
                "latency in ms",
                &columns(["p50", "p90", "p99", "p99.9", "max"]),
            )?;
        }
        for (name, latency) in latencies {
            if let Some(latency) = latency {
                line(f, &format!("  {name}"), &latency.to_string())?;
            }
        }
        self.write_costs(f, thing)?;
        let Sums {
            lost,
            duplicate,
            reordered,
            corrupt,
            broken,
            ..
        } = self.sums;
        if !self.sums.is_clean() {
            let faults = format!(
                "{lost} lost, {duplicate} twice, {reordered} out of order, {corrupt} changed, \
                 {broken} connections broken"
            );
            line(f, "faults", &faults)?;
        }
        Ok(())
    }

    fn write_costs(&self, f: &mut fmt::Formatter<'_>, thing: &str) -> fmt::Result {
        if let Some(cpu) = self.gateway_cpu_seconds {
            let mut text = format!("{cpu:.2} s, {:.1} % of a core", 100.0 * cpu / self.seconds);
            if let Some(each) = self.gateway_cpu_per_event() {
                let _ = write!(text, ", {:.2} us per {thing}", each * 1e6);
            }
            line(f, "gateway CPU", &text)?;
        }
        if let Some(memory) = self.gateway_memory {
            line(
                f,
                "gateway memory",
                &format!("{:.1} MB", memory as f64 / 1e6),
            )?;
        }
        let mut own = format!("{:.2} s", self.own_cpu_seconds);
        if self.events > 0 {
            let _ = write!(
                own,
                ", {:.2} us per {thing}",
                self.own_cpu_seconds * 1e6 / self.events as f64
            );
        }
        line(f, "benchmark's CPU", &own)?;
        if self.is_own_limit() {
            line(f, "WARNING", OWN_LIMIT)?;
        }
        Ok(())
    }
}

/// In milliseconds, in columns.
impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency {
            p50,
            p90,
            p99,
            p999,
            max,
        } = *self;
        let ms = [p50, p90, p99, p999, max].map(|seconds| format!("{:.3}", seconds * 1e3));
        f.write_str(&columns(ms.each_ref().map(String::as_str)))
    }
}

fn columns(words: [&str; 5]) -> String {
    words.map(|word| format!("{word:>9}")).concat()
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {name:<22} {value}")
}

/// 1234567 is 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmark_is_its_own_limit_near_a_whole_core() {
        let mut phase = Phase {
            name: "fanout",
            seconds: 10.0,
            events: 1,
            gateway_cpu_seconds: None,
            gateway_memory: None,
            own_cpu_seconds: 9.5,
            latency: None,
            to_the_last: None,
            sums: Sums::default(),
        };
        assert!(phase.is_own_limit());
        phase.own_cpu_seconds = 5.0;
        assert!(!phase.is_own_limit());
    }

    #[test]
    fn large_numbers_have_commas() {
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
