//! Every integration test, in one binary.

mod frames; // what WebSocket clients send, good and bad

mod codecs; // properties of the three codecs
mod cuts; // any cut of the same bytes gives the same events
mod differential; // the message layer against tungstenite's own
mod embedded; // the embedded Redis, claims and a transcript
