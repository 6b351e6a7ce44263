//! How far an exchange had come, and when: what a trace draws its spans from.

use std::time::Duration;

/// Offsets from time zero. `None` where the exchange did not come so far. Where another backend was asked, they are those
/// of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// A backend was chosen.
    pub placed: Option<Duration>,
    /// A connection to it was opened for this exchange. `None` also where one was at hand.
    pub dialled: Option<Duration>,
    /// The first byte of the request's head was about to be sent.
    pub sent: Option<Duration>,
    /// The backend's connection had taken the whole request.
    pub uploaded: Option<Duration>,
    /// The head of the final response had arrived.
    pub head: Option<Duration>,
}
