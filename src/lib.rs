//! ws4redis: a WebSocket gateway for Redis.
//!
//! The map, in reading order. The hallway is the vocabulary that all floors share; **wire** turns bytes into
//! values and back; **hub** turns values into decisions; **net** turns decisions into system calls. Beside them
//! stands **publisher**, the library for programs that publish.

pub mod bench;
pub mod channel;
pub mod close;
pub mod config;
pub mod limits;
pub mod peer;
pub mod refusal;
pub mod report;
pub mod tick;

pub mod hub;
pub mod metrics;
pub mod net;
pub mod publisher;
pub mod wire;

pub use channel::{Audience, Identity};
pub use config::Config;
pub use hub::access::subscriber::{
    Ask, Channels as SubscriberChannels, RedisSubscriber, Subscriber,
};
pub use net::Gateway;
pub use publisher::{Order, RedisMessage, RedisPublisher, RedisStore, SELF, StoreError};

/// The README's Rust is compiled with the documentation's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
