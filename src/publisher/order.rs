//! Orders to all gateways of a Redis: whose sessions are to end.

use std::time::{Duration, SystemTime};

use super::{RedisStore, StoreError};
use crate::channel;
use crate::config::Secret;
use crate::limits::ORDER_BYTES_MAX;
use crate::wire::order::Order;
use crate::wire::resp::{Malformed, Reply};
use crate::wire::signature::SigningKeys;

impl RedisStore {
    /// Publishes an order, signed if there is a `secret`: one of the keys in the gateways' `[control] secret_file`.
    /// Returns how many gateways heard it, each of their workers counted. With 0 nobody did, and whoever was meant is
    /// still connected.
    ///
    /// ```no_run
    /// # use ws4redis::{Order, RedisStore, StoreError, config::{Redis, Secret}};
    /// # fn main() -> Result<(), StoreError> {
    /// # let secret = Secret::new("32 bytes and more from a good source".to_owned());
    /// let mut store = RedisStore::new(&Redis::default());
    /// let gateways = store.order(&Order::disconnect().user("john"), Some(&secret))?;
    /// # Ok(()) }
    /// ```
    pub fn order(&mut self, order: &Order, secret: Option<&Secret>) -> Result<u64, StoreError> {
        if !order.names_somebody() {
            return Err(StoreError::Misuse(
                "an order names a user, a group or a session, and none of them is empty",
            ));
        }
        let channel = channel::control(self.prefix_text());
        let payload = match secret {
            None => order.to_json(),
            Some(secret) => {
                let keys = SigningKeys::new([secret.reveal()], Duration::ZERO).map_err(|_| {
                    StoreError::Misuse("the secret of the control channel needs 32 bytes or more")
                })?;
                order.signed(&channel, &keys, unix())
            }
        };
        // Gateways would hear it, and not obey.
        if payload.len() > ORDER_BYTES_MAX {
            return Err(StoreError::Misuse(
                "an order has 4096 bytes at most, its signature included",
            ));
        }
        match self.call(&[b"PUBLISH", channel.as_bytes(), payload.as_bytes()])? {
            Reply::Integer(gateways) => Ok(u64::try_from(gateways).unwrap_or(0)),
            _ => Err(StoreError::Malformed(Malformed::Syntax(
                "PUBLISH is answered with the number of receivers",
            ))),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a library has no reactor that could tell the time"
)]
fn unix() -> Duration {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    unix.unwrap_or_default()
}
