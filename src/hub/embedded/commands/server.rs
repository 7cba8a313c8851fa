//! What the server says about itself, and about its clients.

use std::fmt::Display;

use bytes::Bytes;

use crate::limits::{EMBEDDED_CONNECTIONS_MAX, EMBEDDED_MEMORY_BYTES_MAX};
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::resp::{Protocol, Reply};

use super::super::client::{Client, Transaction};
use super::super::error::CommandError;
use super::super::keyspace::DATABASES;
use super::{COMMANDS, Context, count, is};

/// The Redis that clients take us for: CLIENT SETINFO is of 7.2, and so is the order of EXEC's reply and pushes.
pub(super) const REDIS_VERSION: &str = "7.2.0";

/// Sections of INFO, in order.
const SECTIONS: &[(&str, Section)] = &[
    ("Server", info_server),
    ("Clients", info_clients),
    ("Memory", info_memory),
    ("Replication", info_replication),
    ("Keyspace", info_keyspace),
];

/// Writes the lines of a section.
type Section = fn(&Context<'_>, &mut String);

/// INFO [section ...].
pub(super) fn info(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let all = args.is_empty()
        || args
            .iter()
            .any(|arg| is(arg, "all") || is(arg, "everything") || is(arg, "default"));
    let mut text = String::new();
    for (name, write) in SECTIONS {
        if all || args.iter().any(|arg| is(arg, name)) {
            let gap = if text.is_empty() { "" } else { "\r\n" };
            text += &format!("{gap}# {name}\r\n");
            write(context, &mut text);
        }
    }
    Ok(Reply::Bulk(text.into()))
}

/// CLIENT INFO: this client, in a line.
pub(super) fn client_info(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    let line = client_line(context, context.id, context.client);
    Ok(Reply::Bulk(line.into()))
}

/// CLIENT LIST: every client, in a line, in the order of their ids.
pub(super) fn client_list(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    let this = std::iter::once((context.id, &*context.client));
    let others = context.others.iter().map(|(id, client)| (*id, client));
    let mut clients: Vec<(PeerId, &Client)> = others.chain(this).collect();
    clients.sort_by_key(|(_, client)| client.number);
    let lines: String = clients
        .into_iter()
        .map(|(id, client)| client_line(context, id, client))
        .collect();
    Ok(Reply::Bulk(lines.into()))
}

/// CONFIG GET: there is nothing to configure.
pub(super) fn config_get(_: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    Ok(Reply::Map(Vec::new()))
}

/// COMMAND: redis-cli asks for hints on typing, and does without.
pub(super) fn command(_: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    Ok(Reply::Array(Vec::new()))
}

/// COMMAND COUNT.
pub(super) fn command_count(_: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    let commands = COMMANDS
        .iter()
        .filter(|command| !command.name.contains('|'));
    Ok(count(commands.count()))
}

/// COMMAND DOCS.
pub(super) fn command_docs(_: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    Ok(Reply::Map(Vec::new()))
}

/// COMMAND INFO: of each, that nothing is known.
pub(super) fn command_info(_: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    Ok(Reply::Array(vec![Reply::Null; args.len()]))
}

fn info_server(context: &Context<'_>, out: &mut String) {
    let uptime = context.now.since(Tick::ZERO).as_secs();
    // A person who wonders what this Redis is finds it in the first lines.
    line(out, "server_name", "ws4redis embedded");
    line(out, "ws4redis_version", env!("CARGO_PKG_VERSION"));
    line(out, "redis_version", REDIS_VERSION);
    line(out, "redis_mode", "standalone");
    line(out, "uptime_in_seconds", uptime);
}

fn info_clients(context: &Context<'_>, out: &mut String) {
    line(out, "connected_clients", context.others.len() + 1);
    line(out, "maxclients", EMBEDDED_CONNECTIONS_MAX);
    line(out, "pubsub_channels", context.pubsub.channels().count());
    line(out, "pubsub_patterns", context.pubsub.patterns());
}

fn info_memory(context: &Context<'_>, out: &mut String) {
    line(out, "used_memory", context.keys.bytes());
    line(out, "maxmemory", EMBEDDED_MEMORY_BYTES_MAX);
    line(out, "maxmemory_policy", "noeviction");
}

fn info_replication(_: &Context<'_>, out: &mut String) {
    line(out, "role", "master");
    line(out, "connected_slaves", 0);
}

fn info_keyspace(context: &Context<'_>, out: &mut String) {
    for db in 0..DATABASES {
        let (keys, expires) = context.keys.size(db);
        if keys > 0 {
            let sizes = format!("keys={keys},expires={expires},avg_ttl=0");
            line(out, &format!("db{db}"), sizes);
        }
    }
}

fn line(out: &mut String, name: &str, value: impl Display) {
    *out += &format!("{name}:{value}\r\n");
}

fn client_line(context: &Context<'_>, id: PeerId, client: &Client) -> String {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let (sub, psub) = context.pubsub.counts(id);
    let multi = match &client.transaction {
        Transaction::Queued { commands, .. } => commands.len().to_string(),
        Transaction::Spoiled => "0".to_owned(),
        Transaction::None => "-1".to_owned(),
    };
    let resp = match context.outboxes.protocol(id) {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    };
    format!(
        "id={} name={} db={} sub={sub} psub={psub} multi={multi} watch={} resp={resp} lib-name={} lib-ver={}\n",
        client.number,
        text(&client.names.client),
        client.db,
        client.watches.versions.len(),
        text(&client.names.lib_name),
        text(&client.names.lib_version),
    )
}
