//! What the operator asks on the admin listener: `/healthz`, `/readyz`, `/metrics`.

use bytes::Bytes;

use super::Hub;
use super::redis::link::Link;
use crate::metrics;
use crate::peer::RedisOf;
use crate::refusal::Refusal;
use crate::report::Tally;
use crate::wire::http::{self, Head};

const TEXT: &str = "text/plain; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Hub {
    /// May new clients be sent here? If not, why.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.drain.is_some() {
            Err("draining")
        } else if !self.redis.link.is_proven() {
            Err("no proven link to Redis")
        } else if self.sessions_link().is_some_and(|link| !link.is_proven()) {
            Err("no proven link to the Redis of Django's sessions")
        } else {
            Ok(())
        }
    }

    /// The link to the Redis of Django's sessions. One that no source needs any more since a reload is nobody's loss.
    pub(super) fn sessions_link(&self) -> Option<&Link> {
        self.config.sessions_redis()?;
        self.redis.link_of(RedisOf::Sessions)
    }

    /// Everything that is counted, as of now.
    pub fn tally(&self) -> Tally {
        let calls = self
            .application
            .as_ref()
            .map(|application| &application.calls);
        Tally {
            channels: self.channels.len() as u64,
            queued_bytes: self.frames.bytes() as u64,
            publish_queue: self.redis.publishes.len() as u64,
            link: self.redis.link.tally(),
            sessions_link: self.sessions_link().map(Link::tally),
            callback_waiting: calls.map_or(0, |calls| calls.waiting() as u64),
            callback_calling: calls.map_or(0, |calls| calls.calling() as u64),
            ..self.counts.clone()
        }
    }
}

/// The answer. `ready` says why not, in a word or two.
pub(crate) fn answer(
    head: &Head<'_>,
    ready: Result<(), &'static str>,
    tally: &Tally,
) -> Result<Bytes, Refusal> {
    if head.method != "GET" {
        return Err(Refusal::Method);
    }
    match (head.split_target().0, ready) {
        // The loop turns, or this would not be read.
        ("/healthz", _) => Ok(http::response((200, "OK"), TEXT, &[], b"alive\n")),
        ("/readyz", Ok(())) => Ok(http::response((200, "OK"), TEXT, &[], b"ready\n")),
        ("/readyz", Err(why)) => {
            let body = format!("not ready: {why}\n");
            Ok(http::response(
                (503, "Service Unavailable"),
                TEXT,
                &[],
                body.as_bytes(),
            ))
        }
        ("/metrics", _) => Ok(http::response(
            (200, "OK"),
            OPENMETRICS,
            &[],
            metrics::text(tally).as_bytes(),
        )),
        _ => Err(Refusal::NotFound),
    }
}
