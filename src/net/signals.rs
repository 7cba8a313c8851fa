//! A signal becomes a wake-up: SIGTERM and SIGINT ask for an orderly end.

use std::io;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};

/// The signals that are watched.
pub(crate) struct Signals(signal_hook_mio::v1_0::Signals);

impl Signals {
    pub(crate) fn watch(registry: &Registry, token: Token) -> io::Result<Signals> {
        let mut signals = signal_hook_mio::v1_0::Signals::new([SIGTERM, SIGINT])?;
        registry.register(&mut signals, token, Interest::READABLE)?;
        Ok(Signals(signals))
    }

    /// How many came since the last call.
    pub(crate) fn pending(&mut self) -> usize {
        self.0.pending().count()
    }
}
