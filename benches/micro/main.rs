//! What the parts cost, in nanoseconds: `cargo bench --bench micro -- <part of a name>`.
//!
//! One binary for all of them, because each costs a link with all optimisations.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a bench that cannot go on says where; its items are private"
)]

mod access;
mod codecs;
mod fanout;
mod joins;
mod timers;
#[path = "../world/mod.rs"]
mod world;

criterion::criterion_main!(
    codecs::codecs,
    access::access,
    joins::joins,
    fanout::fanout,
    timers::timers
);
