//! Functions of the samples of a window.

use super::expr::OverTime;
use crate::alert::samples::Window;

/// The value for the samples of a window that ends at `end` and lasts `window` milliseconds; `None` where there are too few.
pub(super) fn over_time(function: OverTime, samples: Window<'_>, window: i64, end: i64) -> Option<f64> {
    if samples.len() == 0 {
        return None;
    }
    match function {
        OverTime::Count => Some(samples.len() as f64),
        OverTime::Avg => Some(samples.values().sum::<f64>() / samples.len() as f64),
        OverTime::Max => samples.values().reduce(f64::max),
        OverTime::Increase => increase(samples, window, end),
        OverTime::Rate => increase(samples, window, end).map(|it| it / (window as f64 / 1e3)),
    }
}

/// How much a counter grew. Its samples cover less than the window: the growth is extended to the edges, to an edge that is
/// further away than samples usually are by half of that, and not to before the counter was 0.
fn increase(samples: Window<'_>, window: i64, end: i64) -> Option<f64> {
    let (first, last) = samples.ends().filter(|_| samples.len() > 1)?;
    let mut grown = last.value - first.value;
    // A counter that falls was reset: what it had before counts too.
    grown += samples.lost();
    let seconds = |millis: i64| millis as f64 / 1e3;
    let covered = seconds(last.at - first.at);
    let usual = covered / (samples.len() - 1) as f64;
    let (mut before, after) = (seconds(first.at - (end - window)), seconds(end - last.at));
    if grown > 0.0 && first.value >= 0.0 {
        before = before.min(covered * (first.value / grown));
    }
    let extended = |gap: f64| if gap < usual * 1.1 { gap } else { usual / 2.0 };
    Some(grown * (covered + extended(before) + extended(after)) / covered)
}
