//! What the tests stand on: real programs, started for one test and ended with it, and clients for them.
//!
//! Nothing here sleeps and hopes. Whatever takes time is waited for by a condition, with a [`wait::Deadline`].
#![allow(
    dead_code,
    reason = "a library for tests; each of them uses a part of it"
)]

pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod nginx;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod quickstart;
pub(crate) mod redis;
pub(crate) mod resp;
pub(crate) mod stream;
pub(crate) mod wait;
