//! What came of a benchmark, for people and for machines.

use std::fmt::{self, Write as _};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::ledger::Sums;
use super::plan::{Pace, Plan, Work};

/// All of it. Times are in seconds, memory in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Clients.
    pub connections: u32,
    /// Channels.
    pub channels: u32,
    /// Bytes of a message.
    pub size: usize,
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
    /// CPU time of the benchmark itself.
    pub own_cpu_seconds: f64,
    /// It never slept, so that its CPU time says nothing of what it had to do.
    pub awake: bool,
    /// From when a message was due, or a connection was begun, until it was there.
    pub latency: Option<Latency>,
    /// From when a message was due until its last subscriber had it.
    pub to_the_last: Option<Latency>,
    /// What was lost, and the like.
    pub sums: Sums,
}

const OWN_LIMIT: &str = "; WARNING: the benchmark was the bottleneck, the gateway can do more";

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

    /// Was the benchmark itself what was slow? It is one thread: at nine tenths of a core it has no room.
    pub fn is_own_limit(&self) -> bool {
        !self.awake && self.own_cpu_seconds > 0.9 * self.seconds
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
            connections: plan.connections,
            channels: plan.channels.min(plan.connections),
            size: plan.size,
            pace,
            handshakes: 0,
            memory_per_connection: None,
            phases: Vec::new(),
            trouble: None,
        }
    }

    /// Did everything arrive once, in order, as it was published?
    pub fn is_clean(&self) -> bool {
        self.phases.iter().all(|phase| phase.sums.is_clean())
    }
}

/// The table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            connections,
            channels,
            size,
            pace,
            ..
        } = self;
        let s = if *channels == 1 { "" } else { "s" };
        writeln!(
            f,
            "{connections} clients on {channels} channel{s}, {size} bytes, {pace}"
        )?;
        for phase in &self.phases {
            phase.write(f)?;
        }
        if let Some(bytes) = self.memory_per_connection {
            line(f, "memory per connection", &format!("{bytes:.0} bytes"))?;
        }
        if let Some(trouble) = &self.trouble {
            line(f, "first trouble", trouble)?;
        }
        line(
            f,
            "verdict",
            if self.is_clean() {
                "all arrived once, in order, unchanged"
            } else {
                "FAULTS, see above"
            },
        )
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
                &format!("{}, {}/s", self.events, rounded(self.rate())),
            )?;
        }
        for (name, latency) in [
            ("latency", self.latency),
            ("to the last one", self.to_the_last),
        ] {
            if let Some(latency) = latency {
                line(f, name, &latency.to_string())?;
            }
        }
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
        if self.is_own_limit() {
            own.push_str(OWN_LIMIT);
        }
        line(f, "benchmark's CPU", &own)?;
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
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency {
            p50,
            p90,
            p99,
            p999,
            max,
        } = *self;
        for (name, seconds) in [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p999)] {
            write!(f, "{name} {:.3} ms, ", seconds * 1e3)?;
        }
        write!(f, "max {:.3} ms", max * 1e3)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {name:<22} {value}")
}

/// 1234567 is 1,234,567.
fn rounded(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
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
    fn the_benchmark_is_its_own_limit_near_a_whole_core_unless_it_never_sleeps() {
        let mut phase = Phase {
            name: "fanout",
            seconds: 10.0,
            events: 1,
            gateway_cpu_seconds: None,
            gateway_memory: None,
            own_cpu_seconds: 9.5,
            awake: false,
            latency: None,
            to_the_last: None,
            sums: Sums::default(),
        };
        assert!(phase.is_own_limit());
        phase.awake = true;
        assert!(!phase.is_own_limit());
        phase.awake = false;
        phase.own_cpu_seconds = 5.0;
        assert!(!phase.is_own_limit());
    }

    #[test]
    fn large_numbers_have_commas() {
        assert_eq!(rounded(999.4), "999");
        assert_eq!(rounded(1_234_567.0), "1,234,567");
    }
}
