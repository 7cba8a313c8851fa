//! What the gateway believes of nginx, and so must not be left to the client: who it is, from where, from whose page.

use ws4redis::Config;
use ws4redis::config::{Origins, Source};
use ws4redis::hub::access::identity::{GROUPS_HEADER, SESSION_HEADER, USER_HEADER};

use super::faults::{missing, value};
use super::finding::Finding;
use super::sites::{Location, Server};
use super::syntax::Place;

/// The origin check compares a page's `Origin` with `Host` (and `X-Forwarded-Host` of those who are trusted).
pub(super) fn host(location: &Location, config: &Config) -> Option<Finding> {
    if config.origins != Origins::SameHost {
        return None;
    }
    let write = "proxy_set_header Host $http_host;";
    let because = "the gateway gets a name of nginx' own, compares that with the page's Origin, and answers every \
                   browser with 403";
    let by_trusted = location
        .set_headers("X-Forwarded-Host")
        .filter(|_| is_believed(location, config));
    let mut hosts = location.set_headers("Host").chain(by_trusted).peekable();
    if hosts.peek().is_none() {
        return Some(missing(location, "Host", because).write(write));
    }
    // One that is right is enough.
    let faults: Option<Vec<Finding>> = hosts
        .map(|set| match value(set) {
            "$host" => port_is_lost(location).map(|port| {
                let what = format!("$host is without the port, and the server listens on {port}");
                let because = format!(
                    "a page that browsers have from port {port} is refused with 403; not if something in front of \
                     nginx listens on the usual port"
                );
                Finding::warning(&set.place, &what, &because)
            }),
            host @ ("" | "$proxy_host") => {
                let what = format!("{} is {host:?} for the gateway", set.value());
                Some(Finding::fault(&set.place, &what, because))
            }
            _ => None,
        })
        .collect();
    let first = faults?.into_iter().next()?;
    Some(first.write(write))
}

/// The port of the server, if browsers name it in the `Origin` of its pages.
fn port_is_lost(location: &Location) -> Option<u16> {
    location.listens().find_map(|listen| {
        let address = listen.value();
        if address.starts_with("unix:") {
            return None;
        }
        let port = address.rsplit(':').next()?.parse().ok()?;
        let is_tls = listen.arguments.iter().any(|word| word == "ssl");
        (port != if is_tls { 443 } else { 80 }).then_some(port)
    })
}

pub(super) fn origin(location: &Location) -> Option<Finding> {
    let set = location.set_headers("Origin").last()?;
    (value(set) != "$http_origin").then(|| {
        let what = "the Origin that the browser sends is replaced";
        let because = "with it goes the only sign of pages of others that use a visitor's cookies: the gateway refuses \
                       the visitors, or lets such pages in";
        Finding::fault(&set.place, what, because).write("proxy_set_header Origin $http_origin;")
    })
}

/// Everybody can send the headers that say who somebody is; the gateway believes them because nginx sends them.
pub(super) fn identity(location: &Location, config: &Config) -> Option<Finding> {
    if !config.identity.contains(&Source::Headers) {
        return None;
    }
    let fields = [USER_HEADER, GROUPS_HEADER, SESSION_HEADER];
    if !is_believed(location, config) {
        let set = fields.iter().find_map(|field| {
            let mut set = location.set_headers(field);
            set.find(|set| !value(set).is_empty())
        })?;
        let what = format!(
            "{} is set, and the gateway does not believe it",
            set.value()
        );
        return Some(untrusted(&set.place, &what, "every client is nobody", true));
    }
    // A signature that the application made says the same, whoever brings it.
    if config.headers_secret.is_some() {
        return None;
    }
    let because = "the gateway believes nginx, and so every client is whoever it says it is";
    let mut all = fields.iter().flat_map(|field| location.set_headers(field));
    if let Some(set) = all.find(|set| is_said_by_clients(value(set))) {
        let what = format!("{} is {}, which the client says", set.value(), value(set));
        let finding = Finding::fault(&set.place, &what, because);
        return Some(finding.write(&format!("proxy_set_header {} \"\";", set.value())));
    }
    let is_missing = |field: &&&str| location.set_headers(field).next().is_none();
    let missed: Vec<&str> = fields.iter().filter(is_missing).copied().collect();
    let mut finding = missing(location, missed.first()?, because);
    for field in missed {
        finding = finding.write(&format!("proxy_set_header {field} \"\";"));
    }
    Some(finding)
}

/// Is it made of what a request brings along: its header fields, its query, its cookies?
fn is_said_by_clients(value: &str) -> bool {
    let plain = value.replace('{', "").to_ascii_lowercase();
    ["$http_", "$arg_", "$args", "$query_string", "$cookie_"]
        .iter()
        .any(|variable| plain.contains(variable))
}

/// Without the client's address, all clients of nginx are one to the gateway.
pub(super) fn address(location: &Location, config: &Config) -> Option<Finding> {
    const FIELD: &str = "X-Forwarded-For";
    if config.forwarded_hops == 0 {
        return None;
    }
    let limits = &config.limits;
    let is_limited =
        limits.sessions_per_address_max > 0 || limits.handshakes_per_second_per_address_max > 0;
    if !is_believed(location, config) {
        let what = "the gateway does not believe nginx' X-Forwarded-For";
        let because = match is_limited {
            true => "all clients together may be as many as one address may",
            false => "its log shows nginx' address in place of the clients'",
        };
        return Some(untrusted(location.place(), what, because, is_limited));
    }
    let write = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
    let because = "the gateway believes nginx, and so every client has the address that it says it has: limits by \
                   address count for nobody";
    let Some(set) = location.set_headers(FIELD).last() else {
        return Some(missing(location, FIELD, because).write(write));
    };
    match value(set) {
        "$http_x_forwarded_for" => {
            let what = "X-Forwarded-For comes from the client";
            Some(Finding::fault(&set.place, what, because).write(write))
        }
        "$remote_addr" if config.forwarded_hops > 1 => {
            let hops = config.forwarded_hops;
            let what = format!("X-Forwarded-For has one address, and forwarded_hops is {hops}");
            let because =
                "the gateway looks further left and finds none: limits by address count for nobody";
            Some(Finding::warning(&set.place, &what, because).write(write))
        }
        "" => {
            let because = "the gateway does not know its clients' addresses: limits by address count for nobody";
            let what = "X-Forwarded-For is taken away";
            Some(Finding::warning(&set.place, what, because).write(write))
        }
        _ => None,
    }
}

/// Fields that may stand once. An empty one is not sent at all, so it may stand beside another.
pub(super) fn twice(location: &Location) -> Vec<Finding> {
    let fields = ["Host", "Origin", USER_HEADER, GROUPS_HEADER, SESSION_HEADER];
    let faults = fields.iter().filter_map(|field| {
        let sent = location.set_headers(field);
        let second = sent.filter(|set| !value(set).is_empty()).nth(1)?;
        let what = format!("{field} is set twice, and sent twice");
        let because = "the gateway answers every client with 400";
        Some(Finding::fault(&second.place, &what, because))
    });
    faults.collect()
}

/// Does the gateway believe what nginx sends there?
fn is_believed(location: &Location, config: &Config) -> bool {
    let mut servers = location.to.servers.iter();
    // Where a variable decides, what would be open if it did counts for more than what would be closed.
    location.to.servers.is_empty()
        || servers.any(|server| match (server, server.nginx_address()) {
            (Server::Unix(_), _) => true,
            (Server::Tcp(..), Some(address)) => config.trusts(address),
            // nginx is on another machine, or the name is one of several addresses; whom they trust, that will be it.
            (Server::Tcp(..), None) => !config.trusted.is_empty(),
        })
}

fn untrusted(place: &Place, what: &str, because: &str, breaks: bool) -> Finding {
    let finding = match breaks {
        true => Finding::fault(place, what, because),
        false => Finding::warning(place, what, because),
    };
    finding.write("trusted = [\"127.0.0.1\"]   for the gateway, with nginx' address; or let it listen on a unix socket")
}
