//! Why a benchmark comes to nothing.

use std::io;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The clients cannot be opened.
    #[error("only {open} of {wanted} clients could be opened: {why}")]
    Open {
        /// How many are open.
        open: u32,
        /// How many there should be.
        wanted: u32,
        /// What the first one met.
        why: String,
    },
    /// The publisher cannot publish.
    #[error("cannot publish: {0}")]
    Publish(io::Error),
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
