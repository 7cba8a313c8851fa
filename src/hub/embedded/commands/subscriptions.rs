//! PUBLISH, SUBSCRIBE and their kin.

use bytes::Bytes;

use crate::wire::resp::Reply;

use super::super::error::CommandError;
use super::super::glob;
use super::super::pubsub::{Kind, Message};
use super::keys::PATTERN_BYTES_MAX;
use super::{Context, count, text};

pub(super) fn publish(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let [channel, payload] = args else {
        return Err(CommandError::Syntax);
    };
    let receivers = context.pubsub.receivers(channel);
    if receivers > 0 {
        context.published.push(Message {
            channel: channel.clone(),
            payload: payload.clone(),
        });
    }
    Ok(count(receivers))
}

pub(super) fn subscribe(context: &mut Context<'_>, args: &[Bytes]) -> Result<(), CommandError> {
    for channel in args {
        context
            .pubsub
            .subscribe(Kind::Channel, context.id, channel)?;
        confirm(context, "subscribe", Some(channel));
    }
    Ok(())
}

pub(super) fn psubscribe(context: &mut Context<'_>, args: &[Bytes]) -> Result<(), CommandError> {
    for pattern in args {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(CommandError::TooLong);
        }
        context
            .pubsub
            .subscribe(Kind::Pattern, context.id, pattern)?;
        confirm(context, "psubscribe", Some(pattern));
    }
    Ok(())
}

pub(super) fn unsubscribe(context: &mut Context<'_>, args: &[Bytes]) -> Result<(), CommandError> {
    leave(context, args, Kind::Channel, "unsubscribe");
    Ok(())
}

pub(super) fn punsubscribe(context: &mut Context<'_>, args: &[Bytes]) -> Result<(), CommandError> {
    leave(context, args, Kind::Pattern, "punsubscribe");
    Ok(())
}

/// PUBSUB CHANNELS.
pub(super) fn channels(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let pattern = args.first().map_or(&b"*"[..], |pattern| pattern);
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(CommandError::TooLong);
    }
    let channels = context.pubsub.channels();
    let found = channels.filter(|channel| glob::matches(pattern, channel));
    Ok(Reply::Array(found.cloned().map(Reply::Bulk).collect()))
}

/// PUBSUB NUMSUB.
pub(super) fn numsub(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let pairs = args.iter().flat_map(|channel| {
        let listeners = context.pubsub.listeners(channel);
        [Reply::Bulk(channel.clone()), count(listeners)]
    });
    Ok(Reply::Array(pairs.collect()))
}

/// PUBSUB NUMPAT.
pub(super) fn numpat(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    Ok(count(context.pubsub.patterns()))
}

/// Leaves what is named, or everything of this kind if nothing is.
fn leave(context: &mut Context<'_>, args: &[Bytes], kind: Kind, word: &'static str) {
    let heard = if args.is_empty() {
        context.pubsub.heard_by(kind, context.id)
    } else {
        args.to_vec()
    };
    for name in &heard {
        context.pubsub.unsubscribe(kind, context.id, name);
        confirm(context, word, Some(name));
    }
    // Somebody waits for an answer, even if there was nothing to leave.
    if heard.is_empty() {
        confirm(context, word, None);
    }
}

/// Tells the client that a subscription has changed, and how many it has now.
fn confirm(context: &mut Context<'_>, word: &'static str, name: Option<&Bytes>) {
    let name = name.map_or(Reply::Null, |name| Reply::Bulk(name.clone()));
    let left = count(context.pubsub.count(context.id));
    context.outboxes.push(context.id, &[text(word), name, left]);
}
