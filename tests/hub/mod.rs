//! What the hub promises, in a world without sockets.

mod admission; // from accept to the 101, or to a refusal
mod endings; // the ways in which a session ends
mod joining; // subscriptions, persisted messages and the second look
