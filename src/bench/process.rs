//! What a process has cost so far, as Linux counts it.

use std::fs;
use std::io;
use std::time::Duration;

/// CPU time and memory of a process, all its threads and its children that still run together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// CPU time.
    pub(super) cpu: Duration,
    /// Memory that is its own, in bytes: what it allocated and touched, shared memory (nginx keeps its modules' there)
    /// among it, files and sockets' buffers not.
    pub(super) memory: u64,
}

/// Of this process and its descendants: a gateway may have workers.
pub(super) fn cost(pid: u32) -> io::Result<Cost> {
    let mut sum = of_one(pid)?;
    for child in children(pid) {
        // One that has just ended costs nothing any more.
        if let Ok(cost) = cost(child) {
            sum.cpu += cost.cpu;
            sum.memory += cost.memory;
        }
    }
    Ok(sum)
}

fn of_one(pid: u32) -> io::Result<Cost> {
    let mut cpu = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // In nanoseconds, where /proc/PID/stat has hundredths of a second.
        let schedstat = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let first = schedstat.split(' ').next().unwrap_or_default();
        cpu += first.trim().parse().unwrap_or(0);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    // Without memory it is a zombie, or about to be one.
    if !status.contains("RssAnon:") {
        return Err(io::Error::other("it has ended"));
    }
    let memory = kilobytes(&status, "RssAnon:") + kilobytes(&status, "RssShmem:");
    Ok(Cost {
        cpu: Duration::from_nanos(cpu),
        memory: memory * 1_024,
    })
}

fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.unwrap_or(0)
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids = lists.flat_map(|list| {
        list.split_whitespace()
            .flat_map(str::parse)
            .collect::<Vec<u32>>()
    });
    pids.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cost_grows_as_we_work_and_a_process_that_is_not_there_is_an_error() {
        let before = cost(std::process::id()).unwrap();
        assert!(before.memory > 100_000);
        // Other tests of this process take and give back as they go, by far less.
        let held = vec![1_u8; 64 << 20];
        let mut after = cost(std::process::id()).unwrap();
        assert!(
            after.memory >= before.memory + (32 << 20),
            "{} bytes",
            held.len()
        );
        for _ in 0..1_000 {
            if after.cpu > before.cpu {
                return;
            }
            after = cost(std::process::id()).unwrap();
        }
        panic!("no CPU time passed");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(cost(u32::MAX).is_err());
    }
}
