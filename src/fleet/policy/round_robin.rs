//! In turn, by weight: smooth weighted round robin, as in nginx.
//!
//! Each choice gives every candidate its weight as credit, and takes the sum from the one with the most. Over any span
//! a backend's share is close to its weight's, and its turns are spread evenly. The sum of all credits stays zero for
//! whichever candidates a model leaves, so no backend has turns to catch up on after it was not a candidate.

use super::candidate::{Candidate, Pick, usable};
use crate::exchange::placement::PlacementReason;

/// The candidate with the most credit, the first of equals.
pub(super) fn choose<'a>(usable: &[&'a Candidate]) -> Option<&'a Candidate> {
    let most = |best: &'a Candidate, next: &'a Candidate| if after(next) > after(best) { next } else { best };
    usable.iter().copied().reduce(most)
}

fn after(candidate: &Candidate) -> f64 {
    candidate.credit + candidate.weight
}

/// Changes the credits for a pick among these candidates. A trial is no turn.
pub fn take_turn(candidates: &mut [Candidate], pick: Pick) {
    if pick.reason == PlacementReason::Trial {
        return;
    }
    let (is_usable, _) = usable(candidates);
    let mut total = 0.0;
    for candidate in candidates.iter_mut().filter(|candidate| is_usable(candidate.standing)) {
        candidate.credit += candidate.weight;
        total += candidate.weight;
    }
    if let Some(chosen) = candidates.iter_mut().find(|candidate| candidate.backend == pick.backend) {
        chosen.credit -= total;
    }
}
