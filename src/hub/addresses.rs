//! How many sessions each address has, where that is limited.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::Config;
use crate::peer::From;
use crate::refusal::Refusal;

/// The count. Empty while there is no limit.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    sessions: HashMap<IpAddr, usize>,
}

impl Addresses {
    /// One session more from there, if it may be.
    pub(crate) fn enter(&mut self, from: From, config: &Config) -> Result<(), Refusal> {
        let Some(address) = counted(from, config) else {
            return Ok(());
        };
        let sessions = self.sessions.entry(address).or_default();
        if *sessions >= config.limits.sessions_per_address_max {
            return Err(Refusal::TooManyFromAddress);
        }
        *sessions += 1;
        Ok(())
    }

    /// One less: it had entered.
    pub(crate) fn leave(&mut self, from: From, config: &Config) {
        let Some(address) = counted(from, config) else {
            return;
        };
        if let Some(sessions) = self.sessions.get_mut(&address) {
            *sessions -= 1;
            if *sessions == 0 {
                self.sessions.remove(&address);
            }
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.sessions.values().sum()
    }
}

/// A trusted peer is a proxy: its address is not its clients'.
fn counted(from: From, config: &Config) -> Option<IpAddr> {
    match from {
        From::Ip(ip) if config.limits.sessions_per_address_max > 0 && !config.trusts(ip) => {
            Some(ip.to_canonical())
        }
        _ => None,
    }
}
