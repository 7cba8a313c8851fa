//! A configuration was read anew: other rules, keys and bounds for whoever comes next.
//!
//! Nothing is done to those who are connected: they have what they were granted, and bounds are looked up when
//! something is added. A handshake under way keeps the sources that it began with, and what its client has proven;
//! what that gives it is said by the rules that are in force when the last answer about it comes, so that a rule
//! which was tightened holds for all who are not in yet.

use super::asking::Application;
use super::session::State;
use super::{Access, Hub, page};
use crate::config::{Config, Reloaded};
use crate::report::{ReloadReport, Report};
use crate::tick::Tick;

impl Hub {
    /// A configuration was read, or could not be, and why. All of it is taken that a reload takes, or nothing.
    pub fn reload(&mut self, now: Tick, loaded: Result<Config, String>) {
        if self.is_draining() {
            let report = Report::Reload(ReloadReport::Ignored);
            return self.reports.push_back(report);
        }
        let report = match loaded.and_then(|config| self.take(now, config)) {
            Ok((changed, kept)) => {
                self.counts.reloads += 1;
                self.counts.config_at = self.unix_at(now);
                ReloadReport::Taken { changed, kept }
            }
            Err(why) => {
                self.counts.reloads_refused += 1;
                ReloadReport::Refused { why }
            }
        };
        self.reports.push_back(Report::Reload(report));
    }

    /// Takes it; says which settings are different now, and which would be after a restart.
    fn take(
        &mut self,
        now: Tick,
        new: Config,
    ) -> Result<(Vec<&'static str>, Vec<&'static str>), String> {
        let reloaded = self.config.reloaded(new);
        let Reloaded {
            config,
            changed,
            kept,
        } = reloaded.map_err(|unfitting| unfitting.to_string())?;
        // From here on nothing fails: it is all or nothing.
        self.access = Access::new(&config).map_err(|error| error.to_string())?;
        match &mut self.application {
            Some(application) => application.calls.reload(&config.callback),
            none => *none = Application::new(&config),
        }
        self.redis.reload(&config, self.random.fork());
        self.control.reload(now, config.limits.drain_per_second);
        self.page = config.playground.then(|| page::render(&config));
        let admitted = self.peers.sessions().filter(|(_, session)| {
            let state = &session.state;
            matches!(state, State::Admitting(_) | State::Open(_))
        });
        let from = admitted.map(|(_, session)| session.from);
        self.addresses.recount(from, &config);
        self.config = config;
        Ok((changed, kept))
    }
}
