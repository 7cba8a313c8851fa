//! What strangers can make the gateway read, as functions of arbitrary bytes that panic if it reads them wrongly.
//!
//! Each is the body of a fuzz target of its name. The tests are built from this file too: they feed the same
//! functions their corpora, spoilt in every way that they can think of.

mod access;
mod codecs;
mod hub;

pub use access::{bearers, claims, cookies, forwarded, orders, sessions, settings};
pub use codecs::{
    commands, frames, heads, read_commands, read_frames, read_heads, read_replies, read_responses,
    replies, responses,
};
pub use hub::{answers, link, requests};
