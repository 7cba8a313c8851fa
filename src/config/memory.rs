//! What a configuration may cost, in memory and in descriptors.

use super::{Config, Source};
use crate::limits::{ANSWER_HEAD_BYTES_MAX, Memory, OTHER_DESCRIPTORS, RESERVED_DESCRIPTORS};

impl Config {
    /// What user memory may come to when all clients, and the application that is asked about them, do their worst
    /// at once, as a sum. The kernel's buffers come on top.
    pub fn memory(&self) -> Vec<Memory> {
        let mut terms =
            self.limits
                .memory(self.embedded.is_some(), self.control.is_on(), self.workers);
        if self.identity.contains(&Source::Callback) {
            terms.extend(self.calls());
        }
        terms
    }

    /// Descriptors that are not for sessions.
    pub fn other_descriptors(&self) -> u64 {
        OTHER_DESCRIPTORS - RESERVED_DESCRIPTORS + self.reserved_descriptors()
    }

    /// Those of them that no client gets, however few there are.
    pub fn reserved_descriptors(&self) -> u64 {
        // Whoever is not among the sources yet may be after a reload.
        let calls = match self.callback.url {
            Some(_) => self.callback.connections_max as u64,
            None => 0,
        };
        RESERVED_DESCRIPTORS * self.workers.max(1) as u64 + calls
    }

    fn calls(&self) -> [Memory; 2] {
        let callback = &self.callback;
        [
            Memory {
                what: "questions to the application",
                // Those that wait, among them a repeated one for each connection, and those on their way.
                count: callback.queue_max + 2 * callback.connections_max,
                // A copy of a request's head. Its target is percent-encoded, and may be nearly all of it.
                each: self.limits.head_bytes_max.saturating_mul(3),
            },
            Memory {
                what: "answers of the application",
                count: callback.connections_max,
                // In a buffer that grew by doubling.
                each: 2 * (ANSWER_HEAD_BYTES_MAX + callback.body_bytes_max),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_may_hold_is_in_the_sum_where_calls_are_made() {
        let sum = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            Memory::sum(&config.memory())
        };
        let asked = |change: fn(&mut Config)| {
            let mut config = Config {
                identity: vec![Source::Callback],
                ..Config::default()
            };
            change(&mut config);
            Memory::sum(&config.memory())
        };
        let alone = sum(|_| {});
        let with_calls = asked(|_| {});
        assert!(with_calls > alone);
        assert_eq!(sum(|config| config.callback.queue_max += 1), alone);
        assert!(asked(|config| config.callback.queue_max += 1) > with_calls);
        assert!(asked(|config| config.callback.connections_max += 1) > with_calls);
        assert!(asked(|config| config.callback.body_bytes_max += 1) > with_calls);
        assert!(sum(|config| config.embedded = Some(([127, 0, 0, 1], 1).into())) > alone);
    }
}
