//! How many sessions each address has, and how often it knocks, where that is limited.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::config::Config;
use crate::limits::ADDRESSES_MAX;
use crate::peer::From;
use crate::refusal::Refusal;
use crate::tick::Tick;

/// The counts. Empty while there are no limits.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// As many entries as there are sessions, at most.
    sessions: HashMap<IpAddr, usize>,
    /// Handshakes of the second that began at `since`.
    knocks: HashMap<IpAddr, u32>,
    since: Tick,
}

impl Addresses {
    /// One handshake more from there, if it may be.
    pub(crate) fn knock(&mut self, now: Tick, from: From, config: &Config) -> Result<(), Refusal> {
        let max = config.limits.handshakes_per_second_per_address_max;
        let Some(address) = counted(from, config).filter(|_| max > 0) else {
            return Ok(());
        };
        if now.since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.knocks.clear();
        }
        // Whoever has more addresses than this passes a limit by address anyway; who has few is in the table. An
        // address that is not counted may knock once more than it should, and `pending_max` holds for all.
        if self.knocks.len() >= ADDRESSES_MAX && !self.knocks.contains_key(&address) {
            return Ok(());
        }
        let knocks = self.knocks.entry(address).or_default();
        if *knocks >= max {
            return Err(Refusal::TooManyFromAddress);
        }
        *knocks += 1;
        Ok(())
    }

    /// One session more from there, if it may be.
    pub(crate) fn enter(&mut self, from: From, config: &Config) -> Result<(), Refusal> {
        let max = config.limits.sessions_per_address_max;
        let Some(address) = counted(from, config).filter(|_| max > 0) else {
            return Ok(());
        };
        let sessions = self.sessions.entry(address).or_default();
        if *sessions >= max {
            return Err(Refusal::TooManyFromAddress);
        }
        *sessions += 1;
        Ok(())
    }

    /// One less: it had entered. Whether it was counted then is told by the table, not by the configuration, which
    /// may have changed since.
    pub(crate) fn leave(&mut self, from: From) {
        let From::Ip(ip) = from else { return };
        let address = network(ip);
        if let Some(sessions) = self.sessions.get_mut(&address) {
            *sessions -= 1;
            if *sessions == 0 {
                self.sessions.remove(&address);
            }
        }
    }

    /// Counts those who are in anew: who is counted, and whether anybody is, may have changed.
    pub(crate) fn recount(&mut self, admitted: impl Iterator<Item = From>, config: &Config) {
        self.sessions.clear();
        if config.limits.sessions_per_address_max == 0 {
            return;
        }
        for address in admitted.filter_map(|from| counted(from, config)) {
            *self.sessions.entry(address).or_default() += 1;
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.sessions.values().sum()
    }
}

/// A trusted peer is a proxy: its address is not its clients'.
fn counted(from: From, config: &Config) -> Option<IpAddr> {
    match from {
        From::Ip(ip) if !config.trusts(ip) => Some(network(ip)),
        _ => None,
    }
}

/// What one client may have all of: an IPv4 address, or 64 bits of IPv6 ones (RFC 6177 gives every site at least
/// those, and RFC 8981 has each machine change its own daily).
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sessions: usize, handshakes: u32) -> Config {
        let mut config = Config::default();
        config.limits.sessions_per_address_max = sessions;
        config.limits.handshakes_per_second_per_address_max = handshakes;
        config.trusted = vec!["10.0.0.0/8".parse().unwrap()];
        config
    }

    fn ip(text: &str) -> From {
        From::Ip(text.parse().unwrap())
    }

    fn at(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    const REFUSED: Result<(), Refusal> = Err(Refusal::TooManyFromAddress);

    #[test]
    fn an_address_may_knock_so_often_in_a_second_and_again_in_the_next() {
        let config = config(0, 2);
        let mut addresses = Addresses::default();
        let mut knock = |ms, from: &str| addresses.knock(at(ms), ip(from), &config);
        assert_eq!(knock(5_000, "192.0.2.1"), Ok(()));
        assert_eq!(knock(5_500, "192.0.2.1"), Ok(()));
        assert_eq!(knock(5_999, "192.0.2.1"), REFUSED);
        assert_eq!(knock(5_999, "::ffff:192.0.2.1"), REFUSED);
        assert_eq!(knock(5_999, "192.0.2.2"), Ok(()));
        assert_eq!(knock(6_000, "192.0.2.1"), Ok(()));
    }

    #[test]
    fn proxies_and_unix_peers_are_not_counted_and_without_a_limit_nobody_is() {
        let limited = config(1, 1);
        let mut addresses = Addresses::default();
        for _ in 0..9 {
            for from in [ip("10.1.2.3"), From::Unix] {
                assert_eq!(addresses.knock(at(0), from, &limited), Ok(()));
                assert_eq!(addresses.enter(from, &limited), Ok(()));
            }
            let unlimited = config(0, 0);
            assert_eq!(addresses.knock(at(0), ip("192.0.2.1"), &unlimited), Ok(()));
            assert_eq!(addresses.enter(ip("192.0.2.1"), &unlimited), Ok(()));
        }
        assert_eq!((addresses.total(), addresses.knocks.len()), (0, 0));
    }

    #[test]
    fn the_table_does_not_grow_with_the_addresses_of_an_attacker_and_those_in_it_stay_limited() {
        let config = config(0, 1);
        let mut addresses = Addresses::default();
        for n in 0..3 * ADDRESSES_MAX as u32 {
            let from = From::Ip(std::net::Ipv4Addr::from_bits(0xc000_0000 + n).into());
            assert_eq!(addresses.knock(at(0), from, &config), Ok(()));
        }
        assert_eq!(addresses.knocks.len(), ADDRESSES_MAX);
        assert_eq!(addresses.knock(at(0), ip("192.0.0.0"), &config), REFUSED);
        assert_eq!(addresses.knock(at(1_000), ip("192.0.0.0"), &config), Ok(()));
        assert_eq!(addresses.knocks.len(), 1);
    }

    #[test]
    fn a_client_of_ipv6_has_64_bits_of_addresses_and_is_one() {
        let config = config(2, 1);
        let mut addresses = Addresses::default();
        assert_eq!(addresses.knock(at(0), ip("2001:db8::1"), &config), Ok(()));
        assert_eq!(
            addresses.knock(at(0), ip("2001:db8::2:1"), &config),
            REFUSED
        );
        assert_eq!(
            addresses.knock(at(0), ip("2001:db8:0:1::1"), &config),
            Ok(())
        );
    }

    #[test]
    fn who_leaves_makes_room_whatever_the_configuration_says_by_then() {
        let config = config(1, 0);
        let mut addresses = Addresses::default();
        assert_eq!(addresses.enter(ip("192.0.2.1"), &config), Ok(()));
        assert_eq!(addresses.enter(ip("192.0.2.1"), &config), REFUSED);
        addresses.leave(ip("192.0.2.1"));
        addresses.leave(ip("192.0.2.1"));
        assert_eq!(addresses.total(), 0);
        assert_eq!(addresses.enter(ip("192.0.2.1"), &config), Ok(()));
    }
}
