//! What all commands that speak to Redis themselves have in common.

use ws4redis::peer::RedisOf;
use ws4redis::{Config, RedisStore, StoreError};

use super::Failure;

/// A connection, not yet made, to the configured Redis.
pub(super) fn store(config: &Config) -> RedisStore {
    RedisStore::new(&config.redis)
        .prefix(&config.prefix)
        .expire(config.expire)
}

/// What is wrong, and what to do where the library does not say it: it knows no flags.
pub(super) fn blame(error: &StoreError) -> String {
    blame_of(RedisOf::Messages, error)
}

/// The same of either Redis.
pub(super) fn blame_of(of: RedisOf, error: &StoreError) -> String {
    let advice = match error {
        StoreError::Unreachable { .. } => match of {
            RedisOf::Messages => {
                ": is Redis running there? --redis names another, --embedded the one inside `serve --embedded`"
            }
            RedisOf::Sessions => ": is Redis running there? --django-redis names another",
        },
        StoreError::Refused { error } if error.contains("DB index") => {
            ": name another database in the URL"
        }
        StoreError::Refused { error } if error.starts_with("READONLY") => {
            ": this is a replica; name the master in the URL"
        }
        StoreError::Refused { error }
            if error.starts_with("NOPROTO") || error.contains("unknown command") =>
        {
            ": Redis 6 or newer is needed"
        }
        _ => "",
    };
    format!("{error}{advice}")
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Failed(blame(&error))
    }
}
