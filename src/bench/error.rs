//! Why a benchmark comes to nothing.

use std::io;
use std::net::SocketAddr;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The clients cannot be opened.
    #[error("only {open} of {wanted} clients could be opened at {at}: {why}")]
    Open {
        /// How many are open.
        open: u32,
        /// How many there should be.
        wanted: u32,
        /// Where.
        at: String,
        /// What the first one met.
        why: String,
    },
    /// More clients than one address has ports, and there are no others to connect from.
    #[error(
        "{clients} clients need {addresses} source addresses, at --per-address {per_address}, and only for targets in \
         127.0.0.0/8 are there more than one, which {to} is not: ask for fewer, raise --per-address as far as \
         net.ipv4.ip_local_port_range allows, or share them among several machines"
    )]
    Addresses {
        /// Whom they connect to.
        to: SocketAddr,
        /// How many.
        clients: u32,
        /// Source addresses.
        addresses: u32,
        /// Clients of each.
        per_address: u32,
    },
    /// The publisher cannot publish.
    #[error("cannot publish {by}: {error}")]
    Publish {
        /// By which way.
        by: String,
        /// What it met.
        error: io::Error,
    },
    /// All clients broke.
    #[error("no client is connected any more")]
    Deserted,
    /// The gateway neither answers nor refuses.
    #[error("no handshake came about in the time that was measured")]
    NoHandshake,
    /// Whoever watches has seen enough.
    #[error("interrupted")]
    Interrupted,
    /// The process to be measured.
    #[error("cannot measure process {pid}: {error}")]
    Process {
        /// Its number.
        pid: u32,
        /// The system's words.
        error: io::Error,
    },
    /// The limit of open files.
    #[error(
        "{wanted} clients need {needed} open files and this process may have {limit}: raise `ulimit -n`"
    )]
    Files {
        /// Clients.
        wanted: u32,
        /// Descriptors.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// The system refuses something else.
    #[error("{0}")]
    System(#[from] io::Error),
}
