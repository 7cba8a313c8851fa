//! Where nginx passes requests on, and what counts there.
//!
//! Settings are inherited from the blocks around a location. Most directives each for itself; but of
//! `proxy_set_header` the innermost block that has *any* counts alone, and the others are as if they were not there.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ws4redis::config::Listen;

use super::syntax::{Directive, Place};

/// The blocks in which requests are passed on. `stream` and `mail` have a `proxy_pass` that is something else.
const BLOCKS: [&str; 5] = ["http", "server", "location", "if", "limit_except"];

/// A whole configuration, or a part of one that some other file includes.
#[derive(Debug)]
pub(super) struct Sites<'a> {
    directives: &'a [Directive],
}

/// A location from which requests are passed on.
#[derive(Debug, Clone)]
pub(super) struct Location<'a> {
    /// The blocks around its `proxy_pass`, innermost first.
    blocks: Vec<&'a Directive>,
    /// What stands outside of all blocks.
    outside: &'a [Directive],
    /// Its `proxy_pass`.
    pub(super) pass: &'a Directive,
    /// Where that leads, as far as it can be told.
    pub(super) to: Upstream<'a>,
}

/// What a `proxy_pass` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream<'a> {
    /// Is it `https`?
    pub(super) tls: bool,
    /// Several for a named `upstream`; none where a variable decides.
    pub(super) servers: Vec<Server<'a>>,
    /// What stands in place of the location's prefix in the path that is passed on; `None` leaves the path alone.
    pub(super) path: Option<&'a str>,
}

/// One server that requests are passed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server<'a> {
    /// A unix socket.
    Unix(&'a Path),
    /// A name or an address, and a port.
    Tcp(&'a str, u16),
}

impl<'a> Sites<'a> {
    /// What stands in these directives.
    pub(super) fn new(directives: &'a [Directive]) -> Sites<'a> {
        Sites { directives }
    }

    /// All locations that pass requests on, in their order.
    pub(super) fn locations(&self) -> Vec<Location<'a>> {
        let mut found = Vec::new();
        self.walk(self.directives, &mut Vec::new(), &mut found);
        found
    }

    fn walk(
        &self,
        directives: &'a [Directive],
        around: &mut Vec<&'a Directive>,
        found: &mut Vec<Location<'a>>,
    ) {
        for directive in directives {
            if directive.name == "proxy_pass" {
                found.push(Location {
                    blocks: around.iter().rev().copied().collect(),
                    outside: self.directives,
                    pass: directive,
                    to: self.upstream(directive.value()),
                });
            } else if BLOCKS.contains(&&*directive.name) {
                around.push(directive);
                self.walk(&directive.block, around, found);
                around.pop();
            }
        }
    }

    fn upstream(&self, url: &'a str) -> Upstream<'a> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (address, path) = match rest.strip_prefix("unix:") {
            Some(socket) => {
                let (socket, path) = socket.split_once(':').unzip();
                let end = socket.map_or(rest.len(), |socket| "unix:".len() + socket.len());
                (rest.get(..end).unwrap_or(rest), path)
            }
            None => {
                let (address, path) =
                    rest.split_at(rest.find(['/', '?', '$']).unwrap_or(rest.len()));
                (address, Some(path))
            }
        };
        let named = self.named(address);
        let servers = match named.is_empty() {
            true => Server::new(address).into_iter().collect(),
            false => named,
        };
        Upstream {
            tls: scheme.eq_ignore_ascii_case("https"),
            servers,
            path: path.filter(|path| !path.is_empty()),
        }
    }

    /// The servers of the `upstream` block of this name.
    fn named(&self, name: &str) -> Vec<Server<'a>> {
        let is_named = |block: &&Directive| {
            block.name == "upstream" && block.value().eq_ignore_ascii_case(name)
        };
        let servers = in_http(self.directives)
            .filter(is_named)
            .flat_map(|block| &block.block);
        servers
            .filter(|directive| directive.name == "server")
            .filter_map(|directive| Server::new(directive.value()))
            .collect()
    }
}

/// The directives of `http`; in a file that is a part of it, they stand outside of all blocks.
fn in_http(directives: &[Directive]) -> impl Iterator<Item = &Directive> {
    let inner = directives
        .iter()
        .filter(|directive| directive.name == "http")
        .flat_map(|http| &http.block);
    directives.iter().chain(inner)
}

impl<'a> Server<'a> {
    fn new(text: &'a str) -> Option<Server<'a>> {
        if text.is_empty() || text.contains('$') {
            return None;
        }
        if let Some(socket) = text.strip_prefix("unix:") {
            return Some(Server::Unix(Path::new(socket)));
        }
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (text, 80),
        };
        let host = host.strip_prefix('[').unwrap_or(host);
        Some(Server::Tcp(host.strip_suffix(']').unwrap_or(host), port))
    }

    /// Would a connection to it come to this listener?
    pub(super) fn is(&self, listen: &Listen) -> bool {
        match (self, listen) {
            (Server::Unix(socket), Listen::Unix { path, .. }) => {
                // /var/run is a link to /run on most machines.
                *socket == path || resolved(socket).is_some_and(|it| Some(it) == resolved(path))
            }
            (Server::Tcp(host, port), Listen::Tcp(address)) => {
                *port == address.port() && is_host_of(host, address)
            }
            _ => false,
        }
    }

    /// The address from which nginx connects to it, where that can be told.
    pub(super) fn nginx_address(&self) -> Option<IpAddr> {
        match self {
            Server::Tcp("localhost", _) => Some([127, 0, 0, 1].into()),
            Server::Tcp(host, _) => host.parse().ok().filter(IpAddr::is_loopback),
            Server::Unix(_) => None,
        }
    }
}

fn is_host_of(host: &str, listen: &SocketAddr) -> bool {
    match host.parse::<IpAddr>() {
        _ if listen.ip().is_unspecified() => true,
        Ok(ip) => ip == listen.ip(),
        // A name is nobody's but the resolver's, which is not asked; this one is in every hosts file.
        Err(_) => host == "localhost" && listen.ip().is_loopback(),
    }
}

fn resolved(socket: &Path) -> Option<PathBuf> {
    let folder = socket.parent()?.canonicalize().ok()?;
    Some(folder.join(socket.file_name()?))
}

impl<'a> Location<'a> {
    /// As a person would call it.
    pub(super) fn name(&self) -> String {
        match self.block("location") {
            Some(block) => format!("location {}", block.arguments.join(" ")),
            None => "this part of a location".to_owned(),
        }
    }

    /// Where it begins.
    pub(super) fn place(&self) -> &'a Place {
        let block = self.block("location");
        &block.unwrap_or(self.pass).place
    }

    /// What the paths that come here begin with, if that is how it is found.
    pub(super) fn prefix(&self) -> Option<&'a str> {
        match self.block("location")?.arguments.as_slice() {
            [prefix] if prefix.starts_with('/') => Some(prefix),
            [modifier, prefix] if modifier == "^~" || modifier == "=" => Some(prefix),
            _ => None,
        }
    }

    /// The directive that counts for a setting that is inherited for itself.
    pub(super) fn setting(&self, name: &str) -> Option<&'a Directive> {
        self.levels()
            .find_map(|level| level.iter().rfind(|directive| directive.name == name))
    }

    /// Of the directives of this name those that count, which are those of one block.
    pub(super) fn settings(&self, name: &str) -> impl Iterator<Item = &'a Directive> {
        let has = |level: &&[Directive]| level.iter().any(|directive| directive.name == name);
        let level = self.levels().find(has).unwrap_or_default();
        level.iter().filter(move |directive| directive.name == name)
    }

    /// The `proxy_set_header`s that count for a header field.
    pub(super) fn set_headers(&self, field: &str) -> impl Iterator<Item = &'a Directive> {
        self.settings("proxy_set_header")
            .filter(move |directive| directive.value().eq_ignore_ascii_case(field))
    }

    /// One that would have counted, had no block further in a `proxy_set_header` of its own.
    pub(super) fn lost_header(&self, field: &str) -> Option<&'a Directive> {
        let mut all = self.levels().flatten();
        all.find(|directive| {
            directive.name == "proxy_set_header" && directive.value().eq_ignore_ascii_case(field)
        })
    }

    /// The `listen`s of its server.
    pub(super) fn listens(&self) -> impl Iterator<Item = &'a Directive> {
        let server = self.block("server").into_iter();
        server
            .flat_map(|server| &server.block)
            .filter(|directive| directive.name == "listen")
    }

    /// The `map` that makes this variable.
    pub(super) fn map(&self, variable: &str) -> Option<&'a Directive> {
        in_http(self.outside).find(|directive| {
            directive.name == "map"
                && directive
                    .arguments
                    .get(1)
                    .is_some_and(|made| made == variable)
        })
    }

    fn block(&self, name: &str) -> Option<&'a Directive> {
        self.blocks.iter().copied().find(|block| block.name == name)
    }

    /// What stands in each block around, innermost first.
    fn levels(&self) -> impl Iterator<Item = &'a [Directive]> {
        let blocks = self.blocks.iter().map(|block| block.block.as_slice());
        blocks.chain([self.outside])
    }
}
