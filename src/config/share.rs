//! What each of several workers has of the bounds.

use super::Config;
use crate::limits::Unfit;

/// Each has its own connection to Redis, which then sends every message so many times. More than a large machine has
/// cores for is a slip of the hand.
const WORKERS_MAX: usize = 64;

impl Config {
    /// What one of so many workers is told: its part of each bound that is for all of them together, rounded down, so
    /// that no worst case grows. A bound by address is not divided: where connections land is chance, and half of a
    /// small number would refuse whom the whole one lets in.
    pub fn share(&self, workers: usize) -> Config {
        let mut share = self.clone();
        let limits = &mut share.limits;
        for bound in [
            &mut limits.sessions_max,
            &mut limits.pending_max,
            &mut limits.budget_bytes_max,
            &mut limits.publish_queue_max,
            &mut limits.publish_queue_bytes_max,
            &mut share.callback.connections_max,
            &mut share.callback.queue_max,
        ] {
            *bound = part(*bound, workers);
        }
        limits.drain_per_second = part(limits.drain_per_second as usize, workers) as u32;
        share
    }

    /// Is there enough for each worker?
    pub(super) fn check_workers(&self) -> Result<(), Unfit> {
        let workers = self.workers;
        if !(1..=WORKERS_MAX).contains(&workers) {
            return Err(Unfit {
                key: "workers",
                must: format!("must be between 1 and {WORKERS_MAX}, not {workers}"),
            });
        }
        for (key, bound) in [
            ("sessions_max", self.limits.sessions_max),
            ("pending_max", self.limits.pending_max),
            ("publish_queue_max", self.limits.publish_queue_max),
            ("drain_per_second", self.limits.drain_per_second as usize),
            // The application is to be asked no more at once than it was said to bear.
            ("callback_connections_max", self.callback.connections_max),
            ("callback_queue_max", self.callback.queue_max),
        ] {
            let is_used = !key.starts_with("callback") || self.callback.url.is_some();
            if is_used && bound < workers {
                let must = format!("must be at least workers ({workers}), not {bound}");
                return Err(Unfit { key, must });
            }
        }
        match self.share(workers).check() {
            Err(Unfit { key, must }) if workers > 1 => Err(Unfit {
                key,
                must: format!(
                    "{must}; each of the {workers} workers has its part of a bound for all"
                ),
            }),
            checked => checked,
        }
    }
}

fn part(bound: usize, workers: usize) -> usize {
    (bound / workers.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Limits, Memory};

    fn of(workers: usize) -> Config {
        Config {
            workers,
            ..Config::default()
        }
    }

    #[test]
    fn the_workers_together_have_no_more_than_one_would_have() {
        for workers in [1, 2, 3, 16] {
            let whole = of(workers);
            let share = whole.share(workers);
            for (all, each) in [
                (whole.limits.sessions_max, share.limits.sessions_max),
                (whole.limits.pending_max, share.limits.pending_max),
                (whole.limits.budget_bytes_max, share.limits.budget_bytes_max),
                (
                    whole.limits.publish_queue_max,
                    share.limits.publish_queue_max,
                ),
                (
                    whole.limits.publish_queue_bytes_max,
                    share.limits.publish_queue_bytes_max,
                ),
                (
                    whole.limits.drain_per_second as usize,
                    share.limits.drain_per_second as usize,
                ),
                (
                    whole.callback.connections_max,
                    share.callback.connections_max,
                ),
                (whole.callback.queue_max, share.callback.queue_max),
            ] {
                assert!(each * workers <= all && (each + 1) * workers > all);
            }
            let limits = &share.limits;
            assert_eq!(limits.queue_bytes_max, Limits::default().queue_bytes_max);
        }
        assert_eq!(of(1).share(1), of(1));
    }

    #[test]
    fn the_sum_in_memory_covers_what_the_workers_come_to() {
        let whole = Memory::sum(&of(4).memory());
        let alone = Memory::sum(&of(1).share(4).memory());
        let process = Memory::sum(&of(1).memory()[..1]);
        // The process is there once, and the admin listener.
        assert!(whole > 4 * (alone - process));
    }

    #[test]
    fn a_bound_that_cannot_be_divided_is_named() {
        let unfit = |workers, change: fn(&mut Config)| {
            let mut config = of(workers);
            change(&mut config);
            config.checked().unwrap_err().to_string()
        };
        assert_eq!(unfit(0, |_| {}), "workers must be between 1 and 64, not 0");
        assert!(unfit(65, |_| {}).contains("not 65"));
        let few = unfit(2, |config| {
            config.callback.url = "http://127.0.0.1/".parse().ok();
            config.callback.connections_max = 1;
        });
        assert_eq!(
            few,
            "callback_connections_max must be at least workers (2), not 1"
        );
        let queue = |config: &mut Config| {
            config.limits.budget_bytes_max = 64 << 20;
            config.limits.queue_bytes_max = 33 << 20;
        };
        let queue = unfit(2, queue);
        assert!(
            queue.starts_with("queue_bytes_max must be at most budget_bytes_max (33554432)")
                && queue.ends_with("each of the 2 workers has its part of a bound for all"),
            "{queue}"
        );
    }
}
