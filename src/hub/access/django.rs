//! Who is it: the session that Django keeps for this cookie.

use std::time::Duration;

use super::testimony::Testimony;
use crate::channel::Identity;
use crate::config::{self, DjangoEngine, UsernameFallback};
use crate::wire::django::{self, Bad, Secrets};

/// How a site's sessions are found and read.
#[derive(Debug)]
pub struct DjangoSessions {
    engine: DjangoEngine,
    key_prefix: String,
    version: u32,
    secrets: Option<Secrets>,
    max_age: Duration,
    username_fallback: UsernameFallback,
}

impl DjangoSessions {
    /// As the site's settings say.
    pub fn new(config: &config::Django) -> DjangoSessions {
        let keys = config.secret_key.as_ref().map(|keys| keys.lines());
        let mut keys = keys.iter().flatten().map(|key| key.reveal().as_bytes());
        DjangoSessions {
            engine: config.engine,
            key_prefix: config.key_prefix.clone(),
            version: config.version,
            secrets: keys.next().and_then(|key| Secrets::new(key, keys)),
            max_age: config.max_age,
            username_fallback: config.username_fallback,
        }
    }

    /// Is the session in the cookie itself?
    pub(crate) fn is_in_cookie(&self) -> bool {
        !self.engine.is_in_redis()
    }

    /// Where the session is that a client says it has; `None` if it cannot have it.
    pub fn redis_key(&self, session_key: &str) -> Option<String> {
        django::redis_key(self.engine, &self.key_prefix, self.version, session_key)
    }

    /// What a stored session says. `session_key` is the one by which it was found; a session in a cookie has none
    /// that stays.
    pub(crate) fn read(
        &self,
        session_key: Option<String>,
        raw: &[u8],
        unix: Duration,
    ) -> Result<Testimony, Bad> {
        // Redis forgets by itself, and the application may have prolonged what it signed long ago.
        let max_age = self.is_in_cookie().then_some(self.max_age);
        let session = django::decode(self.engine, raw, self.secrets.as_ref(), unix, max_age)?;
        let id = match self.username_fallback {
            UsernameFallback::Id => session.user_id,
            UsernameFallback::None => None,
        };
        let identity = Identity {
            user: session.username.or(id),
            groups: session.groups,
            session: session_key,
        };
        Ok(identity.into())
    }
}
