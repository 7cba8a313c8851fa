//! The link to Redis comes and goes; sessions stay.

use std::time::Duration;

use super::Hub;
use super::redis::link::Link;
use super::redis::subscriptions::Subscription;
use crate::close::Close;
use crate::refusal::Refusal;
use crate::report::{LinkReport, Report};
use crate::tick::Tick;

/// How often a long outage is told again, unless its reason changes.
pub(super) const TOLD_EVERY: Duration = Duration::from_secs(30);

/// While the link is down: what was told of it, so that a long outage is not a line every two seconds.
#[derive(Debug)]
pub(super) struct Outage {
    why: String,
    told_at: Tick,
}

impl Hub {
    /// The greeting is over: everything is asked for anew.
    pub(super) fn link_greeted(&mut self, now: Tick) {
        let Link::Up(up) = &mut self.redis.link else {
            return;
        };
        up.greeted(now);
        let version = std::mem::take(&mut up.version);
        let channels = self.channels.len();
        self.orders_missed();
        self.redis.start(now, &mut self.channels);
        self.reports
            .push_back(Report::Link(LinkReport::Ready { version, channels }));
    }

    /// A nonce is back: the link is proven, and the outage over.
    pub(super) fn link_proven(&mut self, delay: Duration) {
        self.outage = None;
        self.counts.canary_delay = Some(delay);
    }

    /// The link is lost: sessions stay, whoever was about to join is told to come back.
    pub(super) fn give_up_link(&mut self, now: Tick, why: String) {
        let Some(id) = self.redis.link.id() else {
            return;
        };
        let mut waiting = self.redis.link.awaited_by();
        let retry_in = self.redis.lost(now);
        self.drop_peer(id);
        self.counts.link_losses += 1;
        for channel in self.channels.iter_mut() {
            channel.subscription = Subscription::Unasked;
            waiting.append(&mut channel.snapshot.lost());
        }
        for id in waiting {
            self.refuse(now, id, Refusal::RedisAway);
        }
        let is_news = self
            .outage
            .as_ref()
            .is_none_or(|outage| outage.why != why || now.since(outage.told_at) >= TOLD_EVERY);
        if is_news {
            self.outage = Some(Outage {
                why: why.clone(),
                told_at: now,
            });
            self.reports
                .push_back(Report::Link(LinkReport::Down { why, retry_in }));
        }
    }

    pub(super) fn expire_publishes(&mut self, now: Tick) {
        let mut count = 0;
        while let Some(publish) = self.redis.publishes.expired(now, &self.config.limits) {
            count += 1;
            self.close(now, publish.from, Close::PublishQueueFull);
        }
        if count > 0 {
            self.counts.publishes_failed += count as u64;
            self.reports.push_back(Report::PublishesExpired { count });
        }
    }
}
