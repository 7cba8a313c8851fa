//! When keys expire. There is no wall clock here, so all times are spans from now on.

use std::time::Duration;

use bytes::Bytes;

use crate::tick::Tick;
use crate::wire::resp::Reply;

use super::super::error::{CommandError, QUOTED_BYTES_MAX, quoted};
use super::super::keyspace::Entry;
use super::{Context, count, integer, is, key};

/// In what a span is said.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// The end of a span that begins now and is longer than nothing; a fault is that of `command`.
pub(super) fn deadline(
    now: Tick,
    span: &[u8],
    unit: Unit,
    command: &'static str,
) -> Result<Tick, CommandError> {
    match unit.milliseconds(integer(span)?) {
        Some(milliseconds @ 1..) => Ok(now + Duration::from_millis(milliseconds.unsigned_abs())),
        _ => Err(CommandError::ExpireTime(command)),
    }
}

pub(super) fn ttl(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    // Rounded, as in Redis: a key set for 10 s is said to have 10 s, not 9.
    remaining(context, args, |left| (left.as_millis() + 500) / 1_000)
}

pub(super) fn pttl(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    remaining(context, args, |left| left.as_millis())
}

pub(super) fn expire(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    set_expiry(context, args, Unit::Seconds, "expire")
}

pub(super) fn pexpire(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    set_expiry(context, args, Unit::Milliseconds, "pexpire")
}

pub(super) fn persist(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let [name] = args else {
        return Err(CommandError::Syntax);
    };
    let key = key(context, name);
    let expires = context
        .keys
        .get(context.now, &key)
        .and_then(|entry| entry.expires);
    let persisted = expires.is_some() && context.keys.expire(context.now, &key, None);
    Ok(count(persisted.into()))
}

impl Unit {
    /// `span` in milliseconds, unless that is longer than we can count in microseconds (292,000 years).
    fn milliseconds(self, span: i64) -> Option<i64> {
        let milliseconds = match self {
            Unit::Seconds => span.checked_mul(1_000)?,
            Unit::Milliseconds => span,
        };
        milliseconds.checked_mul(1_000).and(Some(milliseconds))
    }
}

/// What stands behind EXPIRE key span.
#[derive(Debug, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    bound: Option<Bound>,
}

/// Compared with the expiry that the key has; one that never expires is later than any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Later,
    Earlier,
}

fn set_expiry(
    context: &mut Context<'_>,
    args: &[Bytes],
    unit: Unit,
    command: &'static str,
) -> Result<Reply, CommandError> {
    let [name, span, options @ ..] = args else {
        return Err(CommandError::Syntax);
    };
    let conditions = Conditions::parse(options)?;
    let milliseconds = unit
        .milliseconds(integer(span)?)
        .ok_or(CommandError::ExpireTime(command))?;
    let span = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    let (now, key) = (context.now, key(context, name));
    let expires = now + span;
    let done = match context.keys.get(now, &key) {
        Some(entry) if conditions.hold(entry, expires) => {
            // Redis removes the key at once where the span is none, and so says TTL of it.
            if span.is_zero() {
                context.keys.remove(now, &key)
            } else {
                context.keys.expire(now, &key, Some(expires))
            }
        }
        _ => false,
    };
    Ok(count(done.into()))
}

impl Conditions {
    fn parse(options: &[Bytes]) -> Result<Conditions, CommandError> {
        let mut conditions = Conditions::default();
        for option in options {
            let bound = if is(option, "nx") {
                conditions.nx = true;
                continue;
            } else if is(option, "xx") {
                conditions.xx = true;
                continue;
            } else if is(option, "gt") {
                Bound::Later
            } else if is(option, "lt") {
                Bound::Earlier
            } else {
                let option = quoted(option, QUOTED_BYTES_MAX);
                return Err(CommandError::ExpireOption(option));
            };
            if conditions.bound.is_some_and(|before| before != bound) {
                return Err(CommandError::ExpireGtWithLt);
            }
            conditions.bound = Some(bound);
        }
        if conditions.nx && (conditions.xx || conditions.bound.is_some()) {
            return Err(CommandError::ExpireNxWithOthers);
        }
        Ok(conditions)
    }

    fn hold(&self, entry: &Entry, expires: Tick) -> bool {
        let before = entry.expires.unwrap_or(Tick::NEVER);
        (!self.nx || entry.expires.is_none())
            && (!self.xx || entry.expires.is_some())
            && self.bound.is_none_or(|bound| match bound {
                Bound::Later => expires > before,
                Bound::Earlier => expires < before,
            })
    }
}

fn remaining(
    context: &mut Context<'_>,
    args: &[Bytes],
    measure: fn(Duration) -> u128,
) -> Result<Reply, CommandError> {
    let [name] = args else {
        return Err(CommandError::Syntax);
    };
    let key = key(context, name);
    let left = match context.keys.get(context.now, &key) {
        None => -2,
        Some(Entry { expires: None, .. }) => -1,
        Some(Entry {
            expires: Some(expires),
            ..
        }) => i64::try_from(measure(expires.since(context.now))).unwrap_or(i64::MAX),
    };
    Ok(Reply::Integer(left))
}
