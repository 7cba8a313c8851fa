//! Every integration test, in one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::struct_excessive_bools,
    reason = "a test that cannot go on fails, and says where; a model has a switch for each misfortune"
)]

// What tests stand on.
#[allow(unreachable_pub, reason = "it is public in the crate of the targets")]
#[path = "../fuzz/src/lib.rs"]
mod bodies; // what the fuzz targets do with arbitrary bytes
mod frames; // what WebSocket clients send, good and bad
mod support; // real processes, sockets and a browser
mod world; // the gateway without sockets: clients, a Redis and a clock

// The house checks itself.
mod documents; // what the documents say
mod gate; // what the instruction gate says of a count
mod peers; // what the comparison with other gateways claims
mod tidy; // who may name whom, and sizes

// The wire floor.
mod codecs; // properties of the three codecs
mod cuts; // any cut of the same bytes gives the same events
mod differential; // the message layer against tungstenite's own
mod django; // sessions that real Django wrote
mod fuzz; // the fuzz targets, on the corpora of the tests

// The hub floor.
mod tokens; // JSON Web Tokens of another implementation

// The embedded Redis, byte for byte.
mod embedded;

// The hub, through its seam.
mod hub; // claims, by subject
mod sim; // the seeded simulation

// Real processes.
mod access; // rules, origins, addresses
mod attacks; // strangers who mean harm, and bursts that do it
mod callback; // the application is asked
mod cli; // the commands that people type
mod control; // orders that end sessions
mod nginx; // behind a real one, by the README and docs/nginx
mod original; // the package that we succeed, as publisher
mod outages; // Redis goes and comes back
mod playground; // the page in a real browser
mod publisher; // the library for Rust programs
mod quickstarts; // the lines that people copy
mod relay; // the main job
mod reloading; // another configuration, on SIGHUP
mod serving; // listeners, refusals, draining
mod sessions; // sessions of Django in another real Redis
mod workers; // several reactors in one process
