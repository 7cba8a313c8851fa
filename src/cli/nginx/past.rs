//! What goes past nginx, or too far through it: the gateway's own doors, and the operator's.

use ws4redis::Config;
use ws4redis::config::{Listen, Source};

use super::faults;
use super::finding::Finding;
use super::sites::{Location, Server};
use super::syntax::Directive;

/// nginx' own `worker_connections`.
const WORKER_CONNECTIONS: usize = 512;

/// Who may come to the operator's door through nginx?
pub(super) fn the_locations(locations: &[Location], config: &Config) -> Vec<Finding> {
    let Some(admin) = config.admin.map(Listen::Tcp) else {
        return Vec::new();
    };
    let leads_there = |location: &&Location| {
        let mut servers = location.to.servers.iter();
        servers.any(|server| server.is(&admin))
    };
    let mut findings = Vec::new();
    for location in locations.iter().filter(leads_there) {
        findings.extend(faults::version(location));
        if is_guarded(location) {
            continue;
        }
        let name = location.name();
        let what = format!("{name} leads to the gateway's admin listener, for everybody");
        let because = "/metrics and /readyz say what the gateway does, how much of it, and which Redis is away";
        let finding = Finding::warning(&location.pass.place, &what, because);
        findings.push(finding.write("allow 127.0.0.1;").write("deny all;"));
    }
    findings
}

fn is_guarded(location: &Location) -> bool {
    let guards = ["deny", "internal", "auth_basic", "auth_request"];
    let is_local = |listen: &Directive| {
        ["127.", "[::1]", "localhost", "unix:"]
            .iter()
            .any(|start| listen.value().starts_with(start))
    };
    let mut listens = location.listens().peekable();
    guards.iter().any(|guard| location.setting(guard).is_some())
        || (listens.peek().is_some() && listens.all(is_local))
}

/// Who can come to the gateway without nginx?
pub(super) fn nginx(ours: &[Location], config: &Config) -> Vec<Finding> {
    let believes = config.identity.contains(&Source::Headers) && config.headers_secret.is_none();
    let is_local =
        |server: &Server| matches!(server, Server::Unix(_)) || server.nginx_address().is_some();
    let nginx_is_local = ours
        .iter()
        .flat_map(|location| &location.to.servers)
        .all(is_local);
    let doors = config.listen.iter().filter_map(|listen| match listen {
        Listen::Tcp(address) if address.ip().is_loopback() => None,
        Listen::Tcp(address) => {
            // One address is nginx; a network is nginx and its neighbours.
            let neighbours = config.trusted.iter().find(|net| {
                net.prefix_len() < net.max_prefix_len() && !net.addr().is_loopback()
            });
            let what = format!("it is not on loopback: clients can come to {address} without nginx");
            match neighbours.filter(|_| believes) {
                Some(net) => {
                    let because = format!(
                        "everybody in {net} who comes there is whoever the X-Ws4redis-* headers say that they send: \
                         `trusted` should be nginx' own address"
                    );
                    Some(Finding::fault(&door(listen), &what, &because))
                }
                None if nginx_is_local => {
                    let because = "past its TLS, its limits and its auth_request, unless a firewall stands there";
                    let write = format!("listen = [\"127.0.0.1:{}\"], or a unix socket", address.port());
                    Some(Finding::warning(&door(listen), &what, because).write(&write))
                }
                None => None,
            }
        }
        Listen::Unix { path, mode } if mode & 0o002 != 0 => {
            let what = format!("everybody on this machine may connect (mode {mode:04o})");
            let write = format!(
                "listen = [\"unix:{}?mode=0660\"], and nginx' user in the gateway's group",
                path.display()
            );
            let finding = match believes {
                true => {
                    let because = "and is whoever the X-Ws4redis-* headers say: who comes by the socket is believed";
                    Finding::fault(&door(listen), &what, because)
                }
                false => {
                    let because = "past nginx' limits and its auth_request";
                    Finding::warning(&door(listen), &what, because)
                }
            };
            Some(finding.write(&write))
        }
        Listen::Unix { .. } => None,
    });
    doors.collect()
}

fn door(listen: &Listen) -> String {
    format!("the gateway's listen {listen}")
}

/// How many clients can there be? Each takes a connection to nginx and one from there to the gateway.
pub(super) fn its_workers(directives: &[Directive], config: &Config) -> Option<Finding> {
    let events = directives
        .iter()
        .find(|directive| directive.name == "events")?;
    let set = events
        .block
        .iter()
        .find(|directive| directive.name == "worker_connections");
    let connections = match set {
        Some(set) => set.value().parse().ok()?,
        None => WORKER_CONNECTIONS,
    };
    let processes = directives
        .iter()
        .find(|directive| directive.name == "worker_processes");
    let workers: Option<usize> = processes.map_or(Some(1), |set| set.value().parse().ok());
    // With `auto` one worker has to be enough, because they do not share their clients evenly.
    let clients = (connections / 2).saturating_mul(workers.unwrap_or(1));
    let sessions = config.limits.sessions_max;
    (clients < sessions).then(|| {
        let what = format!("worker_connections is {connections}");
        let each = if workers.is_some() { "" } else { " a worker" };
        let because = format!(
            "a WebSocket takes two: at most {clients} clients{each}, and the gateway's sessions_max is {sessions}"
        );
        let write = format!("worker_connections {};", 2 * sessions + 1_000);
        let finding = Finding::hint(&set.unwrap_or(events).place, &what, &because);
        finding.write(&write).write("worker_rlimit_nofile at least as many, outside of all blocks")
    })
}
