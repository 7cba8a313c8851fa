//! Every integration test, in one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails, and says where"
)]

/// Real processes, sockets and a browser to stand on.
mod support;

/// The house checks itself.
mod tidy;

/// The main job.
mod relay;

/// Redis goes and comes back.
mod outages;

/// The package that we succeed, as publisher.
mod original;

/// The playground page in a real browser.
mod playground;
