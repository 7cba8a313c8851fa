//! `ws4redis disconnect`.

use std::io::{Write, stdout};

use ws4redis::channel;
use ws4redis::config::KeyMaterial;
use ws4redis::{Config, Order};

use super::arguments::Disconnect;
use super::{Failure, redis};

/// Publishes the order, and says how many heard it.
pub(super) fn run(arguments: Disconnect, config: &Config) -> Result<(), Failure> {
    let usage = |what: &str| Err(Failure::Usage(what.to_owned()));
    let order = Order {
        user: arguments.user,
        group: arguments.group,
        session: arguments.session,
        ..match arguments.recheck {
            true => Order::recheck(),
            false => Order::disconnect(),
        }
    };
    if !order.names_somebody() {
        return usage(
            "disconnect whom? say --user NAME, --group NAME or --session KEY, and none of them empty",
        );
    }
    if !config.control.is_on() {
        return usage(
            "gateways take no orders: set secret_file in [control] (--control-secret-file, \
             WS4REDIS_CONTROL_SECRET_FILE) for them and for this command, or, where Redis' ACL fences the control \
             channel, --control-unsigned",
        );
    }
    let secret = config.control.secret.as_ref().map(KeyMaterial::lines);
    let secret = secret.as_ref().and_then(|keys| keys.first());
    let gateways = redis::store(config).order(&order, secret)?;
    let channel = channel::control(&config.prefix);
    if gateways == 0 {
        return Err(Failure::Failed(format!(
            "no gateway heard it on {channel}, and whoever was meant is still connected: do `ws4redis serve` and this \
             command have the same Redis and prefix, and [control] set for both?"
        )));
    }
    let heard = match gateways {
        1 => "1 gateway heard it".to_owned(),
        // Each worker has a subscription of its own, and Redis counts those.
        n => format!("{n} gateways or workers heard it"),
    };
    let word = order.action.word();
    writeln!(stdout(), "{word} published to {channel}: {heard}").map_err(Failure::output)
}
