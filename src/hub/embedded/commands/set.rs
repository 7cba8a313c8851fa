//! SET and what is short for it.

use bytes::Bytes;

use crate::tick::Tick;
use crate::wire::resp::Reply;

use super::super::error::CommandError;
use super::super::keyspace::Entry;
use super::expiry::{Unit, deadline};
use super::{Context, is, key, ok};

pub(super) fn set(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let [name, value, options @ ..] = args else {
        return Err(CommandError::Syntax);
    };
    let options = Options::parse(context.now, options)?;
    let key = key(context, name);
    let before = context.keys.get(context.now, &key).cloned();
    let wanted = match options.condition {
        Condition::None => true,
        Condition::IfAbsent => before.is_none(),
        Condition::IfPresent => before.is_some(),
    };
    if wanted {
        let expires = match options.expiry {
            Expiry::None => None,
            Expiry::At(expires) => Some(expires),
            Expiry::Keep => before.as_ref().and_then(|entry| entry.expires),
        };
        let value = value.clone();
        let entry = Entry { value, expires };
        context.keys.set(context.now, &key, entry)?;
    }
    Ok(match before {
        Some(entry) if options.get => Reply::Bulk(entry.value),
        None if options.get => Reply::Null,
        _ if wanted => ok(),
        _ => Reply::Null,
    })
}

pub(super) fn setex(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    set_for_a_span(context, args, Unit::Seconds, "setex")
}

pub(super) fn psetex(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    set_for_a_span(context, args, Unit::Milliseconds, "psetex")
}

fn set_for_a_span(
    context: &mut Context<'_>,
    args: &[Bytes],
    unit: Unit,
    command: &'static str,
) -> Result<Reply, CommandError> {
    let [name, span, value] = args else {
        return Err(CommandError::Syntax);
    };
    let entry = Entry {
        value: value.clone(),
        expires: Some(deadline(context.now, span, unit, command)?),
    };
    let key = key(context, name);
    context.keys.set(context.now, &key, entry)?;
    Ok(ok())
}

/// What stands behind SET key value.
#[derive(Debug)]
struct Options {
    expiry: Expiry,
    condition: Condition,
    /// Reply with the value that was there.
    get: bool,
}

#[derive(Debug, PartialEq)]
enum Expiry {
    None,
    Keep,
    At(Tick),
}

#[derive(Debug, PartialEq)]
enum Condition {
    None,
    IfAbsent,
    IfPresent,
}

impl Options {
    fn parse(now: Tick, mut words: &[Bytes]) -> Result<Options, CommandError> {
        let mut options = Options {
            expiry: Expiry::None,
            condition: Condition::None,
            get: false,
        };
        while let Some((option, rest)) = words.split_first() {
            words = rest;
            if is(option, "get") {
                options.get = true;
            } else if is(option, "nx") && options.condition != Condition::IfPresent {
                options.condition = Condition::IfAbsent;
            } else if is(option, "xx") && options.condition != Condition::IfAbsent {
                options.condition = Condition::IfPresent;
            } else if options.expiry != Expiry::None {
                return Err(CommandError::Syntax);
            } else if is(option, "keepttl") {
                options.expiry = Expiry::Keep;
            } else if let [span, rest @ ..] = words {
                options.expiry = expiry(now, option, span)?;
                words = rest;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn expiry(now: Tick, option: &[u8], span: &[u8]) -> Result<Expiry, CommandError> {
    let unit = if is(option, "ex") {
        Unit::Seconds
    } else if is(option, "px") {
        Unit::Milliseconds
    } else if is(option, "exat") || is(option, "pxat") {
        return Err(CommandError::NoWallClock);
    } else {
        return Err(CommandError::Syntax);
    };
    Ok(Expiry::At(deadline(now, span, unit, "set")?))
}
