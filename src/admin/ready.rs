//! Whether clients are served.

use std::sync::atomic::{AtomicU8, Ordering};

/// How far the program is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Not listening yet.
    Starting,
    /// Clients are served.
    Serving,
    /// No new clients; what is in flight may end.
    Draining,
}

impl Life {
    /// A word for it.
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
    pub const fn serves(self) -> bool {
        matches!(self, Self::Serving)
    }
}

/// Told by whoever runs the listener, asked by the second one.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

const SERVING: u8 = 1;
const DRAINING: u8 = 2;

impl Readiness {
    /// Clients are served from now on; unless draining began already, which is never taken back.
    pub fn serving(&self) {
        self.0.fetch_max(SERVING, Ordering::Relaxed);
    }

    /// No new clients from now on.
    pub fn draining(&self) {
        self.0.fetch_max(DRAINING, Ordering::Relaxed);
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> Life {
        match self.0.load(Ordering::Relaxed) {
            0 => Life::Starting,
            SERVING => Life::Serving,
            _ => Life::Draining,
        }
    }
}
