//! Percentiles that can be merged: DDSketch with a relative error of 1 %.
//!
//! Always of one configuration: sketches that were read from a file merge with no other.

use sketches_ddsketch::{Config, DDSketch};

/// The values of one measure. It allocates only once there is a value.
#[derive(Clone, Default)]
pub struct Sketch(Option<Box<DDSketch>>);

impl Sketch {
    /// Adds a value `times` times. One that is negative or not finite is left out.
    pub fn add(&mut self, value: f64, times: u64) {
        if value.is_finite() && value >= 0.0 && times > 0 {
            self.0.get_or_insert_with(|| Box::new(DDSketch::new(Config::defaults()))).add_with_count(value, times);
        }
    }

    /// Adds the values of another sketch.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Some(own), Some(other)) => own.merge(other).expect("all have the same configuration"),
            (own @ None, Some(other)) => *own = Some(other.clone()),
            (_, None) => {}
        }
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |sketch| sketch.count() as u64)
    }

    /// The sum of all values; `None` without any.
    #[must_use]
    pub fn sum(&self) -> Option<f64> {
        self.0.as_ref().and_then(|sketch| sketch.sum())
    }

    /// The smallest value with at least this share of all values at or below it (the nearest rank); the share is from 0 to 1.
    /// `None` without any value.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let sketch = self.0.as_ref()?;
        let last = sketch.count().saturating_sub(1) as f64;
        let rank = ((share * (last + 1.0)).ceil() - 1.0).clamp(0.0, last);
        // The sketch rounds down between the ranks, so that of three values the second would be the 99th percentile. Half
        // a rank more is this rank; at either end it knows the value itself.
        let between = if rank == 0.0 || rank == last { rank } else { rank + 0.5 };
        sketch.quantile(if last == 0.0 { 1.0 } else { between / last }).ok().flatten()
    }

    /// As stored; `None` without a value.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        self.0.as_ref().map(|sketch| sketch.to_java_bytes())
    }

    /// From the stored form. One that cannot be read counts as empty.
    #[must_use]
    pub fn from_bytes(bytes: Option<&[u8]>) -> Self {
        Self(bytes.and_then(|bytes| DDSketch::from_java_bytes(bytes).ok()).map(Box::new))
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Sketch({} values, sum {:?})", self.count(), self.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_merged_sketches_are_right_to_a_hundredth_also_after_storing() {
        let mut parts: Vec<Sketch> = vec![Sketch::default(); 10];
        for value in 1..=10_000_u32 {
            parts[value as usize % 10].add(f64::from(value), 1);
        }
        let mut all = Sketch::default();
        for part in &parts {
            all.merge(&Sketch::from_bytes(part.to_bytes().as_deref()));
        }
        assert_eq!(all.count(), 10_000);
        for share in [0.5, 0.95, 0.99, 0.999] {
            let (found, exact) = (all.quantile(share).expect("values"), share * 10_000.0);
            assert!((found / exact - 1.0).abs() < 0.011, "{share}: {found} for {exact}");
        }
        assert!((all.sum().expect("values") - 50_005_000.0).abs() < 1.0);
    }

    #[test]
    fn a_percentile_of_few_values_is_the_one_that_so_many_are_at_or_below() {
        for count in 1..=40_u32 {
            let mut sketch = Sketch::default();
            (1..=count).for_each(|value| sketch.add(f64::from(value), 1));
            for (share, percent) in [(0.5, 50), (0.9, 90), (0.95, 95), (0.99, 99)] {
                let exact = f64::from((count * percent).div_ceil(100));
                let found = sketch.quantile(share).expect("values");
                assert!((found / exact - 1.0).abs() <= 0.0101, "p{percent} of {count}: {found} for {exact}");
            }
            assert_eq!((sketch.quantile(0.0), sketch.quantile(1.0)), (Some(1.0), Some(f64::from(count))));
        }
    }

    #[test]
    fn a_stored_sketch_merges_with_a_fresh_one() {
        let mut fresh = Sketch::default();
        fresh.add(1.0, 1);
        let mut stored = Sketch::from_bytes(fresh.to_bytes().as_deref());
        stored.merge(&fresh);
        assert_eq!(stored.count(), 2);
    }

    #[test]
    fn without_a_value_there_is_no_percentile() {
        let mut sketch = Sketch::default();
        sketch.add(f64::NAN, 1);
        sketch.add(f64::INFINITY, 1);
        sketch.add(-1.0, 1);
        assert_eq!((sketch.count(), sketch.quantile(0.5), sketch.to_bytes()), (0, None, None));
        assert_eq!(Sketch::from_bytes(Some(b"nonsense")).count(), 0);
    }
}
