//! Every bound, its reason, and what they cost together in the worst case.
//!
//! A gateway is judged by what its worst clients can do to the others. So everything that a peer can make
//! grow has a number here, the number is checked *before* anything is added, and [`Limits::memory`] says what all
//! of them may come to. Sizes are bytes, times are `Duration`s.

use std::time::Duration;

/// Fields of one request head; a browser sends about 20.
pub const HEAD_FIELDS_MAX: usize = 64;
/// Bytes of a facility's name, as in `docs/protocol.md`.
pub const FACILITY_BYTES_MAX: usize = 255;
/// Addresses whose handshakes of the current second are counted.
pub const ADDRESSES_MAX: usize = 16_384;
/// Bytes of a JSON Web Token, before anything of it is read. It came in a head, which has about that many.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Names in one list of a token: its groups, its flags, its channels.
pub const CLAIM_NAMES_MAX: usize = 256;
/// Bytes of an order on the control channel: a name of each kind, each longer than any that a site gives, and a
/// signature.
pub const ORDER_BYTES_MAX: usize = 4 << 10;
/// Orders that are remembered for the sake of handshakes that were judged before them. Past it the handshakes that are
/// older than those remembered are refused: they come again.
pub const ORDERS_KEPT_MAX: usize = 16_384;
/// Control frames a second from one client (a flood of pings is an attack: each costs us a pong).
pub const CONTROL_FRAMES_PER_SECOND_MAX: u32 = 50;
/// Connections to the admin listener: a scraper, a prober or two and a person.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Connections to the embedded Redis.
pub const EMBEDDED_CONNECTIONS_MAX: usize = 1_000;
/// Bytes of one command to the embedded Redis, and what waits for one slow subscriber of it.
pub const EMBEDDED_COMMAND_BYTES_MAX: usize = 32 << 20;
/// Bytes of all keys and values in the embedded Redis.
pub const EMBEDDED_MEMORY_BYTES_MAX: usize = 64 << 20;
/// Channels and patterns that one connection to the embedded Redis may hear. The gateway's own link hears those
/// of all its sessions through one.
pub const EMBEDDED_SUBSCRIPTIONS_MAX: usize = 1 << 20;
/// Bytes of all subscriptions in the embedded Redis, names and places in the tables.
pub const EMBEDDED_SUBSCRIPTION_BYTES_MAX: usize = 128 << 20;
/// Commands that one connection to the embedded Redis may queue in MULTI, and keys that it may WATCH.
pub const EMBEDDED_QUEUED_MAX: usize = 100_000;
/// Bytes that all connections to the embedded Redis together may have sent without making a command of them
/// (or queued in MULTI), and bytes that may wait to be sent to all of them: each.
pub const EMBEDDED_BUFFERS_BYTES_MAX: usize = 128 << 20;
/// How deep a reply of Redis may nest. `HELLO` nests to 4; redis-protocol recurses without a bound.
pub const REPLY_DEPTH_MAX: usize = 8;
/// Elements of one reply, all depths together.
pub const REPLY_ELEMENTS_MAX: usize = 4_096;
/// Bytes of a Django session, stored and inflated. Every request of the site reads it, so it is a few hundred in
/// practice. While it is read it may take fifty times this: a list of one-digit numbers does.
pub const DJANGO_SESSION_BYTES_MAX: usize = 256 << 10;
/// Groups of one client, whichever source names them; directories have users in some hundreds.
pub const GROUPS_MAX: usize = 1_024;
/// Bytes of a user's or a group's name in a Django session; Django allows 150 characters.
pub const DJANGO_NAME_BYTES_MAX: usize = 1_024;
/// Bytes of the head of an answer of the application; frameworks send some hundreds, and a session's cookie.
pub const ANSWER_HEAD_BYTES_MAX: usize = 8 << 10;
/// What a fully used session record, its socket and its places in the tables take (measured: see
/// `docs/operations.md`), for the sum of [`Limits::memory`].
pub const SESSION_BYTES: usize = 512;
/// What a channel with one member takes, its name included.
pub const CHANNEL_BYTES: usize = 512;
/// What a publish that waits takes besides its message: the names of its channels.
pub const PUBLISH_BYTES: usize = 512;
/// What it takes to remember who a session is, for orders: eight bytes for each name.
pub const IDENTITY_BYTES: usize = 64 + 8 * GROUPS_MAX;
/// What the process takes before anybody connects: code, stack, the loop's scratch and cork buffers.
pub const PROCESS_BYTES: usize = 16 << 20;
/// What a further worker takes of that: a stack, as far as it is used, scratch and cork buffers, an allocator's arena.
pub const WORKER_BYTES: usize = 2 << 20;
/// Descriptors that are not sessions: listeners, Redis, epoll, logs, names being looked up, admin connections.
pub const OTHER_DESCRIPTORS: u64 = 256;
/// Of those, what no client gets, whatever is not accounted for: each worker's way to Redis and to a name server, its
/// event loop, and the operator's.
pub const RESERVED_DESCRIPTORS: u64 = 16;

/// The bounds that an operator may set. Field names are the keys of the `[limits]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once, pending handshakes included. Each takes a descriptor.
    pub sessions_max: usize,
    /// Handshakes under way at once: requests not yet answered.
    pub pending_max: usize,
    /// Sessions from one address; 0 is no limit. Trusted peers (proxies) are not counted.
    pub sessions_per_address_max: usize,
    /// Handshakes in a second from one address; 0 is no limit. Trusted peers (proxies) are not counted.
    pub handshakes_per_second_per_address_max: u32,
    /// Channels that one session may hear and speak to, together.
    pub channels_per_session_max: usize,
    /// Bytes of a request head. A browser's, with a fat cookie, is under 4 KiB.
    pub head_bytes_max: usize,
    /// Bytes of a message from a client, fragments summed.
    pub message_bytes_max: usize,
    /// Messages a second from one client.
    pub messages_per_second_max: u32,
    /// Bytes that may wait for one client behind the message that is being sent, which may have any size.
    pub queue_bytes_max: usize,
    /// Bytes that may wait for all clients together, and be half-received from them.
    pub budget_bytes_max: usize,
    /// Bytes of one message from Redis; a larger one is skipped and counted.
    pub redis_message_bytes_max: usize,
    /// Client publishes waiting for Redis or for its answer.
    pub publish_queue_max: usize,
    /// Their bytes.
    pub publish_queue_bytes_max: usize,
    /// Their age.
    pub publish_queue_age_max: Duration,
    /// From accept to 101, absolute: bytes that trickle in do not extend it.
    pub handshake_timeout: Duration,
    /// Between a ping and the next one, when nothing else is heard from the client.
    pub ping_interval: Duration,
    /// From a ping until something must be heard.
    pub pong_timeout: Duration,
    /// From our Close frame until the client's.
    pub close_timeout: Duration,
    /// Sessions closed a second while draining.
    pub drain_per_second: u32,
    /// From SIGTERM to exit; the pace rises if it would take longer.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            sessions_max: 19_000,
            pending_max: 4_096,
            sessions_per_address_max: 0,
            handshakes_per_second_per_address_max: 0,
            channels_per_session_max: 128,
            head_bytes_max: 8 << 10,
            message_bytes_max: 64 << 10,
            messages_per_second_max: 1_000,
            queue_bytes_max: 1 << 20,
            budget_bytes_max: 256 << 20,
            redis_message_bytes_max: 16 << 20,
            publish_queue_max: 10_000,
            publish_queue_bytes_max: 16 << 20,
            publish_queue_age_max: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            drain_per_second: 1_000,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// A value that does not go with the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {must}")]
pub struct Unfit {
    /// The key of the value.
    pub key: &'static str,
    /// What it must be, as the end of a sentence.
    pub must: String,
}

/// One term of the worst case in memory: so many of something, of so many bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What takes it.
    pub what: &'static str,
    /// How many of it.
    pub count: usize,
    /// How large each may be.
    pub each: usize,
}

impl Memory {
    /// The term.
    pub fn bytes(self) -> u64 {
        (self.count as u64).saturating_mul(self.each as u64)
    }

    /// The sum.
    pub fn sum(terms: &[Memory]) -> u64 {
        terms
            .iter()
            .fold(0, |sum, term| sum.saturating_add(term.bytes()))
    }
}

impl Limits {
    /// The part of the budget for what waits for clients: five eighths.
    pub fn queues_bytes_max(&self) -> usize {
        self.budget_bytes_max - self.partial_bytes_max() - self.kept_bytes_max()
    }

    /// The part of the budget for persisted messages that are kept a second for those who join next: an eighth.
    /// One that finds no room is asked for again.
    pub fn kept_bytes_max(&self) -> usize {
        self.budget_bytes_max / 8
    }

    /// The part of the budget for half-received messages: a quarter. The parts are apart so that clients that
    /// never finish a message cannot make those pay that are only waiting for theirs.
    pub fn partial_bytes_max(&self) -> usize {
        self.budget_bytes_max / 4
    }

    /// The limits, if they are in range and go together.
    pub fn checked(self) -> Result<Limits, Unfit> {
        self.check_least()?;
        self.check_most()?;
        self.check_times()?;
        Ok(self)
    }

    fn check_least(&self) -> Result<(), Unfit> {
        for (key, value, least) in [
            ("sessions_max", self.sessions_max, 1),
            ("pending_max", self.pending_max, 1),
            ("channels_per_session_max", self.channels_per_session_max, 1),
            // Less holds no browser's handshake.
            ("head_bytes_max", self.head_bytes_max, 1 << 10),
            ("message_bytes_max", self.message_bytes_max, 1),
            (
                "messages_per_second_max",
                self.messages_per_second_max as usize,
                1,
            ),
            ("queue_bytes_max", self.queue_bytes_max, 1),
            ("publish_queue_max", self.publish_queue_max, 1),
            ("drain_per_second", self.drain_per_second as usize, 1),
        ] {
            if value < least {
                return Err(unfit(key, format!("must be at least {least}, not {value}")));
            }
        }
        Ok(())
    }

    fn check_most(&self) -> Result<(), Unfit> {
        let message = self.message_bytes_max;
        for (key, value, bound, most) in [
            // A place in the tables is a u32 (`PeerId`); Linux allows 2^30 descriptors in any case.
            ("sessions_max", self.sessions_max, "2^30", 1 << 30),
            (
                "pending_max",
                self.pending_max,
                "sessions_max",
                self.sessions_max as u64,
            ),
            // More invites a slow attack on memory.
            ("head_bytes_max", self.head_bytes_max, "1 MiB", 1 << 20),
            // Queued frames are counted in a u32, and the smallest takes two bytes.
            ("budget_bytes_max", self.budget_bytes_max, "8 GiB", 8 << 30),
            // One client's queue is counted in a u32, and one message of any size may stand before it.
            ("queue_bytes_max", self.queue_bytes_max, "2 GiB", 2 << 30),
            (
                "queue_bytes_max",
                self.queue_bytes_max,
                "budget_bytes_max",
                self.budget_bytes_max as u64,
            ),
            // Else the largest message would be refused for ever, at one of the places that it passes.
            (
                "message_bytes_max",
                message,
                "budget_bytes_max",
                self.budget_bytes_max as u64,
            ),
            (
                "message_bytes_max",
                message,
                "redis_message_bytes_max",
                self.redis_message_bytes_max as u64,
            ),
            (
                "message_bytes_max",
                message,
                "publish_queue_bytes_max",
                self.publish_queue_bytes_max as u64,
            ),
        ] {
            if value as u64 > most {
                let must = format!("must be at most {bound} ({most}), not {value}");
                return Err(unfit(key, must));
            }
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), Unfit> {
        for (key, time) in [
            ("publish_queue_age_max", self.publish_queue_age_max),
            ("handshake_timeout", self.handshake_timeout),
            ("ping_interval", self.ping_interval),
            ("pong_timeout", self.pong_timeout),
            ("close_timeout", self.close_timeout),
            ("drain_timeout", self.drain_timeout),
        ] {
            // The timers count milliseconds; a day is beyond any proxy's patience and so a slip of the hand.
            if time < Duration::from_millis(1) || time > Duration::from_secs(86_400) {
                return Err(unfit(key, "must be between 1ms and 1d".to_owned()));
            }
        }
        Ok(())
    }

    /// What user memory may come to when all clients do their worst at once, as a sum. The kernel's
    /// buffers come on top. The bounds are those of all `workers` together, but for what each has for itself.
    pub fn memory(&self, embedded: bool, control: bool, workers: usize) -> Vec<Memory> {
        let term = |what, count, each| Memory { what, count, each };
        // Every session on as many channels as it may be, and no two of them on the same one.
        let channels = self
            .sessions_max
            .saturating_mul(self.channels_per_session_max);
        let mut terms = vec![
            term("the process itself", 1, PROCESS_BYTES),
            term("sessions", self.sessions_max, SESSION_BYTES),
            term("channels of sessions", channels, CHANNEL_BYTES),
            // A head is kept until it is whole.
            term("heads of handshakes", self.pending_max, self.head_bytes_max),
            term(
                "heads of admin requests",
                ADMIN_CONNECTIONS_MAX,
                self.head_bytes_max,
            ),
            // An address and its count, in a table that is half empty after it grew.
            term("addresses of handshakes", ADDRESSES_MAX * workers, 64),
            // What waits for clients and what is half-received from them draw on one budget.
            term("the budget of messages", 1, self.budget_bytes_max),
            // In the queue, and in the commands that are made of them.
            term("publish queue", 2, self.publish_queue_bytes_max),
            // In a read buffer that grew by doubling, and in the frame that is made of it.
            term(
                "largest message of Redis",
                3 * workers,
                self.redis_message_bytes_max,
            ),
        ];
        if workers > 1 {
            terms.push(term("further workers", workers - 1, WORKER_BYTES));
        }
        if control {
            terms.push(term(
                "identities of sessions",
                self.sessions_max,
                IDENTITY_BYTES,
            ));
        }
        if embedded {
            terms.extend([
                term("embedded Redis: data", 1, EMBEDDED_MEMORY_BYTES_MAX),
                term(
                    "embedded Redis: subscriptions",
                    1,
                    EMBEDDED_SUBSCRIPTION_BYTES_MAX,
                ),
                // What its clients have sent, and what waits for them.
                term("embedded Redis: buffers", 2, EMBEDDED_BUFFERS_BYTES_MAX),
            ]);
        }
        terms
    }
}

fn unfit(key: &'static str, must: String) -> Unfit {
    Unfit { key, must }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_go_together() {
        assert_eq!(Limits::default().checked(), Ok(Limits::default()));
    }

    #[test]
    fn a_limit_that_contradicts_another_is_named() {
        let broken = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.checked().unwrap_err()
        };
        let unfit = broken(|limits| limits.pending_max = 20_000);
        assert_eq!(
            unfit.to_string(),
            "pending_max must be at most sessions_max (19000), not 20000"
        );
        for (key, unfit) in [
            ("sessions_max", broken(|limits| limits.sessions_max = 0)),
            (
                "head_bytes_max",
                broken(|limits| limits.head_bytes_max = 100),
            ),
            (
                "queue_bytes_max",
                broken(|limits| limits.queue_bytes_max = 0),
            ),
            (
                "queue_bytes_max",
                broken(|limits| limits.budget_bytes_max = 1 << 19),
            ),
            (
                "message_bytes_max",
                broken(|limits| limits.message_bytes_max = 17 << 20),
            ),
            (
                "message_bytes_max",
                broken(|limits| limits.publish_queue_bytes_max = 1),
            ),
            (
                "drain_per_second",
                broken(|limits| limits.drain_per_second = 0),
            ),
            (
                "pong_timeout",
                broken(|limits| limits.pong_timeout = Duration::ZERO),
            ),
            (
                "ping_interval",
                broken(|limits| limits.ping_interval = Duration::MAX),
            ),
        ] {
            assert_eq!(unfit.key, key);
        }
    }

    #[test]
    fn every_limit_on_memory_raises_the_sum_and_no_sum_overflows() {
        let sum = Memory::sum(&Limits::default().memory(false, false, 1));
        let raised = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            Memory::sum(&limits.memory(false, false, 1))
        };
        assert!(raised(|limits| limits.sessions_max += 1) > sum);
        assert!(raised(|limits| limits.pending_max += 1) > sum);
        assert!(raised(|limits| limits.channels_per_session_max += 1) > sum);
        assert!(raised(|limits| limits.head_bytes_max += 1) > sum);
        assert!(raised(|limits| limits.budget_bytes_max += 1) > sum);
        assert!(raised(|limits| limits.redis_message_bytes_max += 1) > sum);
        assert!(raised(|limits| limits.publish_queue_bytes_max += 1) > sum);
        assert!(Memory::sum(&Limits::default().memory(true, false, 1)) > sum);
        assert!(Memory::sum(&Limits::default().memory(false, false, 2)) > sum);
        assert!(Memory::sum(&Limits::default().memory(false, true, 1)) > sum);
        assert_eq!(raised(|limits| limits.sessions_max = usize::MAX), u64::MAX);
    }
}
