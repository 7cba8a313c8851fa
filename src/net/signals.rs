//! A signal becomes a wake-up: SIGTERM and SIGINT ask for an orderly end, SIGHUP for the configuration to be read
//! anew.

use std::io;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracing::error;

use super::crew::Command;
use super::reactor::Reactor;
use crate::tick::Tick;

/// The signals that are watched.
pub(crate) struct Signals(signal_hook_mio::v1_0::Signals);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    End,
    Reload,
}

impl Signals {
    /// Without `reloads`, SIGHUP keeps the meaning that it had.
    pub(crate) fn watch(registry: &Registry, token: Token, reloads: bool) -> io::Result<Signals> {
        let mut signals = signal_hook_mio::v1_0::Signals::new([SIGTERM, SIGINT])?;
        if reloads {
            signals.add_signal(SIGHUP)?;
        }
        registry.register(&mut signals, token, Interest::READABLE)?;
        Ok(Signals(signals))
    }

    /// What was asked for since the last call. Of several equal signals one may be left.
    fn pending(&mut self) -> Vec<Wanted> {
        let wanted = |signal| match signal {
            SIGHUP => Wanted::Reload,
            _ => Wanted::End,
        };
        self.0.pending().map(wanted).collect()
    }
}

impl Reactor {
    pub(super) fn heed_signals(&mut self, now: Tick) {
        let Some(signals) = &mut self.signals else {
            return;
        };
        for wanted in signals.pending() {
            match wanted {
                Wanted::Reload => self.reload(now),
                Wanted::End => {
                    if self.hub.is_draining() {
                        error!("told twice to stop: stopping at once");
                        self.hub.stop(now);
                        self.crew.tell(|| Command::Stop);
                    }
                    self.drain(now);
                }
            }
        }
    }
}
