//! The tally, as the text that Prometheus and its relatives read.
//!
//! Everything is made at the scrape from plain numbers, so that counting costs the hub an addition and no more.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::close::Close;
use crate::refusal::Refusal;
use crate::report::Tally;

/// All metrics, in OpenMetrics text.
pub fn text(tally: &Tally) -> String {
    let mut registry = Registry::with_prefix("ws4redis");
    registry.register_collector(Box::new(Scrape(tally.clone())));
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}

#[derive(Debug)]
struct Scrape(Tally);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let tally = &self.0;
        for (name, help, value) in gauges(tally) {
            one(&mut encoder, name, help, &ConstGauge::new(value))?;
        }
        for (name, help, value) in counters(tally) {
            one(&mut encoder, name, help, &ConstCounter::new(value))?;
        }
        let closes = Close::ALL
            .iter()
            .zip(tally.closes)
            .map(|(close, n)| (close.word(), n));
        family(
            &mut encoder,
            "closes",
            "Sessions ended, by reason",
            "reason",
            closes,
        )?;
        let refusals = Refusal::ALL
            .iter()
            .zip(tally.refusals)
            .map(|(refusal, n)| (refusal.word(), n));
        family(
            &mut encoder,
            "refusals",
            "Requests refused, by reason",
            "reason",
            refusals,
        )?;
        one(
            &mut encoder,
            "config_last_reload_timestamp_seconds",
            "When the configuration in use was taken, at the start or by a reload",
            &ConstGauge::new(tally.config_at.as_secs_f64()),
        )?;
        if !tally.each.is_empty() {
            each(&mut encoder, &tally.each)?;
        }
        let reloads = [("ok", tally.reloads), ("refused", tally.reloads_refused)];
        family(
            &mut encoder,
            "reloads",
            "Times the configuration was read anew, by result",
            "result",
            reloads.into_iter(),
        )
    }
}

fn gauges(tally: &Tally) -> Vec<(&'static str, &'static str, f64)> {
    let mut gauges = vec![
        ("sessions", "Open sessions", tally.sessions as f64),
        (
            "pending_handshakes",
            "Handshakes under way",
            tally.pending as f64,
        ),
        (
            "connections",
            "Connections of clients in any state",
            tally.clients as f64,
        ),
        (
            "callback_waiting",
            "Calls that wait for a connection to the application",
            tally.callback_waiting as f64,
        ),
        (
            "callback_calling",
            "Calls that the application has before it",
            tally.callback_calling as f64,
        ),
        ("channels", "Channels with a member", tally.channels as f64),
        (
            "queued_bytes",
            "Bytes that wait for clients, shared frames once",
            tally.queued_bytes as f64,
        ),
        (
            "partial_bytes",
            "Bytes of half-received messages",
            tally.partial_bytes as f64,
        ),
        (
            "publish_queue",
            "Client publishes waiting for Redis",
            tally.publish_queue as f64,
        ),
        (
            "link_up",
            "1 while the link to Redis is proven by the canary",
            f64::from(u8::from(tally.link.ready)),
        ),
    ];
    if let Some(delay) = tally.link.canary_delay {
        gauges.push((
            "canary_delay_seconds",
            "The last probe's way through Redis and back",
            delay.as_secs_f64(),
        ));
    }
    if let Some(link) = &tally.sessions_link {
        gauges.push((
            "django_link_up",
            "1 while the link to the Redis of Django's sessions is proven by the canary",
            f64::from(u8::from(link.ready)),
        ));
    }
    if let Some(delay) = tally.sessions_link.and_then(|link| link.canary_delay) {
        gauges.push((
            "django_canary_delay_seconds",
            "The last probe's way to the Redis of Django's sessions and back",
            delay.as_secs_f64(),
        ));
    }
    gauges
}

fn counters(tally: &Tally) -> Vec<(&'static str, &'static str, u64)> {
    let mut counters = vec![
        ("sessions_opened", "Sessions opened", tally.opened),
        (
            "messages_in",
            "Messages that Redis pushed",
            tally.messages_in,
        ),
        (
            "messages_in_bytes",
            "Their payload bytes",
            tally.messages_in_bytes,
        ),
        ("deliveries", "Messages queued to clients", tally.deliveries),
        (
            "snapshots",
            "Persisted messages sent to clients",
            tally.snapshots,
        ),
        (
            "bad_sessions",
            "Sessions of Django that could not be read",
            tally.bad_sessions,
        ),
        ("orders", "Orders obeyed", tally.orders),
        ("orders_refused", "Orders refused", tally.orders_refused),
        (
            "sent_bytes",
            "Bytes handed to client sockets",
            tally.sent_bytes,
        ),
        ("published", "Client messages published", tally.published),
        (
            "publishes_failed",
            "Client messages lost to age or to an error of Redis",
            tally.publishes_failed,
        ),
        (
            "oversize_messages",
            "Messages of Redis over the limit",
            tally.oversize,
        ),
        (
            "link_losses",
            "Times the link to Redis was lost or could not be had",
            tally.link.losses,
        ),
        (
            "redis_commands",
            "Commands sent to Redis",
            tally.link.commands,
        ),
    ];
    if let Some(link) = &tally.sessions_link {
        counters.extend([
            (
                "django_link_losses",
                "Times the link to the Redis of Django's sessions was lost or could not be had",
                link.losses,
            ),
            (
                "django_redis_commands",
                "Commands sent to the Redis of Django's sessions",
                link.commands,
            ),
        ]);
    }
    counters
}

fn one(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// Where the system sends connections is chance: whether it was fair, and who is full.
fn each(encoder: &mut DescriptorEncoder<'_>, sessions: &[u64]) -> fmt::Result {
    let (name, help) = ("worker_sessions", "Open sessions of each worker");
    let kind = ConstGauge::new(0u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (worker, sessions) in sessions.iter().enumerate() {
        let gauge = ConstGauge::new(*sessions);
        gauge.encode(family.encode_family(&[("worker", worker)])?)?;
    }
    Ok(())
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let kind = ConstCounter::new(0u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (word, value) in values {
        let counter = ConstCounter::new(value);
        counter.encode(family.encode_family(&[(label, word)])?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::LinkTally;

    #[test]
    fn every_reason_and_every_count_is_printed() {
        let mut tally = Tally {
            sessions: 3,
            reloads_refused: 2,
            config_at: std::time::Duration::from_millis(1_700_000_000_500),
            link: LinkTally {
                canary_delay: Some(std::time::Duration::from_millis(2)),
                ..LinkTally::default()
            },
            sessions_link: Some(LinkTally {
                losses: 4,
                ..LinkTally::default()
            }),
            ..Tally::default()
        };
        tally.closes[Close::Slow.index()] = 7;
        let text = text(&tally);
        for line in [
            "ws4redis_sessions 3.0",
            "ws4redis_closes_total{reason=\"slow\"} 7",
            "ws4redis_refusals_total{reason=\"redis_away\"} 0",
            "ws4redis_canary_delay_seconds 0.002",
            "ws4redis_reloads_total{result=\"ok\"} 0",
            "ws4redis_reloads_total{result=\"refused\"} 2",
            "ws4redis_config_last_reload_timestamp_seconds 1700000000.5",
            "ws4redis_django_link_up 0.0",
            "ws4redis_django_link_losses_total 4",
        ] {
            assert!(
                text.lines().any(|printed| printed == line),
                "{line} in {text}"
            );
        }
    }
}
