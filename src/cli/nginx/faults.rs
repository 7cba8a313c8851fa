//! What is wrong with a location that passes WebSocket handshakes to the gateway: does the handshake get there, and
//! does the connection last?
//!
//! What comes of each fault is what nginx 1.22 and the gateway did when they were set up so.

use std::time::Duration;

use ws4redis::Config;

use super::finding::Finding;
use super::sites::Location;
use super::syntax::Directive;
use super::trust;

/// nginx' own `proxy_read_timeout`.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A heartbeat goes to every client at least as often.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// All that is wrong there.
pub(super) fn of(location: &Location, config: &Config) -> Vec<Finding> {
    let one_by_one = [
        scheme(location),
        path(location, config),
        version(location),
        request_headers(location),
        upgrade(location),
        connection(location),
        trust::host(location, config),
        trust::origin(location),
        read_timeout(location, config),
        trust::identity(location, config),
        trust::address(location, config),
        connections(location, config),
    ];
    let all = one_by_one.into_iter().flatten();
    all.chain(trust::twice(location)).collect()
}

fn scheme(location: &Location) -> Option<Finding> {
    location.to.tls.then(|| {
        let pass = location.pass;
        let because = "the gateway speaks no TLS, so nginx answers 502";
        Finding::fault(&pass.place, "https:// to the gateway", because).write(&format!(
            "proxy_pass {};",
            pass.value().replacen("https", "http", 1)
        ))
    })
}

/// A `proxy_pass` with a path puts that in place of the location's prefix, and so mostly loses the prefix.
fn path(location: &Location, config: &Config) -> Option<Finding> {
    let url = config.websocket_url.as_str();
    let prefix = location.prefix()?;
    let is_reached = match location.to.path {
        // Whoever rewrites paths knows what comes of it; we do not.
        _ if location.setting("rewrite").is_some() => true,
        Some(path) if path.contains('$') => true,
        Some(path) => {
            path.starts_with(url)
                || url
                    .strip_prefix(path)
                    .is_some_and(|rest| format!("{prefix}{rest}") == url)
        }
        None => prefix.starts_with(url) || url.starts_with(prefix),
    };
    if is_reached {
        return None;
    }
    let name = location.name();
    let elsewhere = !prefix.starts_with(url) && !url.starts_with(prefix);
    let finding = match location.to.path {
        Some(path) => {
            let pass = location.pass;
            let what = format!("{name}: proxy_pass with a path puts {path} in place of {prefix}");
            let because = format!("the gateway knows only paths under {url} and answers 404");
            let bare = pass.value().strip_suffix(path).unwrap_or(pass.value());
            // A colon ends the name of a unix socket.
            let write = format!("proxy_pass {};", bare.trim_end_matches(':'));
            Finding::fault(&pass.place, &what, &because).write(&write)
        }
        None => {
            let what = format!("{name} passes paths on that are not under {url}");
            let because = format!("the gateway's websocket_url is {url}: it answers 404");
            Finding::fault(location.place(), &what, &because)
        }
    };
    Some(match elsewhere {
        true => finding.write(&format!("location {url} {{")),
        false => finding,
    })
}

/// nginx speaks HTTP/1.0 by default, and no listener of the gateway does.
pub(super) fn version(location: &Location) -> Option<Finding> {
    let write = "proxy_http_version 1.1;";
    match location.setting("proxy_http_version") {
        Some(version) if version.value() == "1.1" => None,
        Some(version) => {
            let what = format!(
                "{}: HTTP/{} to the gateway",
                location.name(),
                version.value()
            );
            let because =
                "the gateway speaks HTTP/1.1, as WebSockets need (RFC 6455 4.1): nobody is served";
            Some(Finding::fault(&version.place, &what, because).write(write))
        }
        None => {
            let what = format!("{}: no proxy_http_version", location.name());
            let because = "nginx before 1.29.7 says HTTP/1.0 then, and the gateway answers everybody with 400";
            Some(Finding::fault(location.place(), &what, because).write(write))
        }
    }
}

fn request_headers(location: &Location) -> Option<Finding> {
    let off = location.setting("proxy_pass_request_headers")?;
    (off.value() == "off").then(|| {
        let because = "the gateway gets no Sec-WebSocket-Key and answers every client with 426";
        Finding::fault(&off.place, "proxy_pass_request_headers is off", because)
            .write("proxy_pass_request_headers on;")
    })
}

fn upgrade(location: &Location) -> Option<Finding> {
    let write = "proxy_set_header Upgrade $http_upgrade;";
    let because = "the gateway answers every client with 426";
    let Some(set) = location.set_headers("Upgrade").last() else {
        return Some(missing(location, "Upgrade", because).write(write));
    };
    let value = value(set);
    let is_right = value == "$http_upgrade" || value.eq_ignore_ascii_case("websocket");
    (!is_right && !is_variable(value)).then(|| {
        let what = format!("Upgrade is {value:?} for the gateway");
        Finding::fault(&set.place, &what, because).write(write)
    })
}

fn connection(location: &Location) -> Option<Finding> {
    let write = "proxy_set_header Connection \"upgrade\";";
    let because = "the gateway answers every client with 426";
    let Some(set) = location.set_headers("Connection").last() else {
        return Some(missing(location, "Connection", because).write(write));
    };
    let value = value(set);
    let mapped = location.map(value);
    let sent = match mapped {
        Some(map) => mapped_for_websockets(map),
        None if value == "$http_connection" => return None,
        None if is_variable(value) => {
            let what = format!("no file that was read says what {value} is");
            let because = "it must be \"upgrade\" where a client asks for an upgrade: check the main file, nginx.conf";
            return Some(Finding::warning(&set.place, &what, because));
        }
        None => value,
    };
    let is_right = sent
        .split(',')
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    (!is_right).then(|| {
        let what = format!("Connection is {sent:?} for the gateway");
        let finding = Finding::fault(&set.place, &what, because);
        match mapped {
            Some(map) => finding.write(&format!("default upgrade;   in the map of {}", map.place)),
            None => finding.write(write),
        }
    })
}

/// What a `map` of `$http_upgrade` makes of `websocket`; of another variable, what it makes by default.
fn mapped_for_websockets(map: &Directive) -> &str {
    let entry = |name: &str| {
        map.block
            .iter()
            .find(|entry| entry.name.eq_ignore_ascii_case(name))
    };
    let exact = entry("websocket").filter(|_| map.value() == "$http_upgrade");
    exact
        .or_else(|| entry("default"))
        .map_or("", Directive::value)
}

/// After the 101 nginx counts the silence of both sides together, and closes when it has lasted for so long.
fn read_timeout(location: &Location, config: &Config) -> Option<Finding> {
    let limits = &config.limits;
    let (silence, who) = match config.heartbeat {
        Some(_) if HEARTBEAT < limits.ping_interval => (HEARTBEAT, "heartbeat goes out every"),
        _ => (limits.ping_interval, "ping_interval is"),
    };
    let set = location.setting("proxy_read_timeout");
    let place = set.map_or(location.place(), |set| &set.place);
    let timeout = match set {
        None => READ_TIMEOUT,
        Some(set) => time(set)?,
    };
    let enough = silence.saturating_add(limits.pong_timeout);
    let write = format!("proxy_read_timeout {}s;", 2 * enough.as_secs().max(1));
    let said = if set.is_some() {
        ""
    } else {
        ", as none is set"
    };
    let what = format!(
        "{}: proxy_read_timeout is {timeout:?}{said}",
        location.name()
    );
    if timeout <= silence {
        let because = format!("{who} {silence:?}: nginx cuts clients off that are merely quiet");
        return Some(Finding::fault(place, &what, &because).write(&write));
    }
    (timeout < enough).then(|| {
        let because = format!(
            "{who} {silence:?}: a ping that is late by less than pong_timeout, {:?}, is too late for nginx",
            limits.pong_timeout
        );
        Finding::warning(place, &what, &because).write(&write)
    })
}

/// Who opens a thousand connections takes a thousand sessions.
fn connections(location: &Location, config: &Config) -> Option<Finding> {
    let is_limited =
        config.limits.sessions_per_address_max > 0 || location.setting("limit_conn").is_some();
    (!is_limited).then(|| {
        let what = format!(
            "{}: one address may have any number of connections",
            location.name()
        );
        let because = "neither limit_conn nor the gateway's sessions_per_address_max says less";
        Finding::hint(location.place(), &what, because).write("limit_conn ws4redis 100;")
    })
}

/// A field that is not set. Where the server sets it and the location does not, that is nearly always the reason
/// why it does not work.
pub(super) fn missing(location: &Location, field: &str, because: &str) -> Finding {
    let what = format!("{}: no proxy_set_header {field}", location.name());
    let own = location.settings("proxy_set_header").next();
    match (location.lost_header(field), own) {
        (Some(lost), Some(own)) => {
            let because = format!(
                "that of {} does not count here, because of the one of {}: they are inherited all or none; {because}",
                lost.place, own.place
            );
            Finding::fault(location.place(), &what, &because)
        }
        _ => Finding::fault(location.place(), &what, because),
    }
}

/// What a `proxy_set_header` sets.
pub(super) fn value(set: &Directive) -> &str {
    set.arguments.get(1).map_or("", String::as_str)
}

fn is_variable(value: &str) -> bool {
    value.contains('$')
}

/// A time as nginx writes it: `60`, `90s`, `1h 30m`, each unit once and the larger first; `None` if it is none.
fn time(set: &Directive) -> Option<Duration> {
    let mut whole = Duration::ZERO;
    for part in set.arguments.iter().flat_map(|word| word.split(' ')) {
        let mut rest = part;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = rest.split_at_checked(digits)?;
            let letters = unit.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = unit.split_at_checked(letters)?;
            let milliseconds: u64 = match unit {
                "ms" => 1,
                "" | "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 7 * 86_400_000,
                "M" => 30 * 86_400_000,
                "y" => 365 * 86_400_000,
                _ => return None,
            };
            let number: u64 = number.parse().ok()?;
            let time = Duration::from_millis(number.checked_mul(milliseconds)?);
            whole = whole.checked_add(time)?;
            rest = after;
        }
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use super::super::syntax;
    use super::*;

    #[test]
    fn times_are_read_as_nginx_writes_them() {
        for (text, seconds) in [
            ("60", Some(60)),
            ("60s", Some(60)),
            ("90000ms", Some(90)),
            ("1m", Some(60)),
            ("1h30m", Some(5_400)),
            ("'1h 30m'", Some(5_400)),
            ("1d", Some(86_400)),
            ("soon", None),
            ("1x", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("9999999999999999999y", None),
            ("$time", None),
        ] {
            let text = format!("proxy_read_timeout {text};");
            let directives = syntax::parse(text.as_bytes(), &Rc::from(Path::new("f"))).unwrap();
            assert_eq!(
                time(&directives[0]),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
