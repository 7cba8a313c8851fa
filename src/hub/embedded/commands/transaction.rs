//! MULTI, EXEC, and the optimistic lock that WATCH is.

use std::mem;

use bytes::Bytes;

use crate::wire::resp::Reply;

use super::super::client::{Queued, Transaction};
use super::super::error::CommandError;
use super::super::outboxes::{OUTBOX_BYTES_MAX, weight};
use super::{Context, error_reply, key, ok};

pub(super) fn multi(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    if context.client.transaction.is_open() {
        return Err(CommandError::NestedMulti);
    }
    context.client.transaction = Transaction::Queued {
        commands: Vec::new(),
        bytes: 0,
    };
    Ok(ok())
}

pub(super) fn exec(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    let commands = match mem::take(&mut context.client.transaction) {
        Transaction::None => return Err(CommandError::ExecWithoutMulti),
        Transaction::Spoiled => {
            end_watches(context);
            return Err(CommandError::ExecAbort);
        }
        Transaction::Queued { commands, .. } => commands,
    };
    let watches = mem::take(&mut context.client.watches);
    if !context
        .keys
        .unwatch_unchanged(context.now, watches.versions)
    {
        return Ok(Reply::NullArray);
    }
    // All commands are done, whatever comes back; but a thousand times KEYS must not be held until then. So there
    // is room kept for an error in the place of each reply, and a reply may take what is left besides.
    let too_large = error_reply(&CommandError::ReplyTooLarge);
    let kept = (commands.len() + 1) * weight(&too_large);
    let mut room = OUTBOX_BYTES_MAX.saturating_sub(kept);
    let mut replies = Vec::with_capacity(commands.len());
    for Queued { run, args } in commands {
        let reply = run(context, &args).unwrap_or_else(|error| error_reply(&error));
        let more = weight(&reply).saturating_sub(weight(&too_large));
        if more > room {
            replies.push(too_large.clone());
        } else {
            room -= more;
            replies.push(reply);
        }
    }
    Ok(Reply::Array(replies))
}

pub(super) fn discard(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    if !context.client.transaction.is_open() {
        return Err(CommandError::DiscardWithoutMulti);
    }
    context.client.transaction = Transaction::None;
    end_watches(context);
    Ok(ok())
}

pub(super) fn watch(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    if context.client.transaction.is_open() {
        return Err(CommandError::WatchInMulti);
    }
    for name in args {
        let key = key(context, name);
        let watches = &mut context.client.watches;
        if !watches.versions.contains_key(&key) {
            watches.add(key, |key| context.keys.watch(context.now, key))?;
        }
    }
    Ok(ok())
}

pub(super) fn unwatch(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    end_watches(context);
    Ok(ok())
}

pub(super) fn end_watches(context: &mut Context<'_>) {
    let watches = mem::take(&mut context.client.watches);
    context.keys.unwatch(watches.versions);
}
