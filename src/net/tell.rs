//! One log line for each report. The words are chosen so that a line says what happened and, where there is
//! something to do, what.

use tracing::{debug, error, info, warn};

use crate::close::Close;
use crate::peer::{From, RedisOf};
use crate::report::{ControlReport, LinkReport, ReloadReport, Report};

pub(crate) fn tell(report: &Report) {
    match report {
        Report::Opened {
            id,
            from,
            facility,
            channels,
        } => {
            debug!(%id, %from, %facility, channels, "session opened");
        }
        Report::Closed { id, close, lasted } => {
            let (reason, seconds) = (close.word(), lasted.as_secs_f64());
            match close {
                // The everyday endings; the counters, and the line of the order, tell how many.
                Close::Client(_) | Close::Gone | Close::Drain | Close::Revoked | Close::Recheck => {
                    debug!(%id, reason, seconds, "session closed");
                }
                _ => info!(%id, reason, seconds, "session closed"),
            }
        }
        Report::Refused { from, refusal, why } => {
            let (status, reason) = (refusal.status().0, refusal.word());
            let line = why.as_deref().unwrap_or(refusal.line());
            info!(%from, status, reason, "request refused: {line}");
        }
        // At this level, since whoever sends cookies at random could fill the log.
        Report::BadSession { from, why } => {
            debug!(%from, "a session cannot be read, and its client is nobody: {why}");
        }
        Report::ReservedChannels { from, count } => tell_reserved(*from, *count),
        Report::Control(control) => tell_control(control),
        Report::Link(link) => tell_link(link),
        Report::Oversize { bytes } => {
            warn!(
                bytes,
                "a message from Redis is over limits.redis_message_bytes_max and was skipped"
            );
        }
        Report::ReadRefused { error } => {
            warn!(
                error,
                "Redis refuses a GET, and so new sessions; `ws4redis check` says which rights are needed"
            );
        }
        Report::SubscribeRefused { error } => {
            warn!(
                error,
                "Redis refuses a SUBSCRIBE; `ws4redis check` says which rights are needed"
            );
        }
        Report::PublishRefused { error } => {
            warn!(
                error,
                "Redis refuses a client's message; `ws4redis check` says which rights are needed"
            );
        }
        Report::PublishesExpired { count } => {
            warn!(
                count,
                "messages of clients waited too long for Redis and are lost"
            );
        }
        Report::BudgetReached { closed } => {
            warn!(
                closed,
                "limits.budget_bytes_max is reached; the slowest sessions were closed"
            );
        }
        Report::Reload(reload) => tell_reload(reload),
        Report::Draining { sessions } => info!(sessions, "draining"),
        Report::Drained { left } => info!(left, "drained"),
    }
}

fn tell_reserved(from: From, count: usize) {
    warn!(
        %from,
        count,
        "channels that are the gateways' own were named for a client, which does not get them"
    );
}

fn tell_control(control: &ControlReport) {
    match control {
        // Logging out is everyday, and on most gateways meets nobody.
        ControlReport::Obeyed {
            action,
            by,
            sessions: 0,
            handshakes: 0,
        } => debug!(action, by, "an order met nobody"),
        ControlReport::Obeyed {
            action,
            by,
            sessions,
            handshakes,
        } => info!(action, by, sessions, handshakes, "an order met clients"),
        ControlReport::Refused { why, count } => {
            warn!(count, "an order on the control channel is refused: {why}");
        }
    }
}

fn tell_reload(reload: &ReloadReport) {
    match reload {
        ReloadReport::Taken { changed, kept } => {
            match &changed[..] {
                [] => info!("configuration reloaded: nothing to change"),
                names => info!("configuration reloaded: {} changed", names.join(", ")),
            }
            if !kept.is_empty() {
                let names = kept.join(", ");
                warn!("{names}: changed, but only a restart takes them");
            }
        }
        ReloadReport::Refused { why } => {
            error!("the configuration is not reloaded, the old one stays: {why}");
        }
        ReloadReport::Ignored => info!("draining: the configuration is not reloaded"),
    }
}

fn tell_link(link: &LinkReport) {
    match link {
        LinkReport::Ready { version, channels } => {
            info!(version, channels, "link to Redis is up");
        }
        LinkReport::SessionsReady { version } => {
            info!(version, "link to {} is up", RedisOf::Sessions.name());
        }
        LinkReport::Down { of, why, retry_in } => {
            let retry_ms = retry_in.as_millis() as u64;
            let (name, new) = match of {
                RedisOf::Messages => (of.name(), "new ones"),
                RedisOf::Sessions => (of.name(), "clients with a session cookie"),
            };
            warn!(
                retry_ms,
                "no link to {name}: {why}; sessions stay open, {new} get 503 until it is back"
            );
        }
    }
}
