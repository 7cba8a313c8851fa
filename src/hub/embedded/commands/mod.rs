//! The commands: what each is called, what it takes, and when it may be said.
//!
//! A command is a function of its arguments and of what it may touch, the [`Context`]. It remembers nothing.

mod connection;
mod expiry;
mod keys;
mod server;
mod set;
mod subscriptions;
mod transaction;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::resp::{Protocol, Reply};

use super::client::Client;
use super::error::CommandError;
use super::keyspace::{Key, Keyspace};
use super::outboxes::{OUTBOX_BYTES_MAX, Outboxes, weight};
use super::pubsub::{Message, PubSub};

/// Who says a command, and what a command may touch.
pub(super) struct Context<'a> {
    pub(super) now: Tick,
    pub(super) id: PeerId,
    pub(super) client: &'a mut Client,
    /// All clients but this one.
    pub(super) others: &'a BTreeMap<PeerId, Client>,
    pub(super) keys: &'a mut Keyspace,
    pub(super) pubsub: &'a mut PubSub,
    pub(super) outboxes: &'a mut Outboxes,
    /// What was published and is to be delivered after the reply.
    pub(super) published: Vec<Message>,
}

/// Does a command and says what to reply.
pub(super) type Handler = fn(&mut Context<'_>, &[Bytes]) -> Result<Reply, CommandError>;

/// Does a command that is answered by pushes alone, one for each of its arguments.
type PushHandler = fn(&mut Context<'_>, &[Bytes]) -> Result<(), CommandError>;

/// Does a command and replies to it.
pub(super) fn run(context: &mut Context<'_>, words: &[Bytes]) {
    let reply = match dispatch(context, words) {
        Ok(None) => return,
        Ok(Some(reply)) => reply,
        Err(error) => error_reply(&error),
    };
    let reply = if weight(&reply) > OUTBOX_BYTES_MAX {
        error_reply(&CommandError::ReplyTooLarge)
    } else {
        reply
    };
    context.outboxes.reply(context.id, &reply);
}

fn dispatch(context: &mut Context<'_>, words: &[Bytes]) -> Result<Option<Reply>, CommandError> {
    let (command, args) = match admit(context, words) {
        Ok(admitted) => admitted,
        Err(error) => {
            context.client.transaction.spoil();
            return Err(error);
        }
    };
    match command.run {
        Run::Queued(handler) if context.client.transaction.is_open() => {
            context.client.transaction.queue(handler, args)?;
            Ok(Some(simple("QUEUED")))
        }
        Run::Queued(handler) | Run::AtOnce(handler) | Run::Outside(handler) => {
            handler(context, args).map(Some)
        }
        Run::Pushes(handler) => handler(context, args).map(|()| None),
    }
}

/// Finds a command and its arguments, if it may be said now.
fn admit<'a>(
    context: &Context<'_>,
    words: &'a [Bytes],
) -> Result<(&'static Command, &'a [Bytes]), CommandError> {
    let (command, args) = find(words)?;
    if !command.args.contains(&args.len()) {
        return Err(CommandError::Arity(command.name));
    }
    let subscribed = context.outboxes.protocol(context.id) == Protocol::Resp2
        && context.pubsub.count(context.id) > 0;
    if subscribed && !command.may_be_said_by_subscribers() {
        return Err(CommandError::Subscribed(command.name));
    }
    if context.client.transaction.is_open()
        && matches!(command.run, Run::Outside(_) | Run::Pushes(_))
    {
        return Err(CommandError::InMulti);
    }
    Ok((command, args))
}

fn find(words: &[Bytes]) -> Result<(&'static Command, &[Bytes]), CommandError> {
    let Some((name, args)) = words.split_first() else {
        return Err(CommandError::unknown_command(b"", &[]));
    };
    if let Some((sub, args)) = args.split_first()
        && CONTAINERS.iter().any(|container| is(name, container))
    {
        let found = COMMANDS.iter().find(|command| {
            command
                .name
                .split_once('|')
                .is_some_and(|(container, of)| is(name, container) && is(sub, of))
        });
        return match found {
            Some(command) => Ok((command, args)),
            None => Err(CommandError::unknown_subcommand(name, sub)),
        };
    }
    if let Some(command) = COMMANDS.iter().find(|command| is(name, command.name)) {
        return Ok((command, args));
    }
    Err(
        match CONTAINERS.iter().find(|container| is(name, container)) {
            Some(container) => CommandError::Arity(container),
            None => CommandError::unknown_command(name, args),
        },
    )
}

/// A command, or a subcommand as `container|subcommand`.
struct Command {
    name: &'static str,
    /// How many arguments it takes, its own name or names not counted.
    args: RangeInclusive<usize>,
    run: Run,
}

/// When a command is done.
enum Run {
    /// At once, or between MULTI and EXEC by EXEC.
    Queued(Handler),
    /// At once, even after MULTI.
    AtOnce(Handler),
    /// At once, but never after MULTI. Redis would queue HELLO, and answer one array in two protocols.
    Outside(Handler),
    /// Like [`Run::Outside`]: in EXEC's array, pushes would be elements more than it announces.
    Pushes(PushHandler),
}

impl Command {
    /// In RESP2 nothing tells a push from a reply, so a client that hears a channel may say nothing that would
    /// be answered in a shape of its own.
    fn may_be_said_by_subscribers(&self) -> bool {
        matches!(self.run, Run::Pushes(_)) || ["ping", "quit", "reset"].contains(&self.name)
    }
}

const fn queued(name: &'static str, args: RangeInclusive<usize>, handler: Handler) -> Command {
    let run = Run::Queued(handler);
    Command { name, args, run }
}

const fn at_once(name: &'static str, args: RangeInclusive<usize>, handler: Handler) -> Command {
    let run = Run::AtOnce(handler);
    Command { name, args, run }
}

const fn outside(name: &'static str, args: RangeInclusive<usize>, handler: Handler) -> Command {
    let run = Run::Outside(handler);
    Command { name, args, run }
}

const fn pushes(name: &'static str, args: RangeInclusive<usize>, handler: PushHandler) -> Command {
    let run = Run::Pushes(handler);
    Command { name, args, run }
}

/// Any number of arguments, from none, one, two on.
const ANY: RangeInclusive<usize> = 0..=usize::MAX;
const SOME: RangeInclusive<usize> = 1..=usize::MAX;
const FROM_TWO: RangeInclusive<usize> = 2..=usize::MAX;

/// The commands whose second word names what they do. Alone they are an error, but for COMMAND.
const CONTAINERS: &[&str] = &["client", "command", "config", "pubsub"];

static COMMANDS: &[Command] = &[
    // Values.
    queued("get", 1..=1, keys::get),
    queued("set", FROM_TWO, set::set),
    queued("setex", 3..=3, set::setex),
    queued("psetex", 3..=3, set::psetex),
    queued("mget", SOME, keys::mget),
    queued("del", SOME, keys::del),
    queued("unlink", SOME, keys::del),
    queued("exists", SOME, keys::exists),
    queued("type", 1..=1, keys::kind),
    queued("keys", 1..=1, keys::keys),
    queued("scan", SOME, keys::scan),
    queued("dbsize", 0..=0, keys::dbsize),
    queued("flushdb", ANY, keys::flushdb),
    queued("flushall", ANY, keys::flushall),
    // Their expiry.
    queued("ttl", 1..=1, expiry::ttl),
    queued("pttl", 1..=1, expiry::pttl),
    queued("expire", FROM_TWO, expiry::expire),
    queued("pexpire", FROM_TWO, expiry::pexpire),
    queued("persist", 1..=1, expiry::persist),
    // Publish and subscribe.
    queued("publish", 2..=2, subscriptions::publish),
    pushes("subscribe", SOME, subscriptions::subscribe),
    pushes("unsubscribe", ANY, subscriptions::unsubscribe),
    pushes("psubscribe", SOME, subscriptions::psubscribe),
    pushes("punsubscribe", ANY, subscriptions::punsubscribe),
    queued("pubsub|channels", 0..=1, subscriptions::channels),
    queued("pubsub|numsub", ANY, subscriptions::numsub),
    queued("pubsub|numpat", 0..=0, subscriptions::numpat),
    // Transactions.
    at_once("multi", 0..=0, transaction::multi),
    at_once("exec", 0..=0, transaction::exec),
    at_once("discard", 0..=0, transaction::discard),
    at_once("watch", SOME, transaction::watch),
    queued("unwatch", 0..=0, transaction::unwatch),
    // The connection.
    queued("ping", 0..=1, connection::ping),
    queued("echo", 1..=1, connection::echo),
    queued("auth", SOME, connection::auth),
    outside("hello", ANY, connection::hello),
    queued("select", 1..=1, connection::select),
    at_once("quit", ANY, connection::quit),
    at_once("reset", 0..=0, connection::reset),
    queued("client|id", 0..=0, connection::client_id),
    queued("client|getname", 0..=0, connection::client_getname),
    queued("client|setname", 1..=1, connection::client_setname),
    queued("client|setinfo", 2..=2, connection::client_setinfo),
    queued("client|no-evict", 1..=1, connection::client_switch),
    queued("client|no-touch", 1..=1, connection::client_switch),
    queued("client|info", 0..=0, server::client_info),
    queued("client|list", 0..=0, server::client_list),
    // The server.
    queued("info", ANY, server::info),
    queued("config|get", SOME, server::config_get),
    queued("command", 0..=0, server::command),
    queued("command|count", 0..=0, server::command_count),
    queued("command|docs", ANY, server::command_docs),
    queued("command|info", ANY, server::command_info),
];

/// Is this the word, in any case?
fn is(said: &[u8], word: &str) -> bool {
    said.eq_ignore_ascii_case(word.as_bytes())
}

/// Redis' idea of an integer: no plus sign, no leading zero, no blank.
fn integer(said: &[u8]) -> Result<i64, CommandError> {
    let number = str::from_utf8(said)
        .ok()
        .and_then(|text| Some((text, text.parse::<i64>().ok()?)));
    match number {
        Some((text, number)) if number.to_string() == text => Ok(number),
        _ => Err(CommandError::NotAnInteger),
    }
}

/// A key in the database that the client selected.
fn key(context: &Context<'_>, name: &Bytes) -> Key {
    Key {
        db: context.client.db,
        name: name.clone(),
    }
}

fn ok() -> Reply {
    simple("OK")
}

fn simple(text: &'static str) -> Reply {
    Reply::Simple(Bytes::from_static(text.as_bytes()))
}

fn text(text: &'static str) -> Reply {
    Reply::Bulk(Bytes::from_static(text.as_bytes()))
}

fn count(count: usize) -> Reply {
    Reply::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn error_reply(error: &CommandError) -> Reply {
    Reply::Error(error.to_string())
}
