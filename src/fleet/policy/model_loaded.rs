//! A backend that has the model in memory: with a free slot, else at all, else one that is loading it, else any. Within
//! each group the less busy of two.
//!
//! Where waiting for a slot takes longer than what remains of a load on another backend, or than a whole load, that
//! backend gets the exchange. So when many ask for a cold model at once the first begins a load and the others join it. A
//! second load begins once those that wait for the first would queue behind each other for longer than a load: it takes
//! memory from other models, so it is not begun for a place in a short queue.

use std::time::{Duration, Instant};

use super::candidate::{Candidate, Residence, Standing, Subset};
use super::least_busy;
use crate::exchange::placement::PlacementReason;

/// Slots where their number is unknown: what Ollama has unless configured otherwise.
const UNKNOWN_SLOTS: u32 = 1;

/// The mean duration where the backend has ended no exchange, in seconds.
const UNKNOWN_SERVICE: f64 = 5.0;

/// Groups of candidates, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    FreeSlot,
    Resident,
    Loading,
    Cold,
}

impl Group {
    fn of(candidate: &Candidate) -> Self {
        match candidate.residence {
            Residence::Resident if has_free_slot(candidate) => Self::FreeSlot,
            Residence::Resident => Self::Resident,
            Residence::Loading(_) => Self::Loading,
            Residence::Cold => Self::Cold,
        }
    }

    const fn reason(self) -> PlacementReason {
        match self {
            Self::FreeSlot | Self::Resident => PlacementReason::Resident,
            Self::Loading => PlacementReason::Join,
            Self::Cold => PlacementReason::Cold,
        }
    }
}

/// A slot of one that is slow is as good as waiting for another's.
fn has_free_slot(candidate: &Candidate) -> bool {
    candidate.in_flight < u64::from(slots(candidate)) && candidate.slowness <= 1.0
}

/// Whether loads matter to the choice: some have the model not in memory, and none that works has it there and a slot for
/// one more exchange.
pub(in crate::fleet) fn may_load(candidates: &[Candidate]) -> bool {
    let is_free = |it: &Candidate| it.standing == Standing::Up && Group::of(it) == Group::FreeSlot;
    let is_cold = |it: &Candidate| it.residence == Residence::Cold;
    candidates.iter().any(is_cold) && !candidates.iter().any(is_free)
}

pub(super) fn choose<'a>(
    usable: &[&'a Candidate],
    now: Instant,
    random: u64,
) -> Option<(&'a Candidate, PlacementReason)> {
    let best = usable.iter().map(|candidate| Group::of(candidate)).min()?;
    let within = |group| usable.iter().copied().filter(move |candidate| Group::of(candidate) == group);
    let has_others = || usable.iter().any(|candidate| Group::of(candidate) > best);
    if matches!(best, Group::Resident | Group::Loading) && has_others() {
        let first = |wait: fn(&Candidate, Instant) -> f64| within(best).map(|it| wait(it, now)).reduce(f64::min);
        let (begin, queue) = (first(start)?, first(|candidate, _| queue(candidate))?);
        for (other, reason, wait) in
            [(Group::Loading, PlacementReason::Join, begin), (Group::Cold, PlacementReason::Spill, queue)]
        {
            let sooner: Subset<'_> = within(other).filter(|candidate| start(candidate, now) < wait).collect();
            if let Some(chosen) = least_busy::choose(&sooner, random).filter(|_| other != best) {
                return Some((chosen, reason));
            }
        }
    }
    let group: Subset<'_> = within(best).collect();
    Some((least_busy::choose(&group, random)?, best.reason()))
}

/// The seconds that the exchanges beyond the backend's slots take, one more among them.
fn queue(candidate: &Candidate) -> f64 {
    let slots = slots(candidate);
    let ahead = (candidate.in_flight + 1).saturating_sub(u64::from(slots)) as f64;
    let service = candidate.service.map_or(UNKNOWN_SERVICE, |service| service.as_secs_f64());
    service * candidate.slowness * ahead / f64::from(slots)
}

/// The seconds until the backend would begin one more exchange: a load, or what remains of it, and the queue.
fn start(candidate: &Candidate, now: Instant) -> f64 {
    let load = match candidate.residence {
        Residence::Resident => Duration::ZERO,
        Residence::Loading(until) => until.saturating_duration_since(now),
        Residence::Cold => candidate.load,
    };
    (load + candidate.detour).as_secs_f64() + queue(candidate)
}

fn slots(candidate: &Candidate) -> u32 {
    candidate.slots.unwrap_or(UNKNOWN_SLOTS).max(1)
}
