//! Functions of the samples of a window.

use super::expr::OverTime;
use crate::alert::samples::Point;

/// The value for the samples of a window that ends at `end` and lasts `window` milliseconds; `None` where there are too few.
pub(super) fn over_time(function: OverTime, points: &[Point], window: i64, end: i64) -> Option<f64> {
    let values = || points.iter().map(|point| point.value);
    if points.is_empty() {
        return None;
    }
    match function {
        OverTime::Count => Some(points.len() as f64),
        OverTime::Avg => Some(values().sum::<f64>() / points.len() as f64),
        OverTime::Max => values().reduce(f64::max),
        OverTime::Increase => increase(points, window, end),
        OverTime::Rate => increase(points, window, end).map(|it| it / (window as f64 / 1e3)),
    }
}

/// How much a counter grew. Its samples cover less than the window: the growth is extended to the edges, to an edge that is
/// further away than samples usually are by half of that, and not to before the counter was 0.
fn increase(points: &[Point], window: i64, end: i64) -> Option<f64> {
    let [first, .., last] = points else { return None };
    let mut grown = last.value - first.value;
    // A counter that falls was reset: what it had before counts too.
    grown += points.windows(2).filter(|pair| pair[1].value < pair[0].value).map(|pair| pair[0].value).sum::<f64>();
    let seconds = |millis: i64| millis as f64 / 1e3;
    let covered = seconds(last.at - first.at);
    let usual = covered / (points.len() - 1) as f64;
    let (mut before, after) = (seconds(first.at - (end - window)), seconds(end - last.at));
    if grown > 0.0 && first.value >= 0.0 {
        before = before.min(covered * (first.value / grown));
    }
    let extended = |gap: f64| if gap < usual * 1.1 { gap } else { usual / 2.0 };
    Some(grown * (covered + extended(before) + extended(after)) / covered)
}
