//! Links to Redis come and go; sessions stay.

use super::peers::Peer;
use super::redis::answers::GivenUp;
use super::redis::subscriptions::Subscription;
use super::seldom::TOLD_EVERY;
use super::{Action, Hub, To};
use crate::close::Close;
use crate::peer::RedisOf;
use crate::refusal::{Refusal, Refused};
use crate::report::{LinkReport, Report};
use crate::tick::Tick;

/// What was told of an outage last, so that a long one is not a line every two seconds, unless its reason changes.
#[derive(Debug, Default)]
pub(crate) struct Told(Option<(String, Tick)>);

impl Told {
    /// Is this reason news now? If so, it is told.
    fn is_news(&mut self, now: Tick, why: &str) -> bool {
        let is_old = |(told, at): &(String, Tick)| told == why && now.since(*at) < TOLD_EVERY;
        let is_news = !self.0.as_ref().is_some_and(is_old);
        if is_news {
            self.0 = Some((why.to_owned(), now));
        }
        is_news
    }
}

impl Hub {
    /// Time has passed for the links: probes, patience, the next try.
    pub(super) fn links_elapsed(&mut self, now: Tick) {
        for of in RedisOf::ALL {
            if let Err(GivenUp(why)) = self.redis.elapsed(now, of) {
                self.give_up_link(now, of, why);
            }
            if let Some(link) = self.redis.link_mut(of)
                && link.is_due(now)
            {
                let id = self.peers.insert(Peer::Link(of));
                link.connecting(now, id);
                self.actions.push_back(Action::Connect(id, To::Redis(of)));
            }
        }
    }

    /// The greeting is over: everything is asked for anew.
    pub(super) fn link_greeted(&mut self, now: Tick, of: RedisOf) {
        let link = self.redis.link_mut(of);
        let Some(version) = link.and_then(|link| link.begin(now)) else {
            return;
        };
        let report = match of {
            RedisOf::Messages => {
                let channels = self.channels.len();
                self.orders_missed();
                self.redis.start(now, &mut self.channels);
                LinkReport::Ready { version, channels }
            }
            RedisOf::Sessions => LinkReport::SessionsReady { version },
        };
        self.reports.push_back(Report::Link(report));
    }

    /// A link is lost: sessions stay, whoever was about to join is told to come back.
    pub(super) fn give_up_link(&mut self, now: Tick, of: RedisOf, why: String) {
        let Some(link) = self.redis.link_mut(of) else {
            return;
        };
        let Some(id) = link.id() else {
            return;
        };
        let mut waiting = link.awaited_by();
        if link.is_proven() {
            // The last outage was over: this is another one.
            link.told = Told::default();
        }
        let is_missed = of == RedisOf::Messages || self.config.sessions_redis().is_some();
        let is_news = is_missed && link.told.is_news(now, &why);
        let retry_in = link.lost(now);
        self.drop_peer(id);
        if of == RedisOf::Messages {
            self.redis.lost();
            for channel in self.channels.iter_mut() {
                channel.subscription = Subscription::Unasked;
                waiting.append(&mut channel.snapshot.lost());
            }
        }
        for id in waiting {
            let refused = Refused {
                refusal: Refusal::RedisAway,
                why: Some(format!("{} went away", of.name())),
            };
            self.refuse(now, id, refused);
        }
        if is_news {
            let down = LinkReport::Down { of, why, retry_in };
            self.reports.push_back(Report::Link(down));
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
