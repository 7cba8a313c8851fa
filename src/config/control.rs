//! The control channel: whose orders count.

use std::time::Duration;

use super::secret::KeyMaterial;

/// Who may end sessions by an order on `[prefix:]ws4redis:control`. Without a secret and without `unsigned` nobody
/// may, and the channel is not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlConfig {
    /// Keys of the signature that an order must carry, one a line; the first signs.
    pub secret: Option<KeyMaterial>,
    /// Do orders without a signature count? Then Redis' ACL must say who may publish there.
    pub unsigned: bool,
    /// How old a signature may be.
    pub max_age: Duration,
    /// Seconds after which an open session is judged anew, about; 0 is never.
    pub recheck_after: u32,
}

impl ControlConfig {
    /// Is the channel heard?
    pub fn is_on(&self) -> bool {
        self.secret.is_some() || self.unsigned
    }
}

impl Default for ControlConfig {
    fn default() -> ControlConfig {
        ControlConfig {
            secret: None,
            unsigned: false,
            max_age: Duration::from_secs(60),
            recheck_after: 0,
        }
    }
}
