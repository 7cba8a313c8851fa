//! What all commands that speak to Redis themselves have in common.

use ws4redis::{Config, RedisStore, StoreError};

use super::Failure;

/// A connection, not yet made, to the configured Redis.
pub(super) fn store(config: &Config) -> RedisStore {
    RedisStore::new(&config.redis)
        .prefix(&config.prefix)
        .expire(config.expire)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Failed(error.to_string())
    }
}
