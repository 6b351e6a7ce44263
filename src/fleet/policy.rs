//! How a backend is chosen for an exchange. Pure: what is known of the backends, the time and a random number are
//! arguments.
//!
//! A choice has two steps. The first keeps the backends that may be used: those that work, else those that were taken
//! out because of failures, else all, so that a client gets a backend's own answer and not one of ours. The second is
//! the [`Policy`]. What a choice changes (a turn taken, a trial or a load begun) is the caller's to note.
//!
//! With one backend none of this runs.

mod candidate;
mod least_busy;
mod model_loaded;
mod round_robin;
#[cfg(test)]
mod tests;

use std::time::Instant;

pub use candidate::{Candidate, Pick, Residence, Standing};
pub use round_robin::take_turn;

use crate::exchange::placement::PlacementReason;
use candidate::{Subset, usable};
pub(super) use model_loaded::may_load;

/// How to choose among the backends that may serve an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// In turn, by weight.
    RoundRobin,
    /// The less busy of two chosen at random.
    LeastBusy,
    /// One that has the model in memory, unless waiting there takes longer than loading it elsewhere.
    ModelLoaded,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::RoundRobin, Self::LeastBusy, Self::ModelLoaded];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::ModelLoaded => "model_loaded",
        }
    }
}

/// Chooses one of the candidates; `None` if there are no candidates that can be used. `random` is uniform over `u64`.
#[must_use]
pub fn pick(policy: Policy, candidates: &[Candidate], now: Instant, random: u64) -> Option<Pick> {
    if let Some(trial) = candidates.iter().find(|candidate| candidate.standing == Standing::Trial) {
        return Some(Pick { backend: trial.backend, reason: PlacementReason::Trial });
    }
    let (is_usable, is_panic) = usable(candidates);
    let usable: Subset<'_> = candidates.iter().filter(|candidate| is_usable(candidate.standing)).collect();
    let (chosen, reason) = match policy {
        Policy::RoundRobin => (round_robin::choose(&usable)?, PlacementReason::RoundRobin),
        Policy::LeastBusy => (least_busy::choose(&usable, random)?, PlacementReason::LeastBusy),
        Policy::ModelLoaded => model_loaded::choose(&usable, now, random)?,
    };
    Some(Pick { backend: chosen.backend, reason: if is_panic { PlacementReason::Panic } else { reason } })
}
