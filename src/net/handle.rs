//! How other threads speak to a gateway that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;

/// A handle by which another thread ends the gateway, or has it read its configuration anew.
#[derive(Debug, Clone)]
pub struct Handle {
    drain: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Handle {
    pub(super) fn new(waker: Arc<Waker>) -> Handle {
        Handle {
            drain: Arc::default(),
            reload: Arc::default(),
            waker,
        }
    }

    /// Begins to drain; [`Gateway::run`](super::Gateway::run) returns when it is over.
    pub fn drain(&self) {
        self.drain.store(true, Ordering::Release);
        self.wake();
    }

    /// Has the configuration read anew, by what was given to [`Gateway::on_reload`](super::Gateway::on_reload).
    /// Asked for again before that is done, it is done once.
    pub fn reload(&self) {
        self.reload.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn wants_drain(&self) -> bool {
        self.drain.load(Ordering::Acquire)
    }

    /// Was a reload asked for since the last time?
    pub(super) fn wants_reload(&self) -> bool {
        self.reload.swap(false, Ordering::AcqRel)
    }

    pub(super) fn wake(&self) {
        // It fails only if the gateway is gone.
        let _ = self.waker.wake();
    }
}
