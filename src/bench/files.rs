//! Each client takes an open file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::BenchError;
use super::plan::Plan;

/// Makes room for as many open files as the clients need.
pub(super) fn raise(plan: &Plan) -> Result<(), BenchError> {
    let wanted = plan.clients();
    // Besides the clients: publishers, epoll, /proc, standard streams.
    let needed = u64::from(wanted) + 64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Refused is as good as not asked: the check below says so.
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    match limit.current {
        Some(limit) if limit < needed => Err(BenchError::Files {
            wanted,
            needed,
            limit,
        }),
        _ => Ok(()),
    }
}
