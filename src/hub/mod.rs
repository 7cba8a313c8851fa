//! The middle floor: values into decisions.
//!
//! Laws of this floor: no sockets, no clock, no randomness but a seed, no logging. **Facts** go in, each with the
//! time at which it happened; **wishes** come out, pulled by the caller until there are none. So the whole
//! gateway runs in a test without a socket, and a run can be replayed from its seed.
//!
//! [`Hub`] is a switchboard: it hands each fact to the room whose rules it concerns and has none of its own. The
//! rooms: `admission` (request to 101), `conversation` (what clients say), `delivery` (what Redis says),
//! `ending` (goodbyes), `control` (orders), `drain`, `reload`, `admin`; and the memories they share: `peers`,
//! `channels`, `outbox`, `timers`, `roster`, `redis`.

pub mod access;
mod addresses;
mod admin;
mod admission;
mod asking;
mod backend;
mod channels;
mod check;
mod control;
mod conversation;
mod delivery;
mod drain;
pub mod embedded;
mod ending;
mod fingerprint;
mod identifying;
mod outage;
mod outbox;
mod pace;
mod page;
mod peers;
mod redis;
mod reload;
mod roster;
mod seldom;
mod session;
mod timers;
mod writing;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use self::access::subscriber::Subscriber;
use self::access::{Access, AccessError};
use self::addresses::Addresses;
use self::asking::Application;
use self::channels::Channels;
use self::control::Control;
use self::drain::Drain;
use self::embedded::Embedded;
use self::fingerprint::Fingerprints;
pub use self::outbox::Cork;
use self::outbox::Frames;
use self::peers::{Peer, Peers};
use self::redis::Redis;
use self::seldom::SeldomTold;
use self::session::{Due, Session, State};
use self::timers::Timers;
use crate::close::Close;
use crate::config::Config;
use crate::limits::ADMIN_CONNECTIONS_MAX;
use crate::peer::{Door, From, PeerId, RedisOf};
use crate::refusal::Refusal;
use crate::report::{Report, Standing, Tally};
use crate::tick::Tick;
use crate::wire::http;

/// How late sessions' deadlines may be for the sake of a fan-out.
const SESSIONS_LATE_MAX: Duration = Duration::from_millis(200);

/// The gateway without its sockets.
///
/// Facts: [`accepted`](Hub::accepted), [`connected`](Hub::connected), [`received`](Hub::received),
/// [`sent`](Hub::sent), [`lost`](Hub::lost), [`elapsed`](Hub::elapsed), [`dated`](Hub::dated), [`drain`](Hub::drain),
/// [`reload`](Hub::reload), [`others`](Hub::others). After facts, empty the wishes in this order, each until it says
/// `None`: [`next_action`](Hub::next_action), [`next_write`](Hub::next_write) (with [`pending`](Hub::pending)),
/// [`next_report`](Hub::next_report); then sleep until [`deadline`](Hub::deadline). Time never goes backwards.
pub struct Hub {
    config: Config,
    access: Access,
    /// The time since 1970 at [`Tick::ZERO`].
    unix: Duration,
    subscriber: Box<dyn Subscriber>,
    peers: Peers,
    channels: Channels,
    redis: Redis,
    embedded: Option<Embedded>,
    application: Option<Application>,
    frames: Frames,
    timers: Timers,
    addresses: Addresses,
    fingerprints: Fingerprints,
    random: fastrand::Rng,
    /// The playground, as a whole answer, if it is on.
    page: Option<Bytes>,
    heartbeat: Option<String>,
    control: Control,
    drain: Option<Drain>,
    seldom: SeldomTold,
    counts: Tally,
    /// How the other workers of this gateway stand, for the operator.
    others: Vec<Standing>,
    /// Sessions that are open or will be, if Redis answers.
    admitted: usize,
    dirty: VecDeque<PeerId>,
    actions: VecDeque<Action>,
    reports: VecDeque<Report>,
}

/// What the reactor is to do with a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Connect, as this peer; say [`Hub::connected`] or [`Hub::lost`].
    Connect(PeerId, To),
    /// Close our side of the connection; what the peer still sends is to be received.
    HalfClose(PeerId),
    /// Close the connection and forget it.
    Drop(PeerId),
}

/// Whom to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// A Redis.
    Redis(RedisOf),
    /// The application of [`Source::Callback`](crate::config::Source::Callback).
    Application,
}

/// How a connection was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The peer closed its side.
    Ended,
    /// It could not be made, or it broke; the system's words.
    Failed(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Ended => f.write_str("the other side closed the connection"),
            Lost::Failed(why) => f.write_str(why),
        }
    }
}

impl Hub {
    /// A gateway with nobody connected. `seed` is all the chance there will be: equal seeds and facts make equal
    /// wishes. `unix` is the time since 1970 at [`Tick::ZERO`], for what others have dated.
    pub fn new(
        config: Config,
        subscriber: Box<dyn Subscriber>,
        seed: u64,
        unix: Duration,
    ) -> Result<Hub, AccessError> {
        let mut random = fastrand::Rng::with_seed(seed);
        Ok(Hub {
            access: Access::new(&config)?,
            unix,
            subscriber,
            peers: Peers::default(),
            channels: Channels::new(random.u64(..)),
            redis: Redis::new(&config, random.fork()),
            embedded: config.embedded.is_some().then(Embedded::new),
            application: Application::new(&config),
            frames: Frames::default(),
            timers: Timers::default(),
            addresses: Addresses::default(),
            fingerprints: Fingerprints::new(random.u64(..)),
            control: Control::new(&config.control, &mut random),
            random,
            page: config.playground.then(|| page::render(&config)),
            heartbeat: config.heartbeat.clone(),
            drain: None,
            seldom: SeldomTold::default(),
            counts: Tally {
                config_at: unix,
                ..Tally::default()
            },
            others: Vec::new(),
            admitted: 0,
            dirty: VecDeque::new(),
            actions: VecDeque::new(),
            reports: VecDeque::new(),
            config,
        })
    }

    /// Somebody connected. If there is no room, what to say before closing the connection.
    pub fn accepted(&mut self, now: Tick, door: Door, from: From) -> Result<PeerId, Bytes> {
        let limits = &self.config.limits;
        let full = match door {
            Door::Client => {
                self.counts.pending >= limits.pending_max as u64
                    || self.counts.clients >= (limits.sessions_max + limits.pending_max) as u64
            }
            Door::Admin => self.counts.admins >= ADMIN_CONNECTIONS_MAX as u64,
            Door::Embedded => return self.backend_accepted(),
        };
        if full {
            return Err(self.full(from));
        }
        let due = now + limits.handshake_timeout;
        let id = self
            .peers
            .insert(Peer::Session(Session::new(now, from, door)));
        if let Some(session) = self.peers.session_mut(id) {
            self.timers.set(id, &mut session.alarm, due);
        }
        match door {
            Door::Admin => self.counts.admins += 1,
            Door::Client | Door::Embedded => {
                self.counts.clients += 1;
                self.counts.pending += 1;
            }
        }
        Ok(id)
    }

    /// The system's clock says that it is `unix` since 1970. To be said now and then: a machine may start with a wrong
    /// time until it hears of the right one, or sleep, and what others have dated would never fit again.
    pub fn dated(&mut self, now: Tick, unix: Duration) {
        self.unix = unix.saturating_sub(now.since(Tick::ZERO));
    }

    /// The connection asked for by [`Action::Connect`] stands.
    pub fn connected(&mut self, now: Tick, id: PeerId) {
        match self.peers.get(id) {
            Some(Peer::Link(of)) => {
                if let Some(link) = self.redis.link_mut(*of) {
                    link.connected(now);
                }
            }
            Some(Peer::Application) => self.application_connected(now, id),
            _ => {}
        }
    }

    /// Bytes came. Those of a client are unmasked in place.
    pub fn received(&mut self, now: Tick, id: PeerId, bytes: &mut [u8]) {
        match self.peers.get(id) {
            None => {}
            Some(Peer::Link(of)) => self.redis_spoke(now, *of, bytes),
            Some(Peer::Application) => self.application_spoke(now, id, bytes),
            Some(Peer::Backend) => {
                if let Some(embedded) = &mut self.embedded {
                    embedded.received(now, id, bytes);
                }
            }
            Some(Peer::Session(session)) => match session.state {
                State::Reading { .. } => self.read_head(now, id, bytes),
                State::Identifying(_) | State::Admitting(_) => self.read_early(now, id, bytes),
                State::Open(_) => self.client_spoke(now, id, bytes),
                State::Ending { .. } => {}
            },
        }
    }

    /// A connection is gone, or could not be made.
    pub fn lost(&mut self, now: Tick, id: PeerId, lost: Lost) {
        self.peer_lost(now, id, lost);
    }

    /// Time has passed: does whatever is due.
    pub fn elapsed(&mut self, now: Tick) {
        self.links_elapsed(now);
        self.application_elapsed(now);
        self.look_again(now);
        self.expire_publishes(now);
        if let Some(embedded) = &mut self.embedded {
            embedded.elapsed(now);
        }
        if self.has_time_for_sessions(now) {
            while let Some(id) = self.timers.pop(now, &mut self.peers, |peers, id| {
                peers.session_mut(id).map(|session| &mut session.alarm)
            }) {
                self.session_due(now, id);
            }
        }
        self.control_elapsed(now);
        self.drain_elapsed(now);
        self.frames.shrink();
    }

    /// Deadlines of sessions wait for the end of a fan-out: strewn over one, a few hundred pings a second make each of
    /// 150,000 deliveries dearer, far beyond what they take themselves (`--ping-every` of benches/floor.rs shows it).
    fn has_time_for_sessions(&self, now: Tick) -> bool {
        let overdue = |due: Tick| due + SESSIONS_LATE_MAX <= now;
        self.dirty.is_empty() || self.timers.deadline().is_some_and(overdue)
    }

    /// What to do with a socket next.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What is worth telling next.
    pub fn next_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// When [`Hub::elapsed`] must be called next, if nothing else happens.
    pub fn deadline(&self) -> Option<Tick> {
        let embedded = self.embedded.as_ref().and_then(Embedded::deadline);
        let drain = self.drain.as_ref().and_then(Drain::deadline);
        let application = self.application.as_ref();
        let application = application.and_then(|application| application.calls.deadline());
        [
            application,
            self.timers.deadline(),
            self.redis.deadline(),
            self.control.deadline(),
            embedded,
            drain,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What to say to somebody who cannot even be accepted.
    pub fn full(&mut self, from: From) -> Bytes {
        self.counts.refusals[Refusal::Full.index()] += 1;
        self.reports.push_back(Report::Refused {
            from,
            refusal: Refusal::Full,
            why: None,
        });
        http::refusal(Refusal::Full)
    }

    /// The time since 1970.
    fn unix_at(&self, now: Tick) -> Duration {
        self.unix + now.since(Tick::ZERO)
    }

    fn session_due(&mut self, now: Tick, id: PeerId) {
        let Some(session) = self.peers.session_mut(id) else {
            return;
        };
        match session.due(now, &self.config.limits) {
            Due::Handshake => self.handshake_due(now, id),
            Due::Idle => self.close(now, id, Close::Idle),
            Due::Expired => self.close(now, id, Close::Expired),
            Due::Drop => self.drop_peer(id),
            Due::Nothing => self.rearm(id),
            due @ Due::Send { .. } => self.open_due(now, id, due),
        }
    }
}
