//! The middle floor: values into decisions, without sockets, clock, randomness or logging.

pub mod embedded;
