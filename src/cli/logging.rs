//! Where log lines go and what they look like.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use ws4redis::config::{Log, LogFormat};

/// Log lines go to standard error from now on: standard output is for what was asked for.
pub(super) fn start(log: &Log) -> Result<(), BadFilter> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(stderr)
        // It would be told on standard error, too, by a macro that panics: a log that nobody reads any more, such
        // as that of a terminal that was closed, would end the gateway.
        .log_internal_errors(false);
    match log.format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Auto if !stderr().is_terminal() => lines.json().flatten_event(true).init(),
        LogFormat::Auto | LogFormat::Text => lines
            .with_target(false)
            .with_ansi(stderr().is_terminal())
            .init(),
    }
    Ok(())
}

/// The setting `log` is no filter.
#[derive(Debug, thiserror::Error)]
#[error("log must be a filter such as info or ws4redis=debug, not {0:?}")]
pub(super) struct BadFilter(String);

/// The filter, if it is one.
pub(super) fn filter(log: &Log) -> Result<EnvFilter, BadFilter> {
    EnvFilter::builder()
        .parse(&log.filter)
        .map_err(|_| BadFilter(log.filter.clone()))
}

impl From<BadFilter> for super::Failure {
    fn from(error: BadFilter) -> super::Failure {
        super::Failure::Usage(error.to_string())
    }
}
