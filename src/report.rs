//! What is worth telling: the hub says what happened, the reactor writes one log line for each, and
//! [`Tally`] counts it. A report never holds a token, a cookie, a query or a message's body.

use std::time::Duration;

use crate::close::Close;
use crate::peer::{From, PeerId, RedisOf};
use crate::refusal::Refusal;

/// One event that an operator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A client got its 101.
    Opened {
        /// The session.
        id: PeerId,
        /// Where it comes from.
        from: From,
        /// What it asked for.
        facility: String,
        /// How many channels it hears.
        channels: usize,
    },
    /// A session ended.
    Closed {
        /// The session.
        id: PeerId,
        /// Why.
        close: Close,
        /// How long it was open.
        lasted: Duration,
    },
    /// A request was refused.
    Refused {
        /// Where it came from.
        from: From,
        /// What it was told.
        refusal: Refusal,
        /// What it was not told.
        why: Option<String>,
    },
    /// A client's session of Django could not be read; it is nobody.
    BadSession {
        /// Where it comes from.
        from: From,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody spoke on the control channel.
    Control(ControlReport),
    /// A client was to have channels that are the gateways' own; it does not get them.
    ReservedChannels {
        /// Where it comes from.
        from: From,
        /// How many.
        count: usize,
    },
    /// A link to Redis changed.
    Link(LinkReport),
    /// A message from Redis was over the limit and skipped.
    Oversize {
        /// Its size in bytes, as announced.
        bytes: u64,
    },
    /// Redis answered a client's publish with an error.
    PublishRefused {
        /// Redis' own words.
        error: String,
    },
    /// Redis refused a GET, for want of rights.
    ReadRefused {
        /// Redis' own words.
        error: String,
    },
    /// Redis refused a SUBSCRIBE, for want of rights.
    SubscribeRefused {
        /// Redis' own words.
        error: String,
    },
    /// Publishes of clients waited too long for Redis and were dropped.
    PublishesExpired {
        /// How many.
        count: usize,
    },
    /// The process's byte budget was reached and slow sessions were closed for it.
    BudgetReached {
        /// How many sessions were closed.
        closed: usize,
    },
    /// The configuration was to be read anew.
    Reload(ReloadReport),
    /// Draining has begun.
    Draining {
        /// Sessions to close.
        sessions: usize,
    },
    /// Draining has ended.
    Drained {
        /// Sessions that were dropped without an orderly close, at the deadline.
        left: usize,
    },
}

/// What became of a link to Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkReport {
    /// Greeted, authenticated, subscribed.
    Ready {
        /// Redis' version, as it says.
        version: String,
        /// Channels subscribed anew.
        channels: usize,
    },
    /// The one of Django's sessions is greeted and authenticated.
    SessionsReady {
        /// Redis' version, as it says.
        version: String,
    },
    /// It ended, or a try to connect failed.
    Down {
        /// Which.
        of: RedisOf,
        /// In one line: what, and what to do.
        why: String,
        /// When the next try is made.
        retry_in: Duration,
    },
}

/// What became of something on the control channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlReport {
    /// It was an order, and is obeyed.
    Obeyed {
        /// Its word.
        action: &'static str,
        /// By what it names those whom it means, such as `user+group`. Never the names: one may be a session key.
        by: String,
        /// How many sessions it met.
        sessions: usize,
        /// How many handshakes.
        handshakes: usize,
    },
    /// It was no order that counts.
    Refused {
        /// Why.
        why: String,
        /// How many there were since the last one that was told, this one included.
        count: u64,
    },
}

/// What became of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadReport {
    /// The configuration was read and taken.
    Taken {
        /// The settings that are different now.
        changed: Vec<&'static str>,
        /// Those that would be, had there been a restart.
        kept: Vec<&'static str>,
    },
    /// It could not be read, or not be taken; the old one stays.
    Refused {
        /// What is wrong with it, and where.
        why: String,
    },
    /// It was not taken: the gateway drains.
    Ignored,
}

/// Everything that is counted. Plain numbers: the hub adds to them, `/metrics` prints them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Sessions open now.
    pub sessions: u64,
    /// Handshakes under way now.
    pub pending: u64,
    /// Connections of clients now: sessions, pending ones and those that are being closed.
    pub clients: u64,
    /// Connections to the admin listener now.
    pub admins: u64,
    /// Channels with a member now.
    pub channels: u64,
    /// Sessions opened since the start.
    pub opened: u64,
    /// Messages that Redis pushed.
    pub messages_in: u64,
    /// Their payload bytes.
    pub messages_in_bytes: u64,
    /// Messages queued to clients: one for each message and member.
    pub deliveries: u64,
    /// Persisted messages sent on connect or after an outage.
    pub snapshots: u64,
    /// Calls that wait for a connection to the application now.
    pub callback_waiting: u64,
    /// Calls that the application has before it now.
    pub callback_calling: u64,
    /// Sessions of Django that could not be read.
    pub bad_sessions: u64,
    /// Orders on the control channel that were obeyed.
    pub orders: u64,
    /// And those that were refused.
    pub orders_refused: u64,
    /// Bytes handed to clients' sockets.
    pub sent_bytes: u64,
    /// Bytes that wait for clients now.
    pub queued_bytes: u64,
    /// Bytes of half-received messages now.
    pub partial_bytes: u64,
    /// Messages from clients that were published.
    pub published: u64,
    /// Publishes that wait for Redis or for its answer now.
    pub publish_queue: u64,
    /// Publishes lost to age or to an error of Redis.
    pub publishes_failed: u64,
    /// Messages of Redis that were over the limit.
    pub oversize: u64,
    /// Endings, in the order of [`Close::ALL`].
    pub closes: [u64; Close::ALL.len()],
    /// Refusals, in the order of [`Refusal::ALL`].
    pub refusals: [u64; Refusal::ALL.len()],
    /// The link to Redis.
    pub link: LinkTally,
    /// The link to the Redis of Django's sessions, if they have one of their own.
    pub sessions_link: Option<LinkTally>,
    /// How often the configuration was read anew and taken.
    pub reloads: u64,
    /// How often it was not, and the old one stayed.
    pub reloads_refused: u64,
    /// When the configuration in use was taken, since 1970.
    pub config_at: Duration,
    /// Sessions of each worker, where there are several.
    pub each: Vec<u64>,
}

/// What is counted of one link.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LinkTally {
    /// Is it ready?
    pub ready: bool,
    /// How often it was lost, or could not be had.
    pub losses: u64,
    /// The last canary's way through Redis and back.
    pub canary_delay: Option<Duration>,
    /// Commands sent.
    pub commands: u64,
}

/// How one worker stands: what the operator asks of all of them together.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Does its loop turn?
    pub alive: bool,
    /// May new clients be sent to it? If not, why.
    pub ready: Result<(), &'static str>,
    /// What it has counted.
    pub tally: Tally,
}

impl Tally {
    /// What several workers have counted, together.
    pub fn sum<'a>(workers: impl IntoIterator<Item = &'a Tally>) -> Tally {
        let mut workers = workers.into_iter();
        let mut sum = workers.next().cloned().unwrap_or_default();
        let mut each = vec![sum.sessions];
        for tally in workers {
            each.push(tally.sessions);
            sum.add(tally);
        }
        if each.len() > 1 {
            sum.each = each;
        }
        sum
    }

    fn add(&mut self, other: &Tally) {
        for (sum, n) in [
            (&mut self.sessions, other.sessions),
            (&mut self.pending, other.pending),
            (&mut self.clients, other.clients),
            (&mut self.admins, other.admins),
            (&mut self.channels, other.channels),
            (&mut self.opened, other.opened),
            (&mut self.messages_in, other.messages_in),
            (&mut self.messages_in_bytes, other.messages_in_bytes),
            (&mut self.deliveries, other.deliveries),
            (&mut self.snapshots, other.snapshots),
            (&mut self.callback_waiting, other.callback_waiting),
            (&mut self.callback_calling, other.callback_calling),
            (&mut self.bad_sessions, other.bad_sessions),
            (&mut self.sent_bytes, other.sent_bytes),
            (&mut self.queued_bytes, other.queued_bytes),
            (&mut self.partial_bytes, other.partial_bytes),
            (&mut self.published, other.published),
            (&mut self.publish_queue, other.publish_queue),
            (&mut self.publishes_failed, other.publishes_failed),
            (&mut self.oversize, other.oversize),
        ] {
            *sum += n;
        }
        let reasons = self.closes.iter_mut().zip(&other.closes);
        for (sum, n) in reasons.chain(self.refusals.iter_mut().zip(&other.refusals)) {
            *sum += n;
        }
        // Every worker hears an order, and is given a configuration: these happened once.
        self.orders = self.orders.max(other.orders);
        self.orders_refused = self.orders_refused.max(other.orders_refused);
        self.reloads = self.reloads.max(other.reloads);
        self.reloads_refused = self.reloads_refused.max(other.reloads_refused);
        // It is in use when the last one has it.
        self.config_at = self.config_at.min(other.config_at);
        self.link = self.link.and(&other.link);
        self.sessions_link = match (&self.sessions_link, &other.sessions_link) {
            (Some(link), Some(other)) => Some(link.and(other)),
            (link, other) => link.or(*other),
        };
    }
}

impl LinkTally {
    /// Two links that are needed both.
    fn and(&self, other: &LinkTally) -> LinkTally {
        LinkTally {
            ready: self.ready && other.ready,
            losses: self.losses + other.losses,
            canary_delay: self.canary_delay.max(other.canary_delay),
            commands: self.commands + other.commands,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_workers_are_told_as_one_gateway() {
        let link = |ready, millis| LinkTally {
            ready,
            losses: 1,
            canary_delay: Some(Duration::from_millis(millis)),
            commands: 10,
        };
        let tally = |sessions, reloads, ready, millis| Tally {
            sessions,
            orders: 4,
            reloads,
            config_at: Duration::from_secs(reloads),
            link: link(ready, millis),
            closes: [1; Close::ALL.len()],
            refusals: [2; Refusal::ALL.len()],
            ..Tally::default()
        };
        let sum = Tally::sum([&tally(3, 2, true, 1), &tally(5, 1, false, 7)]);
        assert_eq!((sum.sessions, &sum.each[..]), (8, &[3, 5][..]));
        assert_eq!((sum.orders, sum.reloads), (4, 2));
        assert_eq!(sum.config_at, Duration::from_secs(1));
        let both = LinkTally {
            losses: 2,
            commands: 20,
            ..link(false, 7)
        };
        assert_eq!(sum.link, both);
        assert!(sum.closes.iter().all(|n| *n == 2) && sum.refusals.iter().all(|n| *n == 4));
        let alone = tally(3, 2, true, 1);
        assert_eq!(Tally::sum([&alone]), alone);
    }
}
