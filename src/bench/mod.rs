//! For WebSocket gateways what redis-benchmark is for Redis: it works against any of them.
//!
//! Every message says which it is and when it was due ([`message`]), every connection checks what it hears (`ledger`),
//! and the cost of the gateway, and of the benchmark itself, is read from the kernel's books (`process`). One thread,
//! one loop (`swarm`), so that a second core is enough for it.

mod dial;
mod error;
mod files;
mod frames;
mod handshake;
mod ledger;
pub mod message;
mod pace;
pub mod plan;
mod process;
pub mod report;
mod run;
mod source;
mod swarm;
pub mod target;

pub use error::BenchError;
pub use ledger::Sums;
pub use plan::Plan;
pub use report::{Report, Verdict};
pub use run::{Moment, run};
