//! The Redis of Django's sessions, where it is another than that of the messages: it is asked for sessions, and
//! whether it lives.
//!
//! Nothing is published there, so its canary flies by PING. Answers come in the order of commands: a nonce that is
//! back says that no GET before it was forgotten.

use super::answers::{self, GivenUp, Heard};
use super::link::{Expected, Link, State};
use crate::config::{Config, Redis as Credentials};
use crate::limits::DJANGO_SESSION_BYTES_MAX;
use crate::peer::{PeerId, RedisOf};
use crate::refusal::{Refusal, Refused};
use crate::tick::Tick;
use crate::wire::resp::{Incoming, Reply};

/// The link, on which nothing else is said.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(super) link: Link,
    /// Answers that may be awaited at once.
    awaited_max: usize,
}

impl Sessions {
    pub(super) fn new(redis: &Credentials, config: &Config, random: fastrand::Rng) -> Sessions {
        Sessions {
            link: Link::new(redis, Vec::new(), DJANGO_SESSION_BYTES_MAX, random),
            // No more handshakes wait than this; those whose clients have left must not add up either.
            awaited_max: config.limits.pending_max,
        }
    }

    pub(super) fn reload(&mut self, config: &Config) {
        self.awaited_max = config.limits.pending_max;
    }

    /// Asks for a session, on behalf of a client.
    pub(super) fn get(&mut self, id: PeerId, key: &[u8]) -> Result<(), Refused> {
        let name = RedisOf::Sessions.name();
        let refused = |why: String| Refused {
            refusal: Refusal::RedisAway,
            why: Some(why),
        };
        let Some(up) = self.link.greeted() else {
            return Err(refused(format!("{name} is away")));
        };
        if up.expected.len() >= self.awaited_max {
            return Err(refused(format!("{name} owes too many answers")));
        }
        up.send(&[b"GET", key], Expected::Session(id));
        Ok(())
    }

    /// What is due.
    pub(super) fn elapsed(&mut self, now: Tick) -> Result<(), GivenUp> {
        if let Some(nonce) = self.link.elapsed(now)?
            && let Some(up) = self.link.greeted()
        {
            up.send(&[b"PING", nonce.as_bytes()], Expected::Ping);
        }
        Ok(())
    }

    /// The next thing that was said, until there is no more.
    pub(super) fn hear(&mut self, now: Tick) -> Result<Option<Heard<'static>>, GivenUp> {
        let Link {
            state: State::Up(up),
            canary,
            ..
        } = &mut self.link
        else {
            return Ok(None);
        };
        let reply = match up.reader.pull() {
            Ok(Some(Incoming::Reply(reply))) => reply,
            // A push answers nothing.
            Ok(Some(_)) => return Ok(Some(Heard::Nothing)),
            Ok(None) => return Ok(None),
            Err(malformed) => return Err(answers::no_resp(malformed)),
        };
        let Some(answered) = up.expected.pop_front() else {
            return Err(answers::unexpected("an answer", None));
        };
        let heard = match (answered, reply) {
            (Expected::Ping, Reply::Bulk(nonce)) => {
                canary.heard(now, &nonce);
                Heard::Nothing
            }
            (Expected::Ping, Reply::Error(error)) => return Err(answers::no_pong(&error)),
            (Expected::Session(id), reply) => answers::session(id, reply),
            (answered, reply) => match answers::greeting(answered, reply)? {
                Heard::Version(said) => {
                    up.version = said;
                    Heard::Nothing
                }
                heard => heard,
            },
        };
        Ok(Some(heard))
    }
}
