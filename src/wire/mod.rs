//! The lowest floor: bytes into values and back.
//!
//! Laws of this floor: no clock (where a format says when, the time is an argument), no ids, no memory of more
//! than one unfinished value; limits come as arguments; no file here names another's protocol (but the 101 needs
//! the answer to a WebSocket key, and asks `ws` for it; and what is signed asks `signature`); nothing a peer sends
//! can panic.

pub mod django;
pub mod http;
pub mod http_client;
pub mod order;
pub mod resp;
pub mod signature;
pub mod ws;
