//! `ws4redis publish`.

use std::io::{Read, Write, stdin, stdout};
use std::os::unix::ffi::OsStringExt;

use ws4redis::{Config, RedisMessage, RedisPublisher};

use super::arguments::Publish;
use super::{Failure, redis};

/// Publishes, and says to how many.
pub(super) fn run(arguments: Publish, config: &Config) -> Result<(), Failure> {
    let usage = |what: &str| Err(Failure::Usage(what.to_owned()));
    let named = [&arguments.users, &arguments.groups, &arguments.sessions];
    if !arguments.broadcast && named.iter().all(|names| names.is_empty()) {
        return usage(
            "publish to whom? say --broadcast, --user NAME, --group NAME or --session KEY",
        );
    }
    let bytes_max = config.limits.redis_message_bytes_max;
    let bytes = match arguments.message.as_encoded_bytes() {
        b"-" => read_message(bytes_max)?,
        _ => arguments.message.into_vec(),
    };
    if bytes.is_empty() {
        return usage("the message is empty: no client would get it");
    }
    if bytes.len() > bytes_max {
        return usage(&format!(
            "the message is over redis_message_bytes_max ({bytes_max} bytes): the gateway would skip it"
        ));
    }
    let Some(message) = RedisMessage::new(bytes, config.heartbeat.as_deref()) else {
        return usage("this text is the heartbeat: clients would take it for one");
    };
    let mut publisher = RedisPublisher::new(&arguments.facility)
        .users(arguments.users)
        .groups(arguments.groups)
        .sessions(arguments.sessions);
    if arguments.broadcast {
        publisher = publisher.broadcast();
    }
    let receivers = publisher.publish_message(&mut redis::store(config), &message, None)?;
    // Redis counts connections, and a gateway is one however many clients it has.
    let receivers = match receivers {
        0 => "nobody listens now".to_owned(),
        1 => "1 gateway or other subscriber listens".to_owned(),
        n => format!("{n} gateways or other subscribers listen"),
    };
    let channels = publisher.channels(&config.prefix).join(", ");
    writeln!(stdout(), "published to {channels}: {receivers}").map_err(Failure::output)
}

/// Standard input, at most one byte more than may be: the caller sees that it is too long.
fn read_message(bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut message = Vec::new();
    stdin()
        .lock()
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut message)
        .map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
    Ok(message)
}
