//! Every integration test, in one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails, and says where"
)]

/// What the tests stand on: real programs and clients for them.
mod support;

/// The house checks itself.
mod tidy;

/// The playground page in a real browser.
mod playground;

/// Publishers, clients and a Redis that were not written here.
mod outsiders;
