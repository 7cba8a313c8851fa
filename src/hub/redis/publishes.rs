//! Messages of clients on their way to Redis, in order.
//!
//! One queue, of which the first `in_flight` are sent and not yet answered. When the link is lost none is in
//! flight any more, so all that was not answered is sent again, in order: a publish at the moment of an outage
//! may happen twice, but it is not lost in silence.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::limits::Limits;
use crate::peer::PeerId;
use crate::tick::Tick;

/// One message for one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) from: PeerId,
    pub(crate) channel: Bytes,
    pub(crate) message: Bytes,
    at: Tick,
}

impl Publish {
    fn bytes(&self) -> usize {
        self.message.len() + size_of::<Publish>()
    }
}

/// The queue is at its bound; nothing was added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Publishes {
    queue: VecDeque<Publish>,
    in_flight: usize,
    bytes: usize,
    /// Answered, but not taken, or overtaken thereby; older than all in the queue.
    untaken: Vec<Publish>,
    /// Why Redis would not queue a command of the transaction that is answered next.
    refusal: Option<String>,
}

impl Publishes {
    pub(crate) fn len(&self) -> usize {
        self.queue.len() + self.untaken.len()
    }

    /// Adds one message for each channel, or none at all.
    pub(crate) fn push(
        &mut self,
        now: Tick,
        limits: &Limits,
        from: PeerId,
        channels: &[Bytes],
        message: &Bytes,
    ) -> Result<(), Full> {
        let publish = |channel: &Bytes| Publish {
            from,
            channel: channel.clone(),
            message: message.clone(),
            at: now,
        };
        let bytes: usize = channels
            .iter()
            .map(|channel| publish(channel).bytes())
            .sum();
        if self.len() + channels.len() > limits.publish_queue_max
            || self.bytes + bytes > limits.publish_queue_bytes_max
        {
            return Err(Full);
        }
        self.bytes += bytes;
        self.queue.extend(channels.iter().map(publish));
        Ok(())
    }

    /// The next to send; it is in flight from now on.
    pub(crate) fn next_to_send(&mut self) -> Option<&Publish> {
        let publish = self.queue.get(self.in_flight)?;
        self.in_flight += 1;
        Some(publish)
    }

    /// The oldest one in flight was answered.
    pub(crate) fn answered(&mut self) -> Option<Publish> {
        self.in_flight = self.in_flight.checked_sub(1)?;
        self.pop()
    }

    /// The one that was just answered was not taken and is to be sent again, over the next link.
    pub(crate) fn again(&mut self, publish: Publish) {
        self.bytes += publish.bytes();
        self.untaken.push(publish);
    }

    /// Is there one that was not taken?
    pub(crate) fn has_untaken(&self) -> bool {
        !self.untaken.is_empty()
    }

    /// Redis would not queue a command of the oldest transaction in flight.
    pub(crate) fn queue_refused(&mut self, error: String) {
        self.refusal.get_or_insert(error);
    }

    pub(crate) fn take_refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    /// The link is gone.
    pub(crate) fn lost(&mut self) {
        self.refusal = None;
        self.in_flight = 0;
        while let Some(publish) = self.untaken.pop() {
            self.queue.push_front(publish);
        }
    }

    /// When the oldest that is not in flight becomes too old.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Tick> {
        let oldest = self.queue.front().filter(|_| self.in_flight == 0)?;
        Some(oldest.at + limits.publish_queue_age_max)
    }

    /// The next that is too old.
    pub(crate) fn expired(&mut self, now: Tick, limits: &Limits) -> Option<Publish> {
        if self.deadline(limits)? <= now {
            self.pop()
        } else {
            None
        }
    }

    fn pop(&mut self) -> Option<Publish> {
        let publish = self.queue.pop_front()?;
        self.bytes -= publish.bytes();
        Some(publish)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FROM: PeerId = PeerId {
        index: 1,
        generation: 1,
    };

    fn push(publishes: &mut Publishes, limits: &Limits, text: &'static str) -> Result<(), Full> {
        let message = Bytes::from_static(text.as_bytes());
        publishes.push(
            Tick::ZERO,
            limits,
            FROM,
            &[Bytes::from_static(b"c")],
            &message,
        )
    }

    #[test]
    fn what_was_not_answered_is_sent_again_in_order() {
        let (mut publishes, limits) = (Publishes::default(), Limits::default());
        for text in ["1", "2", "3"] {
            push(&mut publishes, &limits, text).unwrap();
        }
        publishes.next_to_send();
        publishes.next_to_send();
        assert_eq!(publishes.answered().unwrap().message.as_ref(), b"1");
        publishes.lost();
        assert_eq!(publishes.answered(), None);
        assert_eq!(publishes.next_to_send().unwrap().message.as_ref(), b"2");
        assert_eq!(publishes.next_to_send().unwrap().message.as_ref(), b"3");
        assert_eq!(publishes.next_to_send(), None);
    }

    #[test]
    fn number_bytes_and_age_are_bounded() {
        let limits = Limits {
            publish_queue_max: 2,
            ..Limits::default()
        };
        let mut publishes = Publishes::default();
        push(&mut publishes, &limits, "1").unwrap();
        push(&mut publishes, &limits, "2").unwrap();
        assert_eq!(push(&mut publishes, &limits, "3"), Err(Full));
        let late = Tick::ZERO + limits.publish_queue_age_max;
        assert_eq!(
            publishes.expired(late - Duration::from_millis(1), &limits),
            None
        );
        assert!(publishes.expired(late, &limits).is_some());
        assert!(publishes.expired(late, &limits).is_some());
        assert_eq!(
            (publishes.expired(late, &limits), publishes.bytes),
            (None, 0)
        );

        let limits = Limits {
            publish_queue_bytes_max: 150,
            ..limits
        };
        push(&mut publishes, &limits, "1").unwrap();
        assert_eq!(push(&mut publishes, &limits, "2"), Err(Full));
    }
}
