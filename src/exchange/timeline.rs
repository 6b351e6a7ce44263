//! When an exchange reached each step; traces build their spans from it.

use std::time::Duration;

/// Offsets from time zero. `None` where the exchange did not reach the step. Where several backends were tried, they
/// are those of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// A backend was chosen.
    pub placed: Option<Duration>,
    /// A connection to it was opened. `None` also where a pooled one was used.
    pub dialled: Option<Duration>,
    /// The first byte of the request's head was about to be sent.
    pub sent: Option<Duration>,
    /// The backend's connection had taken the whole request.
    pub uploaded: Option<Duration>,
    /// The head of the final response had arrived.
    pub head: Option<Duration>,
}
