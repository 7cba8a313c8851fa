//! Every integration test, in one binary: real processes, real sockets, a real browser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that panics has found something"
)]

mod support;

mod playground;
