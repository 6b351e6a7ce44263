//! The less busy of two chosen at random (Mitzenmacher: The power of two choices in randomized load balancing, 2001):
//! threads that choose at the same moment, from the same figures, do not all choose the same backend.
//!
//! Where some backends are far away, one of the two is a near one: so a near one is always compared, and a far one is
//! chosen once the near ones are busier than the way is long.
//!
//! How busy a backend is, is the time until it is done with one more exchange: the exchanges in flight and this one, by
//! their mean duration, and by weight. A backend that fails fast ends its exchanges fast; so failures do not count as
//! durations, but add a penalty. One that is slow counts as so many times as slow.

use std::time::Duration;

use super::candidate::Candidate;
use crate::fleet::load;

/// The mean duration where no backend has ended an exchange.
const UNKNOWN_SERVICE: Duration = Duration::from_secs(1);

/// The less busy of two different candidates chosen by `random`.
pub(super) fn choose<'a>(usable: &[&'a Candidate], random: u64) -> Option<&'a Candidate> {
    let count = usable.len() as u64;
    if count < 2 {
        return usable.first().copied();
    }
    let below = |bits: u64, bound: u64| ((bits * bound) >> 32) as usize;
    let first = below(random >> 32, count);
    let second = below(random & u64::from(u32::MAX), count - 1);
    let (one, other) = (usable[first], usable[if second >= first { second + 1 } else { second }]);
    let one = near(usable, one, other, random).unwrap_or(one);
    let (cost_one, cost_other) = (cost(one, other), cost(other, one));
    Some(if cost_other < cost_one { other } else { one })
}

/// A near candidate in place of the first of two far ones.
fn near<'a>(usable: &[&'a Candidate], one: &Candidate, other: &Candidate, random: u64) -> Option<&'a Candidate> {
    let shortest = usable.iter().map(|candidate| candidate.detour).min()?;
    if one.detour == shortest || other.detour == shortest {
        return None;
    }
    let near = || usable.iter().copied().filter(move |candidate| candidate.detour == shortest);
    near().nth((random % near().count() as u64) as usize)
}

/// The seconds until the candidate would be done with one more exchange, by weight. As far as its own mean is unknown the
/// other's is assumed: it is neither preferred nor avoided, and one that once was slow is tried again.
fn cost(candidate: &Candidate, other: &Candidate) -> f64 {
    let seconds = |service: Duration| service.as_secs_f64();
    let service = match (candidate.service, other.service) {
        (Some(own), Some(other)) => {
            seconds(other) + (seconds(own) - seconds(other)) * load::confidence(candidate.silence)
        }
        (Some(only), None) | (None, Some(only)) => seconds(only),
        (None, None) => seconds(UNKNOWN_SERVICE),
    };
    let each = service * candidate.slowness + seconds(candidate.penalty);
    (candidate.in_flight as f64 + 1.0) * each / candidate.weight + seconds(candidate.detour)
}
