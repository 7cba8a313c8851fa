//! What the operator asks on the admin listener: `/healthz`, `/readyz`, `/metrics`.

use bytes::Bytes;

use super::Hub;
use super::redis::link::Link;
use crate::metrics;
use crate::peer::RedisOf;
use crate::refusal::Refusal;
use crate::report::{Standing, Tally};
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

    /// How this worker stands.
    pub fn standing(&self) -> Standing {
        Standing {
            alive: true,
            ready: self.ready(),
            tally: self.tally(),
        }
    }

    /// Does the operator want to know something?
    pub fn is_asked(&self) -> bool {
        self.counts.admins > 0
    }

    /// How the gateway's other workers stand. To be said before [`Hub::received`] while the hub [is
    /// asked](Hub::is_asked), if there are any.
    pub fn others(&mut self, others: Vec<Standing>) {
        self.others = others;
    }

    /// The answer to the operator, of whom nobody but the first worker hears.
    pub(super) fn answer_operator(&self, head: &Head<'_>) -> Result<Bytes, Refusal> {
        let own = self.standing();
        let all = || [&own].into_iter().chain(&self.others);
        let standing = Standing {
            alive: all().all(|worker| worker.alive),
            ready: all().try_for_each(|worker| worker.ready),
            tally: Tally::sum(all().map(|worker| &worker.tally)),
        };
        answer(head, &standing)
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

fn answer(head: &Head<'_>, standing: &Standing) -> Result<Bytes, Refusal> {
    if head.method != "GET" {
        return Err(Refusal::Method);
    }
    let text = |status, body: &str| Ok(http::response(status, TEXT, &[], body.as_bytes()));
    let unavailable = (503, "Service Unavailable");
    match (head.split_target().0, standing.ready) {
        // Our own loop turns, or this would not be read.
        ("/healthz", _) if standing.alive => text((200, "OK"), "alive\n"),
        ("/healthz", _) => text(unavailable, "a worker's loop does not turn\n"),
        ("/readyz", Ok(())) => text((200, "OK"), "ready\n"),
        ("/readyz", Err(why)) => text(unavailable, &format!("not ready: {why}\n")),
        ("/metrics", _) => Ok(http::response(
            (200, "OK"),
            OPENMETRICS,
            &[],
            metrics::text(&standing.tally).as_bytes(),
        )),
        _ => Err(Refusal::NotFound),
    }
}
