//! The library for Rust programs: publish to the gateway's clients, and fetch what is persisted for them.
//!
//! It is the server side of django-websocket-redis: a [`RedisPublisher`] says for whom, a [`RedisMessage`] what, a
//! [`RedisStore`] by which Redis. It blocks, and it does not need a gateway in the same process: everything meets
//! in Redis.
//!
//! ```
//! use ws4redis::{Audience, Identity, RedisMessage, RedisPublisher, RedisStore, StoreError};
//!
//! # use std::sync::mpsc;
//! # use ws4redis::config::{Config, Listen, Redis};
//! # let (sender, receiver) = mpsc::channel();
//! # let gateway = std::thread::spawn(move || {
//! #     let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
//! #     let config = Config {
//! #         listen: vec![Listen::Tcp(any)],
//! #         admin: None,
//! #         embedded: Some(any),
//! #         ..Config::default()
//! #     };
//! #     let gateway = ws4redis::Gateway::bind(config, Box::new(ws4redis::RedisSubscriber)).unwrap();
//! #     sender.send((gateway.bound().embedded.unwrap(), gateway.handle())).unwrap();
//! #     gateway.run().unwrap();
//! # });
//! # let (address, handle) = receiver.recv().unwrap();
//! # let redis: Redis = format!("redis://{address}").parse().unwrap();
//! // `redis` is where: `"redis://localhost:6379/0".parse()`, or `Redis::default()`, which is the same.
//! let mut store = RedisStore::new(&redis).expire(600);
//! let news = RedisPublisher::new("news").broadcast().groups(["staff"]);
//! if let Some(message) = RedisMessage::new("it is snowing", None) {
//!     news.publish_message(&mut store, &message, None)?;
//! }
//!
//! // Who comes within ten minutes finds it.
//! let nobody = Identity::default();
//! let found = store.fetch_message(&nobody, "news", Some(Audience::Broadcast))?;
//! assert_eq!(found.as_deref(), Some(&b"it is snowing"[..]));
//! # handle.drain();
//! # gateway.join().unwrap();
//! # Ok::<(), StoreError>(())
//! ```
//!
//! A program may also have the gateway in itself, with a [`Subscriber`](crate::Subscriber) of its own, which decides
//! what a client hears:
//!
//! ```
//! use std::error::Error;
//! use std::net::SocketAddr;
//! use std::sync::mpsc;
//!
//! use ws4redis::config::{Config, Listen, Redis};
//! use ws4redis::{Ask, Gateway, Subscriber, SubscriberChannels};
//! use ws4redis::{RedisMessage, RedisPublisher, RedisStore};
//!
//! /// Whatever clients ask for, they hear the broadcasts of their facility and cannot speak.
//! struct Listeners;
//!
//! impl Subscriber for Listeners {
//!     fn channels(&self, ask: &Ask) -> SubscriberChannels {
//!         SubscriberChannels {
//!             subscribe: vec![format!("broadcast:{}", ask.facility)],
//!             publish: Vec::new(),
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! let any = SocketAddr::from(([127, 0, 0, 1], 0));
//! let (bound, binding) = mpsc::channel();
//! let gateway = std::thread::spawn(move || {
//!     let config = Config {
//!         listen: vec![Listen::Tcp(any)],
//!         admin: None,
//!         embedded: Some(any), // a Redis of its own; `redis: ...` would name another
//!         ..Config::default()
//!     };
//!     let gateway = Gateway::bind(config, Box::new(Listeners))?;
//!     let _ = bound.send((gateway.bound().clone(), gateway.handle()));
//!     gateway.run()
//! });
//! let (bound, handle) = binding.recv()?;
//!
//! let redis: Redis = format!("redis://{}", bound.embedded.ok_or("embedded")?).parse()?;
//! let message = RedisMessage::new("hello", None).ok_or("the heartbeat")?;
//! let lobby = RedisPublisher::new("lobby").broadcast();
//! lobby.publish_message(&mut RedisStore::new(&redis), &message, None)?;
//!
//! # // It answers 503 until it has found its Redis.
//! # let connect = |url: String| (0..2_000).find_map(|_| {
//! #     std::thread::sleep(std::time::Duration::from_millis(5));
//! #     Some(tungstenite::connect(&url).ok()?.0)
//! # }).ok_or("no gateway");
//! // Any WebSocket client will do; what came before it is persisted for an hour.
//! let mut client = connect(format!("ws://{}/ws/lobby", bound.clients[0]))?;
//! let text = client.read()?.into_text()?;
//! assert_eq!(text.as_str(), "hello");
//! # drop(client);
//! # handle.drain();
//! # gateway.join().map_err(|_| "panicked")??;
//! # Ok(()) }
//! ```

mod connection;
mod error;
mod message;
mod order;
mod recipients;
mod store;
mod stream;
mod transaction;

pub use error::StoreError;
pub use message::RedisMessage;
pub use recipients::{Item, RedisPublisher, SELF};
pub use store::RedisStore;

pub use crate::wire::order::Order;
