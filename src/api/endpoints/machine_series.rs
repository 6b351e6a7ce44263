//! The means of this machine in the intervals of a series.

use crate::api::error::ApiError;
use crate::api::state::Parts;
use crate::history::machine::{Fact, Facts, Means};
use crate::history::query::Range;
use crate::history::query::series::Series;

type Mean = Means<{ Fact::ALL.len() }>;

/// The means in each interval of a series; `None` where there was no reading.
///
/// The file has means by minute and by hour, to which the readings of the last minute are not added yet; memory has all of
/// this process in the last hour. Of intervals that are shorter than a minute, memory has all that there is.
pub(super) async fn facts(parts: &Parts, series: &Series) -> Result<Vec<Option<Facts>>, ApiError> {
    let nothing = || vec![Mean::default(); series.points.len()];
    let (mut kept, mut recent) = (nothing(), nothing());
    let length = series.interval.seconds();
    let place = |at: i64| usize::try_from((at - series.from).div_euclid(length)).ok();
    if !series.interval.is_fine() {
        let (step, range) = (series.interval.step(), Range { from: series.from * 1000, to: series.to() * 1000 });
        let node = parts.node.clone();
        for point in parts.ask(move |reading| reading.machine(step, range)).await? {
            if let Some(sum) = place(point.at).and_then(|at| kept.get_mut(at)).filter(|_| point.node == node) {
                sum.merge(point.means.count.max(1), &point.means.means());
            }
        }
    }
    for sample in parts.recent_machine.samples() {
        if let Some(sum) = place(sample.at.div_euclid(1000)).and_then(|at| recent.get_mut(at)) {
            sum.add(&sample.facts);
        }
    }
    Ok(kept.iter().zip(&recent).map(|(kept, recent)| fuller(kept, recent)).collect())
}

/// The means that are of more readings; of as many, those of memory.
fn fuller(kept: &Mean, recent: &Mean) -> Option<Facts> {
    let of = if kept.count > recent.count { kept } else { recent };
    (of.count > 0).then(|| of.means())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_goes_on_is_of_all_its_readings() {
        let of = |readings: &[f64]| {
            let mut means = Mean::default();
            for reading in readings {
                let mut facts: Facts = [None; Fact::ALL.len()];
                facts[Fact::Memory as usize] = Some(*reading);
                means.add(&facts);
            }
            means
        };
        let memory = |kept: &[f64], recent: &[f64]| fuller(&of(kept), &of(recent))?[Fact::Memory as usize];
        assert_eq!(memory(&[1.0], &[1.0, 3.0]), Some(2.0), "the file has its first reading alone");
        assert_eq!(memory(&[1.0, 1.0, 4.0], &[9.0]), Some(2.0), "an earlier process took the others");
        assert_eq!(memory(&[], &[5.0]), Some(5.0));
        assert_eq!(memory(&[], &[]), None);
    }
}
