//! The configuration is read anew. The loop stands still meanwhile: it is a matter of a millisecond, and asked for.

use std::error::Error;

use tracing::{debug, warn};

use super::crew::{Command, further};
use super::reactor::Reactor;
use crate::config::Config;
use crate::tick::Tick;

/// Reads the configuration as it is now, or says why that cannot be.
pub(super) type Loader = Box<dyn FnMut() -> Result<Config, Box<dyn Error + Send + Sync>> + Send>;

impl Reactor {
    pub(super) fn reload(&mut self, now: Tick) {
        let Some(loader) = &mut self.loader else {
            warn!("asked to reload, but nobody said from where (Gateway::on_reload)");
            return;
        };
        let began = self.clock.now();
        let mut loaded = loader().map_err(|error| error.to_string());
        if let Ok(config) = &mut loaded {
            self.fit.apply(config);
            *config = config.share(self.fit.workers());
            self.crew
                .tell(|| Command::Reload(Box::new(further(config))));
        }
        self.hub.reload(now, loaded);
        let micros = self.clock.now().since(began).as_micros() as u64;
        debug!(micros, "the loop stood still to reload");
    }
}
