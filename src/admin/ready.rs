//! Whether clients are served.

use std::sync::atomic::{AtomicU8, Ordering};

/// What `/readyz` and `/health` report. It only ever advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadinessState {
    /// Not listening yet.
    Starting,
    /// Clients are served.
    Serving,
    /// New clients are refused; exchanges in flight go on.
    Draining,
}

impl ReadinessState {
    /// As `/readyz` and `/health` write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }

    /// Whether new clients are served.
    #[must_use]
    pub const fn is_serving(self) -> bool {
        matches!(self, Self::Serving)
    }
}

/// Whether clients are served: set by the program, read by the second listener.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

const SERVING: u8 = 1;
const DRAINING: u8 = 2;

impl Readiness {
    /// Clients are served from now on. Has no effect once draining has begun.
    pub fn set_serving(&self) {
        self.0.fetch_max(SERVING, Ordering::Relaxed);
    }

    /// New clients are refused from now on.
    pub fn set_draining(&self) {
        self.0.fetch_max(DRAINING, Ordering::Relaxed);
    }

    /// [`ReadinessState::Starting`] until [`Readiness::set_serving`].
    #[must_use]
    pub fn state(&self) -> ReadinessState {
        match self.0.load(Ordering::Relaxed) {
            0 => ReadinessState::Starting,
            SERVING => ReadinessState::Serving,
            _ => ReadinessState::Draining,
        }
    }
}
