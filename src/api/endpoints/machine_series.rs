//! The means of this machine in the intervals of a series.

use crate::api::error::ApiError;
use crate::api::state::Parts;
use crate::history::machine::{Fact, Facts, Means};
use crate::history::query::Range;
use crate::history::query::series::Series;

/// The means in each interval of a series; `None` where there was no reading.
///
/// The file has means by minute and by hour, of which the newest readings may be missing: these are in memory for an
/// hour. Of intervals that are shorter than a minute, memory has all that there is.
pub(super) async fn facts(parts: &Parts, series: &Series) -> Result<Vec<Option<Facts>>, ApiError> {
    let mut means = vec![Means::<{ Fact::ALL.len() }>::default(); series.points.len()];
    let length = series.interval.seconds();
    let place = |at: i64| usize::try_from((at - series.from).div_euclid(length)).ok();
    let mut known_to = series.from;
    if !series.interval.is_fine() {
        let (step, range) = (series.interval.step(), Range { from: series.from * 1000, to: series.to() * 1000 });
        let node = parts.node.clone();
        for point in parts.ask(move |reading| reading.machine(step, range)).await? {
            let Some(sum) = place(point.at).and_then(|at| means.get_mut(at)).filter(|_| point.node == node) else {
                continue;
            };
            sum.merge(point.means.count.max(1), &point.means.means());
            known_to = known_to.max(point.at + step.seconds());
        }
    }
    for sample in parts.recent_machine.samples() {
        let at = sample.at.div_euclid(1000);
        if let Some(sum) = place(at).and_then(|at| means.get_mut(at)).filter(|_| at >= known_to) {
            sum.add(&sample.facts);
        }
    }
    Ok(means.iter().map(|means| (means.count > 0).then(|| means.means())).collect())
}
