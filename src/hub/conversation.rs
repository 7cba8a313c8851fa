//! What an open session says: messages to publish, pings to answer, Close. And what it hears from us unasked:
//! pings and heartbeats.

use bytes::Bytes;

use super::Hub;
use super::fingerprint::{Fingerprint, Fingerprints};
use super::outbox::{Frames, Outbox};
use super::redis::publishes::Publishes;
use super::session::{Due, Open, State};
use crate::close::Close;
use crate::limits::Limits;
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::ws::{self, Event, Partial};

impl Hub {
    /// Bytes came from an open session. They are unmasked in place.
    pub(super) fn client_spoke(&mut self, now: Tick, id: PeerId, bytes: &mut [u8]) {
        let Hub {
            peers,
            frames,
            redis,
            config,
            counts,
            fingerprints,
            heartbeat,
            ..
        } = self;
        let Some(session) = peers.session_mut(id) else {
            return;
        };
        let State::Open(open) = &mut session.state else {
            return;
        };
        let limits = &config.limits;
        open.heard(now, limits);
        let Open {
            partial,
            publish,
            said,
            echo,
            rate,
            ..
        } = open;
        let held_before = held(partial.as_deref());
        let mut ear = Ear {
            now,
            id,
            limits,
            heartbeat: heartbeat.as_deref(),
            fingerprints,
            publish: publish.as_deref().map_or(&[], Vec::as_slice),
            said: (!*echo).then_some(said),
            publishes: &mut redis.publishes,
            frames,
            outbox: &mut session.outbox,
        };
        let mut end = None;
        let read = ws::read(partial, bytes, limits.message_bytes_max, |event| {
            let allowed = match event {
                Event::Text(_) | Event::Binary(_) => rate.message(now, limits),
                Event::Ping(_) | Event::Pong => rate.control(now),
                Event::Close(_) => true,
            };
            let heard = if allowed {
                ear.hear(event)
            } else {
                Err(Close::TooFast)
            };
            end = heard.err();
            end.is_none()
        });
        let held_after = held(partial.as_deref());
        counts.partial_bytes = counts.partial_bytes + held_after - held_before;
        // Only who makes it worse pays for it.
        let over =
            held_after > held_before && counts.partial_bytes > limits.partial_bytes_max() as u64;
        self.mark_dirty(id);
        self.redis.send_publishes();
        match read.err().or(end) {
            Some(close) => self.close(now, id, close),
            None if over => self.close(now, id, Close::Slow),
            None => self.rearm(id),
        }
    }

    /// The deadline of an open session has come.
    pub(super) fn open_due(&mut self, now: Tick, id: PeerId, due: Due) {
        let Due::Send { ping, heartbeat } = due else {
            return;
        };
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        let bytes_max = self.config.limits.queue_bytes_max;
        let mut queued = Ok(());
        if ping {
            queued = queue(&mut self.frames, &mut session.outbox, ws::ping(), bytes_max);
        }
        if heartbeat && let Some(text) = &self.heartbeat {
            let frame = ws::message(text.as_bytes());
            queued = queued.and(queue(
                &mut self.frames,
                &mut session.outbox,
                frame,
                bytes_max,
            ));
        }
        self.mark_dirty(id);
        match queued {
            Ok(()) => self.rearm(id),
            Err(close) => self.close(now, id, close),
        }
    }

    /// Tells the timers of an open session's next deadline.
    pub(super) fn rearm(&mut self, id: PeerId) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        if let State::Open(open) = &session.state {
            self.timers.set(id, &mut session.alarm, open.deadline());
        }
    }
}

/// What is needed to act on what one client says.
struct Ear<'a> {
    now: Tick,
    id: PeerId,
    limits: &'a Limits,
    heartbeat: Option<&'a str>,
    fingerprints: &'a Fingerprints,
    publish: &'a [Bytes],
    /// Where the echo rule notes what it said, if it holds.
    said: Option<&'a mut Option<Fingerprint>>,
    publishes: &'a mut Publishes,
    frames: &'a mut Frames,
    outbox: &'a mut Outbox,
}

impl Ear<'_> {
    fn hear(&mut self, event: Event<'_>) -> Result<(), Close> {
        match event {
            Event::Text(text) => self.message(text.as_bytes()),
            Event::Binary(bytes) => self.message(bytes),
            Event::Ping(payload) => queue(
                self.frames,
                self.outbox,
                ws::pong(payload),
                self.limits.queue_bytes_max,
            ),
            Event::Pong => Ok(()),
            Event::Close(code) => Err(Close::Client(code)),
        }
    }

    /// Empty messages and the heartbeat are swallowed; they are no news to the echo rule either. (In the
    /// original a heartbeat cleared its memory, by accident.)
    fn message(&mut self, message: &[u8]) -> Result<(), Close> {
        if message.is_empty()
            || self
                .heartbeat
                .is_some_and(|beat| beat.as_bytes() == message)
        {
            return Ok(());
        }
        if let Some(said) = &mut self.said {
            **said = Some(self.fingerprints.of(message));
        }
        if self.publish.is_empty() {
            return Ok(());
        }
        let message = Bytes::copy_from_slice(message);
        self.publishes
            .push(self.now, self.limits, self.id, self.publish, &message)
            .map_err(|_| Close::PublishQueueFull)
    }
}

/// Queues a frame for one client, within its bound: a client that never reads could else make us hold a pong for
/// each of its pings.
fn queue(
    frames: &mut Frames,
    outbox: &mut Outbox,
    frame: Bytes,
    bytes_max: usize,
) -> Result<(), Close> {
    let frame = frames.add(frame);
    let pushed = frames.push(outbox, frame, bytes_max);
    frames.release(frame);
    pushed.map_err(|_| Close::Slow)
}

fn held(partial: Option<&Partial>) -> u64 {
    partial.map_or(0, |partial| partial.bytes() as u64)
}
