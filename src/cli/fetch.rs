//! `ws4redis fetch`.

use std::io::{Write, stdout};

use ws4redis::{Config, Identity};

use super::arguments::Fetch;
use super::{Failure, redis};

/// Prints the message as it is, with nothing around it, so that it can be piped anywhere.
pub(super) fn run(arguments: Fetch, config: &Config) -> Result<(), Failure> {
    let identity = Identity {
        user: arguments.user,
        groups: arguments.groups,
        session: arguments.session,
    };
    let message = redis::store(config).fetch_message(
        &identity,
        &arguments.facility,
        arguments.audience.audience(),
    )?;
    let Some(message) = message else {
        return Err(Failure::Negative);
    };
    let mut stdout = stdout().lock();
    stdout
        .write_all(&message)
        .and_then(|()| stdout.flush())
        .map_err(Failure::output)
}
