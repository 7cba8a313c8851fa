//! `ws4redis bench`.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{ArgMatches, Args, Command, Subcommand};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use ws4redis::bench::message::{self, CHANNELS_MAX};
use ws4redis::bench::plan::{Pace, Plan, Through, Work};
use ws4redis::bench::target::Target;
use ws4redis::bench::{self, BenchError, Moment, Report, Verdict};
use ws4redis::config::values::duration;

use super::arguments::PUBLISHERS;
use super::{Failure, settings};

const CLIENTS_MAX: u32 = 10_000_000;
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// `bench`.
#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(subcommand)]
    mode: Mode,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(super) enum Mode {
    /// Publish, and time how long it takes to all clients
    #[command(after_help = FANOUT)]
    Fanout {
        #[command(flatten)]
        clients: Clients,
        #[command(flatten)]
        publisher: Publisher,
    },
    /// Connect and hang up, over and over
    #[command(after_help = CONNECT)]
    Connect {
        #[command(flatten)]
        clients: Clients,
    },
    /// Connect, and see what it costs that clients are there
    #[command(after_help = IDLE)]
    Idle {
        #[command(flatten)]
        clients: Clients,
    },
    /// Let each client publish, and hear itself
    #[command(after_help = PUBLISH)]
    Publish {
        #[command(flatten)]
        clients: Clients,
        /// Messages of each client under way at a time
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = count(1_000))]
        window: u32,
    },
    /// Fan out without and then with clients that never read
    #[command(after_help = SLOW)]
    Slow {
        #[command(flatten)]
        clients: Clients,
        #[command(flatten)]
        publisher: Publisher,
        /// How many of them
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = count(CLIENTS_MAX))]
        slow: u32,
    },
}

/// Who connects.
#[derive(Debug, Args)]
pub(super) struct Clients {
    /// Where: ws://host:port/path?flags or unix:/socket:/path?flags; {channel} becomes the channel's number,
    /// {channels} those of all of the client's channels
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Clients; `connect` has --concurrency instead
    #[arg(long, short, default_value_t = 1_000, value_name = "N", value_parser = count(CLIENTS_MAX))]
    connections: u32,
    /// Channels, dealt out to the clients in turn; with more than clients {channels} must be somewhere; in `publish`
    /// each client has its own
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = count(CHANNELS_MAX))]
    channels: u32,
    /// Bytes of a message
    #[arg(long, default_value_t = 128, value_name = "BYTES", value_parser = size)]
    size: usize,
    /// Handshakes at a time
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = count(CLIENTS_MAX))]
    concurrency: u32,
    /// Clients from one source address; of a gateway on 127.0.0.1 the next ones come from 127.0.0.2, and so on
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = count(64_000))]
    per_address: u32,
    /// How long it is measured, such as 10s
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = time_of_some)]
    duration: Duration,
    /// How long it runs before that
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = time)]
    warm_up: Duration,
    /// The gateway's process here, to measure its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// A field of each handshake, such as 'Authorization: Bearer ...'; may be given again
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<String>,
    /// For other gateways: a text that each client sends first
    #[arg(long, value_name = "TEXT")]
    hello: Option<String>,
    /// For other gateways: how long they are given between the last handshake and the first message
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = time)]
    settle: Duration,
    /// Never sleep, so that the gateway need not wake the benchmark up, which counts as the gateway's CPU time
    #[arg(long)]
    awake: bool,
    /// One JSON object at the end, for machines
    #[arg(long)]
    json: bool,
}

/// Who publishes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Publishing")]
pub(super) struct Publisher {
    /// Messages a second, whether they have arrived or not
    #[arg(long, value_name = "N", conflicts_with = "window", value_parser = rate)]
    rate: Option<f64>,
    /// Messages under way at a time; the next one waits for the slowest client
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = count(1_000_000))]
    window: u32,
    /// Draw the channel of each message, from this seed, instead of taking turns
    #[arg(long, value_name = "SEED")]
    random: Option<u64>,
    /// For other gateways: the channel in Redis [default: [prefix:]broadcast:bench-{channel}]
    #[arg(long, value_name = "NAME")]
    publish_channel: Option<String>,
    /// For other gateways: POST each message here instead of publishing it through Redis
    #[arg(long, value_name = "URL", conflicts_with = "publish_channel")]
    post: Option<String>,
    /// Connections that POST
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = count(1_000))]
    publishers: u32,
}

pub(super) const BENCH: &str = "\
Examples:
  ws4redis bench fanout --pid $(pidof -s ws4redis)
  ws4redis bench connect --concurrency 64
  ws4redis bench idle --connections 10000 --duration 1m --pid 4711

Every connection checks what it hears; a message lost, twice, out of order or
changed is a fault, and the exit status 1. Ctrl-C ends it with what was measured until then.
Nothing but loopback should be measured without asking whoever owns the
network.";

const FANOUT: &str = "\
Examples:
  ws4redis bench fanout --connections 10000 --rate 50
  ws4redis bench fanout --window 64 --size 1024
  ws4redis bench fanout --url 'ws://localhost:9000/sub/{channel}' \\
      --post 'http://localhost:9000/pub/{channel}' --channels 100";

const CONNECT: &str = "\
Example:
  ws4redis bench connect --concurrency 64 --duration 30s";

const IDLE: &str = "\
Example:
  ws4redis bench idle --connections 10000 --duration 1m --pid 4711";

const PUBLISH: &str = "\
Example:
  ws4redis bench publish --connections 200

The gateway ends a client that says more than --messages-per-second-max; with
few clients it has to be higher than its default.";

const SLOW: &str = "\
Example:
  ws4redis bench slow --connections 1000 --slow 100 --rate 50";

/// The modes that publish through Redis take its settings.
pub(super) fn add_flags(command: Command) -> Command {
    ["fanout", "slow"]
        .into_iter()
        .fold(command, |command, mode| {
            command.mut_subcommand(mode, |command| {
                settings::add_flags(command, |name| PUBLISHERS.contains(&name))
            })
        })
}

/// Measures, and ends with 1 if there were faults.
pub(super) fn run(bench: Bench, matches: &ArgMatches) -> Result<(), Failure> {
    let flags = matches.subcommand().map_or(matches, |(_, flags)| flags);
    let (clients, work) = match bench.mode {
        Mode::Fanout { clients, publisher } => (clients, fanout(publisher, 0, flags)?),
        Mode::Slow {
            clients,
            publisher,
            slow,
        } => (clients, fanout(publisher, slow, flags)?),
        Mode::Connect { clients } => (clients, Work::Connect),
        Mode::Idle { clients } => (clients, Work::Idle),
        Mode::Publish { clients, window } => (clients, Work::Publish { window }),
    };
    let url = clients.url.unwrap_or_else(|| default_url(&work));
    let plan = Plan {
        target: Target::parse(&url).map_err(|error| Failure::Usage(error.to_string()))?,
        connections: clients.connections,
        channels: clients.channels,
        size: clients.size,
        concurrency: clients.concurrency,
        per_address: clients.per_address,
        headers: clients.headers,
        hello: clients.hello,
        settle: clients.settle,
        awake: clients.awake,
        pid: clients.pid,
        warm_up: clients.warm_up,
        duration: clients.duration,
        work,
    };
    plan.check()
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let report = measure(&plan);
    let text = match &report {
        Ok(report) if clients.json => serde_json::to_string(report).map(|json| json + "\n"),
        Ok(report) => Ok(report.to_string()),
        // Whoever reads JSON gets some in any case.
        Err(error) if clients.json => Ok(format!(
            "{}\n",
            json!({ "verdict": Verdict::Failed, "error": error.to_string() })
        )),
        Err(_) => Ok(String::new()),
    };
    let text = text.map_err(|error| Failure::Failed(error.to_string()))?;
    let verdict = match report {
        Ok(report) if report.verdict == Verdict::Clean => Ok(()),
        Ok(_) => Err(Failure::Negative),
        Err(error) => Err(Failure::Failed(error.to_string())),
    };
    match stdout().write_all(text.as_bytes()).map_err(Failure::output) {
        // The verdict stands even if nobody reads how it came about.
        Ok(()) | Err(Failure::BrokenPipe) => verdict,
        Err(failure) => Err(failure),
    }
}

/// Shows how it goes, if somebody watches, and ends it at Ctrl-C; a second one ends the process.
fn measure(plan: &Plan) -> Result<Report, BenchError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&interrupted))?;
        flag::register(signal, Arc::clone(&interrupted))?;
    }
    let shows = stderr().is_terminal();
    let things = match plan.work {
        Work::Connect => "handshakes",
        _ => "deliveries",
    };
    let report = bench::run(plan, |moment| {
        if shows {
            show(moment, things);
        }
        match interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    if shows {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    report
}

/// Where the gateway listens unless told otherwise.
fn default_url(work: &Work) -> String {
    let flags = match work {
        Work::Publish { .. } => "subscribe-broadcast&publish-broadcast&echo",
        _ => "subscribe-broadcast",
    };
    format!("ws://127.0.0.1:8000/ws/bench-{{channel}}?{flags}")
}

fn fanout(publisher: Publisher, slow: u32, flags: &ArgMatches) -> Result<Work, Failure> {
    let through = if let Some(url) = &publisher.post {
        let target = Target::parse(url).map_err(|error| Failure::Usage(error.to_string()))?;
        Through::Http {
            address: target.address,
            host: target.host,
            path: target.path,
            publishers: publisher.publishers,
        }
    } else {
        let config = settings::load(flags)?.config;
        let prefix = match config.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}:"),
        };
        let name = publisher.publish_channel;
        Through::Redis {
            name: name.unwrap_or_else(|| format!("{prefix}broadcast:bench-{{channel}}")),
            redis: config.redis,
        }
    };
    let pace = match publisher.rate {
        Some(rate) => Pace::Rate(rate),
        None => Pace::Window(publisher.window),
    };
    Ok(Work::Fanout {
        pace,
        through,
        random: publisher.random,
        slow,
    })
}

/// One line that is written over and over. A narrow terminal is told to cut it off (DECAWM): what it wraps would stay.
fn show(moment: Moment, things: &str) {
    let text = match moment {
        Moment::Opening { open, of } => format!("connecting: {open} of {of}"),
        Moment::WarmingUp => "warming up".to_owned(),
        Moment::Measuring { since, of, count } => {
            let (since, of) = (since.as_secs_f64(), of.as_secs_f64());
            match count {
                0 => format!("measuring: {since:.1} of {of:.1} s"),
                _ => format!("measuring: {since:.1} of {of:.1} s, {count} {things}"),
            }
        }
        Moment::Landing { in_flight } => format!("waiting for the last {in_flight} messages"),
    };
    // Nobody is left to be told that it cannot be written.
    let _ = write!(stderr(), "\r\x1b[K\x1b[?7l{text}\x1b[?7h");
}

fn count(max: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(max))
}

fn time(text: &str) -> Result<Duration, String> {
    match duration(text).map_err(|error| error.to_string())? {
        time if time <= TIME_MAX => Ok(time),
        _ => Err("must be at most a day".to_owned()),
    }
}

fn time_of_some(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("must be more than nothing".to_owned()),
        time => Ok(time),
    }
}

fn size(text: &str) -> Result<usize, String> {
    let (min, max) = (message::BYTES_MIN, message::BYTES_MAX);
    match text.parse() {
        Ok(size) if (min..=max).contains(&size) => Ok(size),
        _ => Err(format!("must be from {min} to {max}")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1e7).contains(&rate) => Ok(rate),
        _ => Err("must be a number of messages a second, from 0.01 to 10000000".to_owned()),
    }
}

fn header(text: &str) -> Result<String, String> {
    let name = text.split_once(':').map_or("", |(name, _)| name);
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) || text.contains(['\r', '\n']) {
        return Err("must be one line, as in 'Name: value'".to_owned());
    }
    Ok(text.to_owned())
}
