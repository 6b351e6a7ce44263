//! What all observations share: their settings, and what is known of models.

use std::sync::Arc;
use std::time::Duration;

use super::names::ModelNames;
use super::residency::Residency;

/// The configuration of the observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A gap between token-bearing frames above this counts as a stall. `None` counts none.
    pub stall: Option<Duration>,
}

/// What all observations of a thread share.
#[derive(Clone, Debug)]
pub struct ObservationContext {
    /// The configuration.
    pub settings: Settings,
    /// Which models have exchanges in flight, and which are in memory.
    pub residency: Arc<Residency>,
    /// Maps model names to the names that backends list.
    pub names: Arc<dyn ModelNames>,
}
