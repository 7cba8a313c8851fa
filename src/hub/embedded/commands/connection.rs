//! What a client says about itself and its connection.

use bytes::Bytes;

use crate::wire::resp::{Protocol, Reply};

use super::super::client::{Names, Transaction};
use super::super::error::{CommandError, QUOTED_BYTES_MAX, quoted};
use super::super::keyspace::DATABASES;
use super::server::REDIS_VERSION;
use super::transaction::end_watches;
use super::{Context, integer, is, ok, simple, text};

/// Bytes of a name that a client gives itself.
const NAME_BYTES_MAX: usize = 1_024;
/// The only user there is. It has no password, so that any will do, as in Redis.
const USER: &[u8] = b"default";

pub(super) fn ping(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let message = args.first().cloned().map(Reply::Bulk);
    let subscribed = context.pubsub.count(context.id) > 0;
    Ok(match context.outboxes.protocol(context.id) {
        // In the shape of a push, since the client's parser expects nothing else now.
        Protocol::Resp2 if subscribed => {
            Reply::Array(vec![text("pong"), message.unwrap_or(text(""))])
        }
        _ => message.unwrap_or(simple("PONG")),
    })
}

pub(super) fn echo(_: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let [message] = args else {
        return Err(CommandError::Syntax);
    };
    Ok(Reply::Bulk(message.clone()))
}

pub(super) fn auth(_: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    match args {
        [_password] => Err(CommandError::NoPassword),
        [user, _password] => login(user).map(|()| ok()),
        _ => Err(CommandError::Syntax),
    }
}

/// HELLO [version [AUTH user password] [SETNAME name]].
pub(super) fn hello(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    if let Some((version, mut options)) = args.split_first() {
        let protocol = match integer(version) {
            Ok(2) => Protocol::Resp2,
            Ok(3) => Protocol::Resp3,
            Ok(_) => return Err(CommandError::Protocol),
            Err(_) => return Err(CommandError::ProtocolNotAnInteger),
        };
        let mut name = None;
        while let Some((option, rest)) = options.split_first() {
            options = match rest {
                [user, _password, rest @ ..] if is(option, "auth") => {
                    login(user)?;
                    rest
                }
                [wanted, rest @ ..] if is(option, "setname") => {
                    name = Some(self::name(wanted, "Client names")?);
                    rest
                }
                _ => {
                    let option = quoted(option, QUOTED_BYTES_MAX);
                    return Err(CommandError::HelloOption(option));
                }
            };
        }
        if let Some(name) = name {
            context.client.names.client = name;
        }
        context.outboxes.speak(context.id, protocol);
    }
    Ok(greeting(context))
}

pub(super) fn select(context: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    let [db] = args else {
        return Err(CommandError::Syntax);
    };
    context.client.db = u8::try_from(integer(db)?)
        .ok()
        .filter(|db| *db < DATABASES)
        .ok_or(CommandError::DbIndex)?;
    Ok(ok())
}

pub(super) fn quit(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    context.outboxes.leave(context.id);
    Ok(ok())
}

/// RESET: as if just connected.
pub(super) fn reset(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    end_watches(context);
    context.client.transaction = Transaction::None;
    context.client.names = Names::default();
    context.client.db = 0;
    context.pubsub.forget(context.id);
    context.outboxes.speak(context.id, Protocol::Resp2);
    Ok(simple("RESET"))
}

pub(super) fn client_id(context: &mut Context<'_>, _: &[Bytes]) -> Result<Reply, CommandError> {
    Ok(number(context))
}

pub(super) fn client_getname(
    context: &mut Context<'_>,
    _: &[Bytes],
) -> Result<Reply, CommandError> {
    let name = &context.client.names.client;
    Ok(if name.is_empty() {
        Reply::Null
    } else {
        Reply::Bulk(name.clone())
    })
}

pub(super) fn client_setname(
    context: &mut Context<'_>,
    args: &[Bytes],
) -> Result<Reply, CommandError> {
    let [wanted] = args else {
        return Err(CommandError::Syntax);
    };
    context.client.names.client = name(wanted, "Client names")?;
    Ok(ok())
}

/// CLIENT SETINFO LIB-NAME|LIB-VER text: client libraries say it on connecting.
pub(super) fn client_setinfo(
    context: &mut Context<'_>,
    args: &[Bytes],
) -> Result<Reply, CommandError> {
    let [attribute, wanted] = args else {
        return Err(CommandError::Syntax);
    };
    if is(attribute, "lib-name") {
        context.client.names.lib_name = name(wanted, "lib-name")?;
    } else if is(attribute, "lib-ver") {
        context.client.names.lib_version = name(wanted, "lib-ver")?;
    } else {
        let attribute = quoted(attribute, QUOTED_BYTES_MAX);
        return Err(CommandError::ClientOption(attribute));
    }
    Ok(ok())
}

/// CLIENT NO-EVICT and NO-TOUCH ON|OFF: nothing here evicts, and nothing here is touched.
pub(super) fn client_switch(_: &mut Context<'_>, args: &[Bytes]) -> Result<Reply, CommandError> {
    match args {
        [switch] if is(switch, "on") || is(switch, "off") => Ok(ok()),
        _ => Err(CommandError::Syntax),
    }
}

fn login(user: &[u8]) -> Result<(), CommandError> {
    if user == USER {
        Ok(())
    } else {
        Err(CommandError::WrongPassword)
    }
}

fn name(wanted: &Bytes, what: &'static str) -> Result<Bytes, CommandError> {
    if wanted.len() > NAME_BYTES_MAX {
        return Err(CommandError::TooLong);
    }
    // CLIENT LIST puts it between blanks, one client a line.
    if !wanted.iter().all(u8::is_ascii_graphic) {
        return Err(CommandError::Name(what));
    }
    Ok(wanted.clone())
}

fn greeting(context: &Context<'_>) -> Reply {
    let protocol = match context.outboxes.protocol(context.id) {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    };
    Reply::Map(vec![
        (text("server"), text("redis")),
        (text("version"), text(REDIS_VERSION)),
        (text("proto"), Reply::Integer(protocol)),
        (text("id"), number(context)),
        (text("mode"), text("standalone")),
        (text("role"), text("master")),
        (text("modules"), Reply::Array(Vec::new())),
    ])
}

fn number(context: &Context<'_>) -> Reply {
    Reply::Integer(i64::try_from(context.client.number).unwrap_or(i64::MAX))
}
