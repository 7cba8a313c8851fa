//! `ws4redis check`: is the configuration right, and would Redis let the gateway do its work?
//!
//! Rights are asked for by queueing each command in a MULTI that is then discarded: Redis checks commands, keys,
//! channels and its own state when it queues, and does nothing. (ACL DRYRUN answers less, needs rights that the
//! gateway's user rarely has, and exists from Redis 7 on.)

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use rustix::process::{Resource, getrlimit};
use ws4redis::channel::{self, Audience};
use ws4redis::wire::resp::Reply;
use ws4redis::{Config, RedisStore, StoreError};

use super::serve::OPEN_TO_ALL;
use super::{Failure, logging, redis};

/// Checks everything, and says what it found, a line each.
pub(super) fn run(config: &Config) -> Result<(), Failure> {
    logging::filter(&config.log)?;
    let mut report = Report { failed: false };
    report.say(Level::Ok, "configuration: valid; --print shows it")?;
    check_files(&mut report, config)?;
    match config.embedded {
        Some(address) => {
            let line = format!("redis: the embedded one, on {address} while `ws4redis serve` runs");
            report.say(Level::Ok, &line)?;
        }
        None => check_redis(&mut report, config)?,
    }
    report.say(Level::Warn, &format!("access: {OPEN_TO_ALL}"))?;
    match report.failed {
        true => Err(Failure::Negative),
        false => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Fail,
}

struct Report {
    failed: bool,
}

impl Report {
    fn say(&mut self, level: Level, line: &str) -> Result<(), Failure> {
        self.failed |= level == Level::Fail;
        let word = match level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        writeln!(stdout(), "{word}  {line}").map_err(Failure::output)
    }
}

fn check_files(report: &mut Report, config: &Config) -> Result<(), Failure> {
    let sessions = config.limits.sessions_max as u64;
    // The gateway raises the soft limit itself; only the hard one stands in its way.
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < sessions => report.say(
            Level::Warn,
            &format!(
                "files: sessions_max is {sessions}, and this process may open {most} files: raise the hard \
                 limit (LimitNOFILE in systemd, ulimit -Hn) or lower sessions_max"
            ),
        ),
        _ => report.say(Level::Ok, &format!("files: enough for {sessions} sessions")),
    }
}

fn check_redis(report: &mut Report, config: &Config) -> Result<(), Failure> {
    let mut store = redis::store(config);
    let hello = match ask(&mut store, &["HELLO", "3"]) {
        Ok(hello) => Server::new(&hello),
        Err(error) => {
            let advice = match &error {
                StoreError::Refused { error } if error.contains("DB index") => {
                    ": name another database in the URL"
                }
                StoreError::Refused { error }
                    if error.contains("unknown command") || error.starts_with("NOPROTO") =>
                {
                    ": Redis 6 or newer is needed"
                }
                _ => "",
            };
            return report.say(
                Level::Fail,
                &format!("redis: {}: {error}{advice}", config.redis),
            );
        }
    };
    check_server(report, config, &hello)?;
    check_rights(report, config, &mut store)
}

/// What a Redis says of itself in answer to HELLO.
#[derive(Debug, Default, PartialEq, Eq)]
struct Server {
    name: String,
    version: String,
    mode: String,
    role: String,
}

impl Server {
    fn new(hello: &Reply) -> Server {
        let mut server = Server::default();
        let Reply::Map(fields) = hello else {
            return server;
        };
        for (name, value) in fields {
            let place = match text(name).as_str() {
                "server" => &mut server.name,
                "version" => &mut server.version,
                "mode" => &mut server.mode,
                "role" => &mut server.role,
                _ => continue,
            };
            *place = text(value);
        }
        server
    }

    /// What is wrong with it, and what to do.
    fn fault(&self) -> Option<(Level, &'static str)> {
        let major = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        match (self.mode.as_str(), self.role.as_str(), major) {
            (_, _, Some(0_u32..6)) => Some((Level::Fail, "Redis 6 or newer is needed")),
            ("sentinel", ..) => Some((
                Level::Fail,
                "this is a Sentinel: name the Redis that it watches",
            )),
            (_, "replica" | "slave", _) => {
                Some((Level::Fail, "this is a read-only replica: name the master"))
            }
            ("cluster", ..) => Some((
                Level::Warn,
                "this is a Cluster: only keys of this node's slots can be persisted",
            )),
            _ => None,
        }
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Simple(text) | Reply::Bulk(text) | Reply::Other(text) => {
            String::from_utf8_lossy(text).into_owned()
        }
        _ => String::new(),
    }
}

fn check_server(report: &mut Report, config: &Config, server: &Server) -> Result<(), Failure> {
    let user = config.redis.username.as_deref().unwrap_or("default");
    let (level, fault) = match server.fault() {
        Some((level, fault)) => (level, format!(": {fault}")),
        None => (Level::Ok, String::new()),
    };
    let Server { name, version, .. } = server;
    let line = format!(
        "redis: {}: {name} {version}, as user {user}{fault}",
        config.redis
    );
    report.say(level, &line)
}

/// What is done on a channel of clients, and so must be allowed.
const ON_CHANNELS: [&[&str]; 5] = [
    &["SUBSCRIBE"],
    &["UNSUBSCRIBE"],
    &["PUBLISH", "x"],
    &["GET"],
    &["SETEX", "1", "x"],
];
/// What is done on the channel by which the gateway proves its link: no keys.
const ON_PROBE: [&[&str]; 2] = [&["SUBSCRIBE"], &["PUBLISH", "x"]];

fn check_rights(
    report: &mut Report,
    config: &Config,
    store: &mut RedisStore,
) -> Result<(), Failure> {
    // Without its MULTI, what follows would be done and not queued.
    if let Err(error) = ask(store, &["MULTI"]) {
        return report.say(Level::Fail, &format!("rights: MULTI: {error}"));
    }
    // By command and error, so that four channels with one fault make one line.
    let mut refused: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for (channel, commands) in channels(config) {
        for command in commands {
            let (name, values) = command.split_first().unwrap_or((&"", &[]));
            let words = [&[name, channel.as_str()], values].concat();
            if let Err(error) = ask(store, &words) {
                let of_fault = refused.entry((*name, error.to_string()));
                of_fault.or_default().push(channel.clone());
            }
        }
    }
    // Who may not even DISCARD has spoilt the transaction by trying, and EXEC aborts it.
    let _ = ask(store, &["DISCARD"]);
    if let Err(error) = ask(store, &["EXEC"])
        && error.to_string().contains("NOPERM")
    {
        refused.insert(("EXEC", error.to_string()), Vec::new());
    }
    for ((command, error), channels) in &refused {
        let line = format!("rights: {command} {}: {error}", channels.join(" "));
        report.say(Level::Fail, &line)?;
    }
    match refused.is_empty() {
        true => report.say(
            Level::Ok,
            "rights: all commands, on all our channels and keys",
        ),
        false => report.say(
            Level::Warn,
            &format!("rights: enough would be: {}", acl(config)),
        ),
    }
}

/// A channel of each kind, and what is done there.
fn channels(config: &Config) -> Vec<(String, &'static [&'static [&'static str]])> {
    let prefix = &config.prefix;
    let named = |audience| channel::named(prefix, audience, "check", "ws4redis-check");
    vec![
        (channel::broadcast(prefix, "ws4redis-check"), &ON_CHANNELS),
        (named(Audience::User), &ON_CHANNELS),
        (named(Audience::Group), &ON_CHANNELS),
        (named(Audience::Session), &ON_CHANNELS),
        (channel::probe(prefix, 0), &ON_PROBE),
    ]
}

/// The least that a user of Redis must be allowed.
fn acl(config: &Config) -> String {
    let user = config.redis.username.as_deref().unwrap_or("default");
    let colon = if config.prefix.is_empty() { "" } else { ":" };
    let prefix = format!("{}{colon}", config.prefix);
    let mut rule = format!(
        "ACL SETUSER {user} +select +subscribe +unsubscribe +get +setex +publish +multi +exec"
    );
    for audience in Audience::ALL {
        let word = audience.word();
        rule += &format!(" ~{prefix}{word}:* &{prefix}{word}:*");
    }
    rule + &format!(" &{prefix}ws4redis:probe:*")
}

/// Asks, and takes an error reply for the error that it is.
fn ask(store: &mut RedisStore, words: &[&str]) -> Result<Reply, StoreError> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    match store.call(&words)? {
        Reply::Error(error) => Err(StoreError::Refused { error }),
        reply => Ok(reply),
    }
}
