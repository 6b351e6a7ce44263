//! Quantiles of histograms.

/// A bucket: its upper bound, and how many observations are at most that.
pub(super) type Bucket = (f64, f64);

/// The value below which this share of the observations is, in a straight line within a bucket. NaN where there is nothing
/// to say.
pub(super) fn quantile(share: f64, mut buckets: Vec<Bucket>) -> f64 {
    buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
    let Some((bound, all)) = buckets.last().copied().filter(|_| buckets.len() > 1) else { return f64::NAN };
    if bound != f64::INFINITY || all == 0.0 || all.is_nan() {
        return f64::NAN;
    }
    // Windows of rates may differ a little, so that a wider bucket seems to hold less.
    let mut most = 0.0_f64;
    for bucket in &mut buckets {
        most = most.max(bucket.1);
        bucket.1 = most;
    }
    let rank = share * buckets[buckets.len() - 1].1;
    let finite = &buckets[..buckets.len() - 1];
    let Some(at) = finite.iter().position(|(_, count)| *count >= rank) else { return finite[finite.len() - 1].0 };
    let (end, count) = finite[at];
    let (start, before) = if at == 0 { (0.0, 0.0) } else { finite[at - 1] };
    if at == 0 && end <= 0.0 {
        return end;
    }
    start + (end - start) * ((rank - before) / (count - before))
}
