//! `ws4redis check --url`: what would this client get, and by which rule?
//!
//! The answer comes from the same functions as the gateway's own. What they are told of the client is what was
//! typed: nobody is asked whether it is true.

use ws4redis::config::CHANNEL_FLAGS;
use ws4redis::hub::access::rules::Rules;
use ws4redis::hub::access::{Grant, Target, grant};
use ws4redis::refusal::Refusal;
use ws4redis::{Config, Identity, RedisSubscriber};

use super::Failure;
use super::arguments::Client;
use super::check::{Level, Report};

/// Says it, and ends in failure if the client would be refused.
pub(super) fn run(client: &Client, config: &Config) -> Result<(), Failure> {
    let url = client.url.as_deref().unwrap_or_default();
    let (path, query) = split(url)?;
    let rules = Rules::new(&config.rules);
    let identity = Identity {
        user: client.user.clone(),
        groups: client.groups.clone(),
        session: client.session.clone(),
    };
    let mut report = Report::default();
    report.say(Level::Ok, &format!("client: {}", who(&identity)))?;
    let target = match Target::new(path, query, config, &rules) {
        Ok(target) => target,
        Err(refusal) => {
            let why = match refusal {
                Refusal::NotFound if !is_ours(path, config) => {
                    let url = &config.websocket_url;
                    format!("the path does not begin with websocket_url, which is {url}")
                }
                Refusal::NotFound => "`facilities` does not list it".to_owned(),
                other => other.line().to_owned(),
            };
            return refused(&mut report, refusal, &why);
        }
    };
    let facility = &target.facility;
    let at = rules.matching(facility);
    let rule = at.and_then(|at| Some((at + 1, config.rules.rules.get(at)?)));
    let by = match rule {
        Some((number, rule)) => format!("rule {number}, {}", rule.facility),
        None => "no rule is for it; allowed_channels counts".to_owned(),
    };
    report.say(Level::Ok, &format!("facility: {facility}: {by}"))?;
    let asked = target.flags.clone();
    match grant(target, identity.into(), config, &rules, &RedisSubscriber) {
        Ok(grant) => tell(&mut report, &asked, &grant),
        Err(refusal) => {
            let require = rule.and_then(|(_, rule)| rule.require.as_ref());
            let why = match (refusal, require) {
                (Refusal::Forbidden, Some(require)) => format!("the rule requires {require}"),
                _ => refusal.line().to_owned(),
            };
            refused(&mut report, refusal, &why)
        }
    }
}

fn tell(report: &mut Report, asked: &[String], grant: &Grant) -> Result<(), Failure> {
    let is_known = |flag: &String| flag == "echo" || CHANNEL_FLAGS.contains(&flag.as_str());
    let (known, unknown): (Vec<&String>, Vec<&String>) =
        asked.iter().partition(|flag| is_known(flag));
    let left = |flag: &&String| grant.flags.contains(*flag);
    let discarded: Vec<&String> = known.into_iter().filter(|flag| !left(flag)).collect();
    let used: Vec<&String> = grant.flags.iter().filter(|flag| is_known(flag)).collect();
    report.say(Level::Ok, &format!("flags: {}", list(&used)))?;
    if !discarded.is_empty() {
        let line = format!("flags: not allowed, and discarded: {}", list(&discarded));
        report.say(Level::Warn, &line)?;
    }
    if !unknown.is_empty() {
        let line = format!("flags: mean nothing: {}", list(&unknown));
        report.say(Level::Warn, &line)?;
    }
    for (does, channels) in [("hears", &grant.subscribe), ("speaks to", &grant.publish)] {
        let names: Vec<_> = channels
            .iter()
            .map(|name| String::from_utf8_lossy(name))
            .collect();
        report.say(Level::Ok, &format!("{does}: {}", list(&names)))?;
    }
    Ok(())
}

fn refused(report: &mut Report, refusal: Refusal, why: &str) -> Result<(), Failure> {
    let (status, word) = (refusal.status().0, refusal.word());
    report.say(Level::Fail, &format!("refused: {status} {word}: {why}"))?;
    Err(Failure::Negative)
}

/// Path and query of a URL, with its host or without.
fn split(url: &str) -> Result<(&str, &str), Failure> {
    let target = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|slash| rest.get(slash..)),
        None => Some(url).filter(|url| url.starts_with('/')),
    };
    let target = target.ok_or_else(|| {
        Failure::Usage(format!(
            "--url must be a path such as '/ws/chat/1?subscribe-user', or a URL with one, not {url:?}"
        ))
    })?;
    Ok(target.split_once('?').unwrap_or((target, "")))
}

fn is_ours(path: &str, config: &Config) -> bool {
    ws4redis::wire::http::decode_path(path).starts_with(&*config.websocket_url)
}

fn who(identity: &Identity) -> String {
    let user = identity
        .user
        .as_deref()
        .map_or("nobody".to_owned(), |name| format!("user {name}"));
    let session = identity
        .session
        .as_deref()
        .map_or("no session".to_owned(), |key| format!("session {key}"));
    let groups = match identity.groups.len() {
        0 => "no groups".to_owned(),
        _ => format!("groups {}", identity.groups.join(",")),
    };
    format!("{user}, {groups}, {session}")
}

fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<_>>()
            .join(" "),
    }
}
