//! One client: what it is doing, what it may, and its single deadline.
//!
//! ```text
//! Reading ──head──▶ Identifying ──known──▶ Admitting ──Redis confirms──▶ Open ──▶ Ending ──▶ (dropped)
//!    └──────────────────┴─────────────────────┴── refused, answered ───────────────▲
//! ```
//!
//! `Ending` is one state for all goodbyes: what waits is flushed, our side of the connection is closed, and
//! what the peer still sends is thrown away until it closes its side, or the deadline. Closing both sides at
//! once would let the kernel answer the peer's last bytes with a reset, which can destroy our Close on its way.

use std::time::Duration;

use bytes::Bytes;

use super::channels::ChannelId;
use super::fingerprint::Fingerprint;
use super::identifying::Identifying;
use super::outbox::{FrameId, Frames, Outbox};
use super::redis::snapshots::Value;
use super::timers::Alarm;
use crate::limits::{CONTROL_FRAMES_PER_SECOND_MAX, Limits};
use crate::peer::{Door, From};
use crate::tick::Tick;
use crate::wire::http::Upgrade;
use crate::wire::ws::Partial;

/// How often a client gets the heartbeat. The original promises 4 s; what a fan-out may take is kept in hand.
const HEARTBEAT_PERIOD: Duration = Duration::from_millis(3_700);

/// Pings and heartbeats fall due at multiples of this: those of thousands of clients wake the loop ten times a second
/// and not hundreds.
const STROKE: Duration = Duration::from_millis(100);

/// One connection through the client or the admin door.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) state: State,
    pub(crate) outbox: Outbox,
    pub(crate) alarm: Alarm,
    /// Accepted, or, once open, opened.
    pub(crate) since: Tick,
    pub(crate) from: From,
    pub(crate) door: Door,
    /// It is on the list of those with something to write.
    pub(crate) dirty: bool,
    /// Something was sent to it.
    pub(crate) begun: bool,
}

/// What a session is doing.
#[derive(Debug)]
pub(crate) enum State {
    /// Its request head is arriving.
    Reading { head: Vec<u8> },
    /// It is being found out who it is.
    Identifying(Box<Identifying>),
    /// Redis is asked. Its outbox holds the live messages that wait behind the 101.
    Admitting(Box<Admitting>),
    /// The 101 is sent.
    Open(Open),
    /// It was told goodbye. `half_closed`: and will hear nothing more.
    Ending { half_closed: bool },
}

/// A session between its request and its 101.
#[derive(Debug)]
pub(crate) struct Admitting {
    pub(crate) upgrade: Upgrade,
    pub(crate) facility: String,
    pub(crate) open: Open,
    pub(crate) asks: Vec<SnapshotAsk>,
    /// Answers still awaited.
    pub(crate) awaited: usize,
    /// What the client sent without waiting for the 101.
    pub(crate) early: Vec<u8>,
}

/// What a joining session wants to know of one channel.
#[derive(Debug)]
pub(crate) struct SnapshotAsk {
    pub(crate) channel: ChannelId,
    /// The channel's count of live messages at the join.
    pub(crate) lives: u32,
    pub(crate) value: Option<Value>,
    pub(crate) settled: bool,
}

/// A session after its 101.
#[derive(Debug)]
pub(crate) struct Open {
    /// The part of a frame or message that has come so far.
    pub(crate) partial: Option<Box<Partial>>,
    /// Channels that its messages go to.
    #[expect(
        clippy::box_collection,
        reason = "8 bytes a session instead of 24, and most of them only listen"
    )]
    pub(crate) publish: Option<Box<Vec<Bytes>>>,
    /// The echo rule: what it said last it does not get back.
    pub(crate) said: Option<Fingerprint>,
    /// It asked for its own messages, so what it says is not noted.
    pub(crate) echo: bool,
    pub(crate) rate: Rate,
    /// When what let it in stops to hold.
    pub(crate) expires: Tick,
    next_ping: Tick,
    pong_by: Tick,
    next_beat: Tick,
}

/// What a client sent in the current second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    /// Since the process started. It counts for 136 years.
    second: u32,
    messages: u32,
    controls: u32,
}

/// What became of one delivery.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// It waits in the outbox. `first`: nothing waited before, so the reactor must be told.
    Queued,
    /// Withheld by the echo rule, or the session is on its way out.
    Withheld,
    /// It would pass the bound of what may wait.
    Full,
}

/// What a session's deadline, which has come, means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The request did not become a session in time.
    Handshake,
    /// Send these.
    Send { ping: bool, heartbeat: bool },
    /// A ping was not answered.
    Idle,
    /// Its token, or whatever let it in, has expired.
    Expired,
    /// The peer does not close its side.
    Drop,
    /// It was postponed.
    Nothing,
}

impl Session {
    pub(crate) fn new(now: Tick, from: From, door: Door) -> Session {
        Session {
            state: State::Reading { head: Vec::new() },
            outbox: Outbox::default(),
            alarm: Alarm::default(),
            since: now,
            from,
            door,
            dirty: false,
            begun: false,
        }
    }

    /// Queues a frame of the channel fan-out. `message` is its payload's fingerprint.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        frames: &mut Frames,
        frame: FrameId,
        message: Fingerprint,
        bytes_max: usize,
    ) -> Delivered {
        match &self.state {
            State::Open(open) if open.said == Some(message) => return Delivered::Withheld,
            State::Open(_) | State::Admitting(_) => {}
            State::Reading { .. } | State::Identifying(_) | State::Ending { .. } => {
                return Delivered::Withheld;
            }
        }
        match frames.push(&mut self.outbox, frame, bytes_max) {
            Ok(()) => Delivered::Queued,
            Err(_) => Delivered::Full,
        }
    }

    /// May its outbox be written? While it is being admitted, what waits there waits for the 101.
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(self.state, State::Admitting(_))
    }

    /// Has it sent a whole request head or not, it is not a session yet.
    pub(crate) fn is_pending(&self) -> bool {
        match self.state {
            State::Reading { .. } | State::Identifying(_) | State::Admitting(_) => true,
            State::Open(_) | State::Ending { .. } => false,
        }
    }

    /// What the deadline means at `now`.
    pub(crate) fn due(&mut self, now: Tick, limits: &Limits) -> Due {
        match &mut self.state {
            State::Reading { .. } | State::Identifying(_) | State::Admitting(_) => Due::Handshake,
            State::Ending { .. } => Due::Drop,
            State::Open(open) => open.due(now, limits),
        }
    }
}

impl Open {
    /// `phase` in 0..1 spreads pings and heartbeats of sessions that opened together evenly over the strokes, so
    /// that ten thousand of them cost a steady pulse and not a burst every 30 seconds.
    pub(crate) fn new(now: Tick, limits: &Limits, heartbeat: bool, phase: f64) -> Open {
        let next_beat = if heartbeat {
            (now + HEARTBEAT_PERIOD.mul_f64(phase)).ceil(STROKE)
        } else {
            Tick::NEVER
        };
        Open {
            partial: None,
            publish: None,
            said: None,
            echo: false,
            rate: Rate::default(),
            expires: Tick::NEVER,
            next_ping: (now + limits.ping_interval.mul_f64(phase)).ceil(STROKE),
            pong_by: Tick::NEVER,
            next_beat,
        }
    }

    /// The client lives: it sent something.
    pub(crate) fn heard(&mut self, now: Tick, limits: &Limits) {
        self.pong_by = Tick::NEVER;
        // A client that was just heard needs no ping. The step is not counted from now: all who say hello when they
        // come, as after a restart, would be pinged in one moment for ever after.
        let half = limits.ping_interval / 2;
        if self.next_ping < now + half {
            self.next_ping = (self.next_ping + half).max(now + half).ceil(STROKE);
        }
    }

    pub(crate) fn deadline(&self) -> Tick {
        let Open {
            next_ping,
            pong_by,
            next_beat,
            expires,
            ..
        } = self;
        *next_ping.min(pong_by).min(next_beat).min(expires)
    }

    fn due(&mut self, now: Tick, limits: &Limits) -> Due {
        if self.expires <= now {
            return Due::Expired;
        }
        if self.pong_by <= now {
            return Due::Idle;
        }
        let ping = self.next_ping <= now;
        if ping {
            self.next_ping = again(self.next_ping, now, limits.ping_interval);
            self.pong_by = self.pong_by.min(now + limits.pong_timeout);
        }
        let heartbeat = self.next_beat <= now;
        if heartbeat {
            self.next_beat = again(self.next_beat, now, HEARTBEAT_PERIOD);
        }
        if ping || heartbeat {
            Due::Send { ping, heartbeat }
        } else {
            Due::Nothing
        }
    }
}

/// When that is due again which was due at `due`. It is counted from there and not from now: those who were late
/// together, as behind one fan-out, would be due together ever after, and in a day of fan-outs all would be.
fn again(due: Tick, now: Tick, period: Duration) -> Tick {
    let missed = now.since(due).as_micros() / period.as_micros().max(1);
    let periods = u32::try_from(missed + 1).unwrap_or(u32::MAX);
    (due + period.saturating_mul(periods)).ceil(STROKE)
}

impl Rate {
    /// Counts one message; `false` if it is one too many.
    pub(crate) fn message(&mut self, now: Tick, limits: &Limits) -> bool {
        self.roll(now);
        self.messages += 1;
        self.messages <= limits.messages_per_second_max
    }

    /// Counts one control frame; `false` if it is one too many.
    pub(crate) fn control(&mut self, now: Tick) -> bool {
        self.roll(now);
        self.controls += 1;
        self.controls <= CONTROL_FRAMES_PER_SECOND_MAX
    }

    fn roll(&mut self, now: Tick) {
        let second = now.since(Tick::ZERO).as_secs() as u32;
        if self.second != second {
            *self = Rate {
                second,
                messages: 0,
                controls: 0,
            };
        }
    }
}

impl Admitting {
    /// The channel's persisted message is known.
    pub(crate) fn answered(&mut self, channel: ChannelId, value: Option<&Value>, settled: bool) {
        if let Some(ask) = self.asks.iter_mut().find(|ask| ask.channel == channel) {
            ask.value = value.cloned();
            ask.settled = settled;
            self.awaited = self.awaited.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_record_stays_small() {
        assert!(
            size_of::<Session>() <= 136,
            "{} bytes",
            size_of::<Session>()
        );
    }

    #[test]
    fn short_intervals_are_as_short_as_a_stroke_and_never_lie_behind() {
        let at = |ms| Tick::ZERO + Duration::from_millis(ms);
        for ms in [1, 99, 100, 150, 1_000] {
            let period = Duration::from_millis(ms);
            let strokes = Duration::from_millis(ms.next_multiple_of(100));
            assert_eq!(again(at(500), at(500), period), at(500) + strokes);
            for late in [1, 100, 250, 86_400_000] {
                let next = again(at(500), at(500 + late), period);
                assert!(next > at(500 + late) && next <= at(500 + late) + period + STROKE);
            }
        }
    }

    #[test]
    fn a_heard_client_is_pinged_later_and_keeps_its_phase() {
        let limits = Limits::default();
        let at = |seconds| Tick::ZERO + Duration::from_secs(seconds);
        let mut open = Open::new(at(0), &limits, false, 0.5);
        assert_eq!(open.deadline(), at(15));
        assert_eq!(
            open.due(at(15), &limits),
            Due::Send {
                ping: true,
                heartbeat: false
            }
        );
        assert_eq!(open.deadline(), at(25), "the pong's deadline");
        open.heard(at(16), &limits);
        assert_eq!(
            open.deadline(),
            at(45),
            "the pong does not move the next ping"
        );
        open.heard(at(44), &limits);
        assert_eq!(open.deadline(), at(60));
        assert_eq!(
            open.due(at(60), &limits),
            Due::Send {
                ping: true,
                heartbeat: false
            }
        );
        assert_eq!(open.due(at(70), &limits), Due::Idle);
    }
}
