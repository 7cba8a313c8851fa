//! Values and their keys, all but SET.

use bytes::Bytes;

use crate::wire::resp::Reply;

use super::super::error::CommandError;
use super::super::glob;
use super::super::keyspace::DATABASES;
use super::{Context, count, integer, is, key, ok, simple};

/// Bytes of a pattern. Its cost is that of its length times the name's, see [`glob::matches`].
pub(super) const PATTERN_BYTES_MAX: usize = 1_024;

pub(super) fn get(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let [name] = args else {
        return Err(CommandError::Syntax);
    };
    Ok(value(context, name))
}

pub(super) fn mget(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let values = args.iter().map(|name| value(context, name)).collect();
    Ok(Reply::Array(values))
}

pub(super) fn del(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let mut removed = 0;
    for name in args {
        let key = key(context, name);
        removed += usize::from(context.keys.remove(context.now, &key));
    }
    Ok(count(removed))
}

pub(super) fn exists(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let there = args.iter().filter(|name| {
        let key = key(context, name);
        context.keys.get(context.now, &key).is_some()
    });
    Ok(count(there.count()))
}

/// TYPE: there are only strings.
pub(super) fn kind(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let [name] = args else {
        return Err(CommandError::Syntax);
    };
    Ok(match value(context, name) {
        Reply::Null => simple("none"),
        _ => simple("string"),
    })
}

pub(super) fn keys(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let [pattern] = args else {
        return Err(CommandError::Syntax);
    };
    matching(context, pattern)
}

/// SCAN: the whole answer at cursor 0. COUNT is a hint, and nobody may rely on more than one step.
pub(super) fn scan(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let Some((cursor, mut options)) = args.split_first() else {
        return Err(CommandError::Syntax);
    };
    let cursor: u64 = str::from_utf8(cursor)
        .ok()
        .and_then(|cursor| cursor.parse().ok())
        .ok_or(CommandError::Cursor)?;
    let mut pattern = &b"*"[..];
    // Of any type but string there is no key, and no scan but one that begins finds any here.
    let mut none = cursor != 0;
    while let [option, value, rest @ ..] = options {
        if is(option, "match") {
            pattern = value;
        } else if is(option, "count") {
            if integer(value)? < 1 {
                return Err(CommandError::Syntax);
            }
        } else if is(option, "type") {
            none |= !is(value, "string");
        } else {
            return Err(CommandError::Syntax);
        }
        options = rest;
    }
    if !options.is_empty() {
        return Err(CommandError::Syntax);
    }
    let found = if none {
        Reply::Array(Vec::new())
    } else {
        matching(context, pattern)?
    };
    Ok(Reply::Array(vec![super::text("0"), found]))
}

pub(super) fn dbsize(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    let (keys, _) = context.keys.size(context.client.db);
    Ok(count(keys))
}

pub(super) fn flushdb(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    flush_mode(args)?;
    context.keys.flush(context.client.db);
    Ok(ok())
}

pub(super) fn flushall(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    flush_mode(args)?;
    for db in 0..DATABASES {
        context.keys.flush(db);
    }
    Ok(ok())
}

fn flush_mode(args: &[Bytes]) -> Result<(), CommandError> {
    match args {
        [] => Ok(()),
        [mode] if is(mode, "async") || is(mode, "sync") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

fn value(context: &mut Context<'_>, name: &Bytes) -> Reply {
    let key = key(context, name);
    match context.keys.get(context.now, &key) {
        Some(entry) => Reply::Bulk(entry.value.clone()),
        None => Reply::Null,
    }
}

fn matching(context: &Context<'_>, pattern: &[u8]) -> Result<Reply, CommandError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(CommandError::TooLong);
    }
    let names = context.keys.names(context.now, context.client.db);
    let found = names.filter(|name| glob::matches(pattern, name));
    Ok(Reply::Array(found.cloned().map(Reply::Bulk).collect()))
}
