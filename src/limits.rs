//! Every bound, its reason, and what they cost together in the worst case.
//!
//! A gateway is judged by what its worst clients can do to the others. So everything that a peer can make
//! grow has a number here, the number is checked *before* anything is added, and [`Limits::memory_bytes_max`]
//! says what all of them may come to. Sizes are bytes, times are `Duration`s.

use std::time::Duration;

/// Fields of one request head; a browser sends about 20.
pub const HEAD_FIELDS_MAX: usize = 64;
/// Bytes of a facility's name, as in `docs/protocol.md`.
pub const FACILITY_BYTES_MAX: usize = 255;
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
/// What a fully used session record, its socket and its places in the tables take (measured: see
/// `docs/operations.md`), for the sum of [`Limits::memory_bytes_max`].
pub const SESSION_BYTES: usize = 512;
/// What a channel with one member takes, its name included.
pub const CHANNEL_BYTES: usize = 512;

/// The bounds that an operator may set. Field names are the keys of the `[limits]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once, pending handshakes included. Each takes a descriptor.
    pub sessions_max: usize,
    /// Handshakes under way at once: requests not yet answered.
    pub pending_max: usize,
    /// Sessions from one address; 0 is no limit. Trusted peers (proxies) are not counted.
    pub sessions_per_address_max: usize,
    /// Channels that one session may hear and speak to, together.
    pub channels_per_session_max: usize,
    /// Bytes of a request head. A browser's, with a fat cookie, is under 4 KiB.
    pub head_bytes_max: usize,
    /// Bytes of a message from a client, fragments summed.
    pub message_bytes_max: usize,
    /// Messages a second from one client.
    pub messages_per_second_max: u32,
    /// Bytes that may wait for one client; one message of any size may wait alone.
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
