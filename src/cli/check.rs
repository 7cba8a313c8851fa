//! `ws4redis check`: is the configuration right, and would Redis let the gateway do its work?
//!
//! Rights are asked for by queueing each command in a MULTI that is then discarded: Redis checks commands, keys,
//! channels and its own state when it queues, and does nothing. (ACL DRYRUN answers less, needs rights that the
//! gateway's user rarely has, and exists from Redis 7 on.)

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use rustix::process::{Resource, getrlimit};
use ws4redis::channel::{self, Audience};
use ws4redis::config::{Redis, Source};
use ws4redis::hub::access::Access;
use ws4redis::hub::access::django::DjangoSessions;
use ws4redis::peer::RedisOf;
use ws4redis::wire::resp::Reply;
use ws4redis::{Config, RedisStore, StoreError};

use super::serve::{OPEN_TO_ALL, is_open_to_all, too_many_workers};
use super::{Failure, logging, redis};

/// Checks everything, and says what it found, a line each.
pub(super) fn run(config: &Config) -> Result<(), Failure> {
    logging::filter(&config.log)?;
    let mut report = Report::default();
    report.say(Level::Ok, "configuration: valid; --print shows it")?;
    if let Err(error) = Access::new(config) {
        report.say(Level::Fail, &format!("access: {error}"))?;
    }
    check_files(&mut report, config)?;
    if let Some(line) = too_many_workers(config) {
        report.say(Level::Warn, &format!("workers: {line}"))?;
    }
    match config.embedded {
        Some(address) => {
            let line = format!("redis: the embedded one, on {address} while `ws4redis serve` runs");
            report.say(Level::Ok, &line)?;
        }
        None => check_redis(&mut report, config)?,
    }
    if config.control.unsigned {
        let channel = channel::control(&config.prefix);
        let line = format!(
            "control: who may publish on {channel} may end any session: let Redis' ACL keep the others from it, or \
             set secret_file in [control] instead of unsigned"
        );
        report.say(Level::Warn, &line)?;
    }
    if let Some(redis) = config.sessions_redis() {
        check_sessions(&mut report, config, redis)?;
    }
    match config.rules.rules.len() {
        _ if is_open_to_all(config) => {
            report.say(Level::Warn, &format!("access: {OPEN_TO_ALL}"))?;
        }
        rules => {
            let line = format!("access: {rules} rules; --url shows what a client would get");
            report.say(Level::Ok, &line)?;
        }
    }
    report.outcome()
}

/// How a line of the answer is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Ok,
    Hint,
    Warn,
    Fail,
}

/// The answer, as it is given.
#[derive(Debug, Default)]
pub(super) struct Report {
    failed: bool,
}

impl Report {
    /// A line of the answer.
    pub(super) fn say(&mut self, level: Level, line: &str) -> Result<(), Failure> {
        self.failed |= level == Level::Fail;
        let word = match level {
            Level::Ok => "ok  ",
            Level::Hint => "hint",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        writeln!(stdout(), "{word}  {line}").map_err(Failure::output)
    }

    /// The end of it: failure if anything failed.
    pub(super) fn outcome(&self) -> Result<(), Failure> {
        match self.failed {
            true => Err(Failure::Negative),
            false => Ok(()),
        }
    }
}

fn check_files(report: &mut Report, config: &Config) -> Result<(), Failure> {
    let sessions = config.limits.sessions_max as u64;
    let others = config.other_descriptors();
    // The gateway raises the soft limit itself; only the hard one stands in its way.
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < sessions + others => report.say(
            Level::Warn,
            &format!(
                "files: sessions_max is {sessions}, {others} files are for others, and this process may open {most}: \
                 raise the hard limit (LimitNOFILE in systemd, ulimit -Hn) or lower sessions_max"
            ),
        ),
        _ => report.say(Level::Ok, &format!("files: enough for {sessions} sessions")),
    }
}

fn check_redis(report: &mut Report, config: &Config) -> Result<(), Failure> {
    let mut store = redis::store(config);
    match check_server(report, RedisOf::Messages, &config.redis, &mut store)? {
        Reached::Yes => check_rights(report, config, &mut store),
        Reached::No => Ok(()),
    }
}

/// What is done on the Redis of Django's sessions changes nothing there, so it is simply done.
fn check_sessions(report: &mut Report, config: &Config, redis: &Redis) -> Result<(), Failure> {
    let mut store = RedisStore::new(redis);
    if let Reached::No = check_server(report, RedisOf::Sessions, redis, &mut store)? {
        return Ok(());
    }
    let key = session_key(config, "ws4redischeck").unwrap_or_default();
    let mut refused = false;
    for words in [["GET", &key], ["PING", "ws4redis-check"]] {
        if let Err(error) = store.call(&words.map(str::as_bytes)) {
            refused = true;
            let error = match error {
                StoreError::Refused { error } => error,
                other => other.to_string(),
            };
            let line = format!("sessions: {}: {error}", words.join(" "));
            report.say(Level::Fail, &line)?;
        }
    }
    if !refused {
        return report.say(Level::Ok, "sessions: GET and PING, on their keys");
    }
    let (user, keys) = (user(redis), session_keys(config).unwrap_or_default());
    let line = format!("ACL SETUSER {user} +select +get +ping{keys}");
    report.say(Level::Warn, &format!("sessions: enough would be: {line}"))
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
    fn fault(&self, of: RedisOf) -> Option<(Level, &'static str)> {
        let major = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        let is_written_to = of == RedisOf::Messages;
        match (self.mode.as_str(), self.role.as_str(), major) {
            (_, _, Some(0_u32..6)) => Some((Level::Fail, "Redis 6 or newer is needed")),
            ("sentinel", ..) => Some((
                Level::Fail,
                "this is a Sentinel: name the Redis that it watches",
            )),
            (_, "replica" | "slave", _) if is_written_to => {
                Some((Level::Fail, "this is a read-only replica: name the master"))
            }
            ("cluster", ..) if is_written_to => Some((
                Level::Warn,
                "this is a Cluster: only keys of this node's slots can be persisted",
            )),
            ("cluster", ..) => Some((
                Level::Warn,
                "this is a Cluster: only sessions in this node's slots are found",
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

/// Was a Redis there?
enum Reached {
    Yes,
    No,
}

fn check_server(
    report: &mut Report,
    of: RedisOf,
    redis: &Redis,
    store: &mut RedisStore,
) -> Result<Reached, Failure> {
    let word = match of {
        RedisOf::Messages => "redis",
        RedisOf::Sessions => "sessions",
    };
    let server = match store.call(&[b"HELLO", b"3"]) {
        Ok(hello) => Server::new(&hello),
        Err(error) => {
            let blame = redis::blame_of(of, &error);
            let line = match error {
                // It names the address itself.
                StoreError::Unreachable { .. } => format!("{word}: {blame}"),
                _ => format!("{word}: {redis}: {blame}"),
            };
            report.say(Level::Fail, &line)?;
            return Ok(Reached::No);
        }
    };
    let (level, fault) = match server.fault(of) {
        Some((level, fault)) => (level, format!(": {fault}")),
        None => (Level::Ok, String::new()),
    };
    let Server { name, version, .. } = server;
    let user = user(redis);
    let line = format!("{word}: {redis}: {name} {version}, as user {user}{fault}");
    report.say(level, &line)?;
    Ok(Reached::Yes)
}

fn user(redis: &Redis) -> &str {
    redis.username.as_deref().unwrap_or("default")
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

/// What is done on the channel on which the gateway takes orders.
const ON_CONTROL: [&[&str]; 1] = [&["SUBSCRIBE"]];
/// What is done on the sessions of Django.
const ON_SESSIONS: [&[&str]; 1] = [&["GET"]];

fn check_rights(
    report: &mut Report,
    config: &Config,
    store: &mut RedisStore,
) -> Result<(), Failure> {
    // Without its MULTI, all that follows would be done, and not queued.
    if let Err(error) = store.call(&[b"MULTI"]) {
        return report.say(Level::Fail, &format!("rights: {}", redis::blame(&error)));
    }
    // The gateway never says DISCARD, so its user need not be allowed to. One who tries and may not has spoilt the
    // transaction: it stays open, takes the questions, and EXEC aborts it.
    let _ = store.call(&[b"DISCARD"]);
    let questions = questions(config);
    let replies = match store.pipeline(&questions) {
        Ok(replies) => replies,
        Err(error) => return report.say(Level::Fail, &format!("rights: {}", redis::blame(&error))),
    };
    // By command and error, so that four channels with one fault make one line.
    let mut refused: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (words, reply) in questions.iter().zip(&replies) {
        let (Reply::Error(error), Some((command, rest))) = (reply, words.split_first()) else {
            continue;
        };
        if ["MULTI", "DISCARD"].contains(&command.as_str()) {
            continue;
        }
        // There was nothing to execute. A lack of rights is `EXECABORT ... because of: NOPERM ...`.
        if command == "EXEC" && !error.contains("NOPERM") {
            continue;
        }
        let channels = refused.entry((command, error)).or_default();
        channels.extend(rest.first().map(String::as_str));
    }
    for ((command, error), channels) in &refused {
        let line = format!("rights: {command} {}: {error}", channels.join(" "));
        report.say(Level::Fail, &line)?;
    }
    let is_about_rights = |(_, error): &(&str, &str)| error.contains("NOPERM");
    if refused.keys().any(is_about_rights) {
        report.say(
            Level::Warn,
            &format!("rights: enough would be: {}", acl(config)),
        )?;
    }
    match refused.is_empty() {
        true => report.say(
            Level::Ok,
            "rights: all commands, on all our channels and keys",
        ),
        false => Ok(()),
    }
}

/// A transaction with all that is done, discarded; and an EXEC, which then has nothing to execute.
fn questions(config: &Config) -> Vec<Vec<String>> {
    let prefix = &config.prefix;
    let named = |audience| channel::named(prefix, audience, "check", "ws4redis-check");
    let mut channels: Vec<(String, &[&[&str]])> = vec![
        (channel::broadcast(prefix, "ws4redis-check"), &ON_CHANNELS),
        (named(Audience::User), &ON_CHANNELS),
        (named(Audience::Group), &ON_CHANNELS),
        (named(Audience::Session), &ON_CHANNELS),
        (channel::probe(prefix, 0), &ON_PROBE),
    ];
    if config.control.is_on() {
        channels.push((channel::control(prefix), &ON_CONTROL));
    }
    if config.sessions_redis().is_none()
        && let Some(key) = session_key(config, "ws4redischeck")
    {
        channels.push((key, &ON_SESSIONS));
    }
    let mut questions = vec![vec!["MULTI".to_owned()]];
    for (channel, commands) in channels {
        for command in commands {
            let mut words: Vec<String> = command.iter().map(ToString::to_string).collect();
            words.insert(1, channel.clone());
            questions.push(words);
        }
    }
    questions.extend(["DISCARD", "EXEC"].map(|word| vec![word.to_owned()]));
    questions
}

/// The least that a user of Redis must be allowed.
fn acl(config: &Config) -> String {
    let user = user(&config.redis);
    let colon = if config.prefix.is_empty() { "" } else { ":" };
    let prefix = format!("{}{colon}", config.prefix);
    let mut rule = format!(
        "ACL SETUSER {user} +select +subscribe +unsubscribe +get +setex +publish +multi +exec"
    );
    for audience in Audience::ALL {
        let word = audience.word();
        rule += &format!(" ~{prefix}{word}:* &{prefix}{word}:*");
    }
    if config.sessions_redis().is_none() {
        rule += &session_keys(config).unwrap_or_default();
    }
    if config.control.is_on() {
        rule += &format!(" &{}", channel::control(&config.prefix));
    }
    rule + &format!(" &{prefix}ws4redis:probe:*")
}

/// The key of a session of Django, if sessions are looked for in Redis.
fn session_key(config: &Config, session_key: &str) -> Option<String> {
    let is_source = config.identity.contains(&Source::Django);
    let sessions = is_source.then(|| DjangoSessions::new(&config.django))?;
    sessions.redis_key(session_key)
}

/// Their keys, as an ACL has them; the pattern is as narrow as they are.
fn session_keys(config: &Config) -> Option<String> {
    let key = session_key(config, "00000000")?;
    Some(format!(" ~{}*", key.trim_end_matches('0')))
}
