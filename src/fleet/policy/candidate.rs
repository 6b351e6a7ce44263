//! What is known of the backends to choose from, and which of them may be chosen.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::exchange::placement::PlacementReason;

/// What is known of a backend that could serve an exchange.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its index in the fleet.
    pub backend: usize,
    /// Its share of the traffic in relation to the others', above zero.
    pub weight: f64,
    /// Turns that it is owed under [`super::Policy::RoundRobin`], in units of weight: zero at first, then as [`super::take_turn`] leaves it.
    pub credit: f64,
    /// Exchanges placed on it that have not ended.
    pub in_flight: u64,
    /// How many exchanges it works on at once; `None` is unknown.
    pub slots: Option<u32>,
    /// The mean time of its latest exchanges; `None` while none has ended.
    pub service: Option<Duration>,
    /// How long ago the latest of these ended. That says how much the mean still does.
    pub silence: Duration,
    /// The time that recent failures add to each exchange. It shrinks as they recede.
    pub penalty: Duration,
    /// How many times slower than usual it generates; 1 where it is not slow.
    pub slowness: f64,
    /// The time that each exchange takes longer as the backend is far away.
    pub detour: Duration,
    /// Whether it works.
    pub standing: Standing,
    /// Whether it has the model of the exchange in memory.
    pub residence: Residence,
    /// How long it takes to load that model, where it is not in memory.
    pub load: Duration,
}

/// Some of the candidates, without an allocation where they are few.
pub(super) type Subset<'a> = SmallVec<[&'a Candidate; 16]>;

/// Whether a backend works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does, as far as is known.
    Up,
    /// It failed, and one exchange may now find out whether it works again.
    Trial,
    /// Its answers were failures.
    Ejected,
    /// It accepts no connection.
    Down,
}

/// Whether a backend has a model in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// It has.
    Resident,
    /// It is loading it, until about this instant.
    Loading(Instant),
    /// It has not, or that is unknown.
    Cold,
}

/// A chosen backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its index in the fleet.
    pub backend: usize,
    /// Why it was chosen.
    pub reason: PlacementReason,
}

/// Which candidates may be used, and whether that disregards failures: those that are up, unless they are fewer than
/// half of those that accept connections, as then each would get more than twice its load.
pub(super) fn usable(candidates: &[Candidate]) -> (fn(Standing) -> bool, bool) {
    let count = |holds: fn(Standing) -> bool| candidates.iter().filter(|it| holds(it.standing)).count();
    let (up, reachable) = (count(is_up), count(is_reachable));
    match (up, reachable) {
        (0, 0) => (|_| true, true),
        (1.., _) if up * 2 >= reachable => (is_up, false),
        _ => (is_reachable, true),
    }
}

fn is_up(standing: Standing) -> bool {
    standing == Standing::Up
}

fn is_reachable(standing: Standing) -> bool {
    standing != Standing::Down
}
