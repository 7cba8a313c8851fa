//! What the hub promises, in a world without sockets.

mod joining; // subscriptions, snapshots and the second look
