//! What a handshake costs with each source of identity: real clients over TCP loopback, the real binary, a real
//! redis-server, and an application that answers at once.
//!
//! Rounds go through all sources in turn, so that what else the machine does falls on each of them. Where there are
//! two cores, the gateways have one, and the clients, Redis and the application the other: the rate then ends where
//! the busier of the two is full, so the gateway's own time is told besides. `-- --test` is one tiny round, and
//! `-- jwt` measures the sources with that in their names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench that cannot go on says where; it reads the clock; its items are private"
)]

mod application;
mod clients;
mod sources;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use hdrhistogram::Histogram;

use self::clients::handshakes;
use self::sources::{NUMBER, Source};
use self::support::client::Client;
use self::support::gateway::Gateway;
use self::support::redis::Redis;
use self::support::stream::Address;

const AT_ONCE: usize = 64;

/// How much is measured.
struct Scale {
    rounds: usize,
    /// In a round with [`AT_ONCE`]. All rounds of a source together stay below the 28,000 ports that one address
    /// has towards another: who closes first, and that is the client, keeps a port in TIME_WAIT for a minute.
    crowd: usize,
    /// In a round, one after the other.
    alone: usize,
}

const FULL: Scale = Scale {
    rounds: 7,
    crowd: 3_000,
    alone: 300,
};
const TINY: Scale = Scale {
    rounds: 1,
    crowd: 100,
    alone: 10,
};

/// A source, its gateway, and what has been measured so far: one value for each round.
struct Measured {
    source: Source,
    gateway: Gateway,
    begun: usize,
    /// Handshakes per second.
    rates: Vec<f64>,
    /// Microseconds of the gateway's own time, for each handshake.
    cpu: Vec<f64>,
    /// Milliseconds.
    crowd: Latencies,
    alone: Latencies,
}

/// Milliseconds, one value for each round.
#[derive(Default)]
struct Latencies {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let named: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let scale = if is_test { TINY } else { FULL };
    let cores = available_parallelism().map_or(1, Into::into);
    let own = std::process::id();
    let is_split = cores > 1 && pin(own, 0) && pin(own, 1);
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start();
    let mut sources = sources::all(dir.path(), &redis);
    sources.retain(|source| named.iter().all(|name| source.name.contains(*name)));
    let start = |source| Measured::start(source, &redis, is_split);
    let mut measured: Vec<Measured> = sources.into_iter().map(start).collect();
    for round in 1..=scale.rounds {
        for measured in &mut measured {
            measured.round(&scale);
            eprintln!(
                "round {round} of {}, {}: {:.0} handshakes/s, {:.1} us of the gateway's time",
                scale.rounds,
                measured.source.name,
                measured.rates[round - 1],
                measured.cpu[round - 1],
            );
        }
    }
    println!(
        "{cores} cores{}; load {}; {} rounds of {} handshakes, {AT_ONCE} at once, and {} alone",
        if is_split {
            ", one for the gateway"
        } else {
            ", shared by all"
        },
        fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim(),
        scale.rounds,
        scale.crowd,
        scale.alone,
    );
    table(&measured);
}

/// Medians, and from where to where the rounds went.
fn table(measured: &[Measured]) {
    println!(
        "\n| Source | What it proves | Handshakes per second | Gateway CPU, µs | {AT_ONCE} at once, ms: p50, p99 | \
         One at a time, ms: p50, p99 |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for measured in measured {
        println!(
            "| {} | {} | {} | {} | {}, {} | {}, {} |",
            measured.source.name,
            measured.source.proves,
            spread(&measured.rates, 0),
            spread(&measured.cpu, 0),
            spread(&measured.crowd.p50, 1),
            spread(&measured.crowd.p99, 1),
            spread(&measured.alone.p50, 2),
            spread(&measured.alone.p99, 2),
        );
    }
}

impl Measured {
    fn start(source: Source, redis: &Redis, is_split: bool) -> Measured {
        let arguments: Vec<&str> = source.arguments.iter().map(|word| &**word).collect();
        let gateway = Gateway::start(redis, &arguments);
        if is_split {
            pin(gateway.id(), 0);
        }
        Measured {
            source,
            gateway,
            begun: 0,
            rates: Vec::new(),
            cpu: Vec::new(),
            crowd: Latencies::default(),
            alone: Latencies::default(),
        }
    }

    fn round(&mut self, scale: &Scale) {
        // Somebody is there already, as on a busy site; and that the channel is there says that the source was
        // believed.
        let resident = self.resident();
        assert_eq!(self.gateway.metric("ws4redis_channels"), Some(1.0));
        // Warms up: connections to the application, caches, the other core's clock.
        let crowd = self.take(AT_ONCE);
        self.run(crowd, AT_ONCE);

        let before = cpu_ns(self.gateway.id());
        let crowd = self.take(scale.crowd);
        let took = self.run(crowd, AT_ONCE);
        let cpu = cpu_ns(self.gateway.id()) - before;
        self.rates.push(scale.crowd as f64 / took.all.as_secs_f64());
        self.cpu.push(cpu as f64 / 1e3 / scale.crowd as f64);
        self.crowd.add(&took.each);

        let alone = self.take(scale.alone);
        let took = self.run(alone, 1);
        self.alone.add(&took.each);
        drop(resident);
    }

    /// Numbers for so many clients that nobody had before.
    fn take(&mut self, count: usize) -> Range<usize> {
        let numbers = self.begun..self.begun + count;
        self.begun = numbers.end;
        numbers
    }

    fn run(&self, numbers: Range<usize>, at_once: usize) -> clients::Took {
        let address = self.address();
        let request = |nth: usize| self.request(address, numbers.start + nth);
        handshakes(address, numbers.len(), at_once, request)
    }

    fn resident(&self) -> Client {
        let origin = format!("http://{}", self.address());
        let mut fields = vec![("Origin", origin)];
        for (name, value) in &self.source.fields {
            fields.push((name, value.replace(NUMBER, "resident")));
        }
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let tail = self.source.target.trim_start_matches("/ws/");
        self.gateway.client_with(tail, &fields).unwrap()
    }

    /// What a browser asks, and what the source is about.
    fn request(&self, address: SocketAddr, number: usize) -> Vec<u8> {
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {address}\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
             Accept: */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n\
             Sec-WebSocket-Version: 13\r\nOrigin: http://{address}\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Connection: keep-alive, Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\
             Upgrade: websocket\r\n",
            self.source.target
        );
        for (name, value) in &self.source.fields {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        request.replace(NUMBER, &number.to_string()).into_bytes()
    }

    fn address(&self) -> SocketAddr {
        match self.gateway.address() {
            Address::Tcp(address) => address,
            Address::Unix(path) => panic!("clients come by TCP, not {}", path.display()),
        }
    }
}

impl Latencies {
    fn add(&mut self, ns: &Histogram<u64>) {
        let ms = |quantile| ns.value_at_quantile(quantile) as f64 / 1e6;
        self.p50.push(ms(0.5));
        self.p99.push(ms(0.99));
    }
}

/// Keeps a process on a core, all its threads and what it starts; can it?
fn pin(process: u32, core: usize) -> bool {
    let mut command = Command::new("taskset");
    command.args(["-a", "-p", "-c", &core.to_string(), &process.to_string()]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Time that a process has had on a core, as the scheduler counts it.
fn cpu_ns(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let times = tasks.map(|task| {
        let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    times.sum()
}

fn spread(values: &[f64], digits: usize) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (low, middle, high) = (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    );
    format!("{middle:.digits$} ({low:.digits$}–{high:.digits$})")
}
