//! `ws4redis check --nginx`: would WebSockets come through this nginx, and nothing else past it?
//!
//! Nobody is asked: neither nginx nor the gateway has to run. What counts is the configuration of the gateway that
//! was given beside it: where it listens, how often it pings, whom it believes.

mod faults;
mod files;
mod finding;
mod glob;
mod past;
mod sites;
mod syntax;
mod trust;

use std::path::Path;

use ws4redis::Config;

use super::Failure;
use super::check::{Level, Report};
use finding::Finding;
use sites::{Location, Sites};

/// Says what is wrong, and ends in failure if anything is that breaks something.
pub(super) fn run(file: &Path, config: &Config) -> Result<(), Failure> {
    let directives = files::read(file).map_err(|error| Failure::Usage(error.to_string()))?;
    let sites = Sites::new(&directives);
    let locations = sites.locations();
    let mut report = Report::default();
    let (ours, mut findings) = ours(&locations, file, config);
    for location in &ours {
        let faults = faults::of(location, config);
        if !faults.iter().any(Finding::is_fault) {
            let (place, name) = (location.place(), location.name());
            let line = format!("{place}: {name}: WebSockets come through");
            report.say(Level::Ok, &line)?;
        }
        findings.extend(faults);
    }
    findings.extend(past::the_locations(&locations, config));
    if !ours.is_empty() {
        findings.extend(past::nginx(&ours, config));
        findings.extend(past::its_workers(&directives, config));
    }
    // Two locations may include the same file.
    let mut said: Vec<Finding> = Vec::new();
    for finding in findings {
        if !said.contains(&finding) {
            report.say(finding.level, &finding.to_string())?;
            said.push(finding);
        }
    }
    report.outcome()
}

/// The locations that pass requests to the gateway; or else those that look as if they should.
fn ours<'a>(
    locations: &[Location<'a>],
    file: &Path,
    config: &Config,
) -> (Vec<Location<'a>>, Vec<Finding>) {
    let is_ours = |location: &&Location| {
        let servers = &location.to.servers;
        servers
            .iter()
            .any(|server| config.listen.iter().any(|listen| server.is(listen)))
    };
    let ours: Vec<_> = locations.iter().filter(is_ours).cloned().collect();
    if !ours.is_empty() {
        return (ours, Vec::new());
    }
    let listen: Vec<String> = config.listen.iter().map(finding::proxy_pass).collect();
    let write = listen.first().cloned().unwrap_or_default();
    let url = config.websocket_url.trim_end_matches('/');
    let is_meant = |location: &&Location| {
        let prefix = location.prefix().map(|prefix| prefix.trim_end_matches('/'));
        prefix == Some(url)
    };
    let meant: Vec<_> = locations.iter().filter(is_meant).cloned().collect();
    let because = "its clients come somewhere else, or get 502; or this is not the gateway's configuration, which \
                   --config names";
    let findings = meant.iter().map(|location| {
        let (name, to) = (location.name(), location.pass.value());
        if location.to.servers.is_empty() && to.contains('$') {
            let what = format!("{name} leads to {to}, and variables are not followed");
            let because = "whether that is where this gateway listens is for you to see";
            return Finding::warning(&location.pass.place, &what, because).write(&write);
        }
        let what = format!("{name} leads to {to}, where this gateway does not listen");
        Finding::fault(&location.pass.place, &what, because).write(&write)
    });
    let mut findings: Vec<_> = findings.collect();
    if meant.is_empty() {
        let what = format!(
            "no proxy_pass leads to the gateway, and no location is for {}",
            config.websocket_url
        );
        let write = format!("location {} {{ {write} ... }}", config.websocket_url);
        findings.push(Finding::fault(&file.display(), &what, because).write(&write));
    }
    (meant, findings)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use proptest::prelude::*;
    use ws4redis::config::Listen;

    use super::*;

    /// Directives that are looked at, with words that may stand there and others.
    fn any_site() -> impl Strategy<Value = String> {
        let name = proptest::sample::select(vec![
            "proxy_pass",
            "proxy_set_header",
            "proxy_read_timeout",
            "proxy_http_version",
            "listen",
            "server",
            "upstream",
            "map",
            "location",
            "http",
            "events",
            "worker_connections",
            "worker_processes",
            "deny",
        ]);
        let word = proptest::sample::select(vec![
            "",
            "http://",
            "https://unix:",
            "http://unix:/s:/",
            "http://127.0.0.1:8000",
            "http://[::1",
            "]:",
            ":",
            "http://a/$x",
            "/ws/",
            "/",
            "=",
            "~",
            "Host",
            "Connection",
            "Upgrade",
            "$a",
            "$http_upgrade",
            "\u{e4}",
            "X-Ws4redis-User",
            "X-Forwarded-For",
            "99999999999999999999",
            "1m",
            "default",
            "upgrade",
        ]);
        let words = proptest::collection::vec(word, 0..4);
        let directive = (name, words).prop_map(|(name, words)| {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("{name} {}", quoted.join(" "))
        });
        let leaf = directive.clone().prop_map(|text| text + ";");
        let tree = leaf.prop_recursive(4, 30, 5, move |inner| {
            let block = proptest::collection::vec(inner, 0..5);
            (directive.clone(), block)
                .prop_map(|(text, block)| format!("{text} {{ {} }}", block.join(" ")))
        });
        proptest::collection::vec(tree, 0..5).prop_map(|directives| directives.join(" "))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_is_judged(text in any_site()) {
            let directives = syntax::parse(text.as_bytes(), &Rc::from(Path::new("f"))).unwrap();
            let mut config = Config::default();
            let path = "/s".into();
            config.listen.push(Listen::Unix { path, mode: 0o666 });
            let locations = Sites::new(&directives).locations();
            ours(&locations, Path::new("f"), &config);
            past::the_locations(&locations, &config);
            past::nginx(&locations, &config);
            past::its_workers(&directives, &config);
            for location in &locations {
                for finding in faults::of(location, &config) {
                    prop_assert!(finding.to_string().starts_with("f:1: "));
                }
            }
        }
    }
}
