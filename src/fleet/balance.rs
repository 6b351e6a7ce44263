//! How evenly the backends are used. Pure.

/// Jain's index (Jain, Chiu, Hawe: A quantitative measure of fairness and discrimination, 1984) of how much of each backend
/// is used: the square of the sum, over the number and the sum of the squares. It is 1 where all are used alike, and one
/// part of their number where one does everything. `None` where there are fewer than two, or all are idle.
pub(super) fn jain(used: &[f64]) -> Option<f64> {
    let (sum, squares) = (used.iter().sum::<f64>(), used.iter().map(|each| each * each).sum::<f64>());
    (used.len() > 1 && squares > 0.0).then(|| sum * sum / (used.len() as f64 * squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_one_where_all_are_used_alike_and_the_least_where_one_does_everything() {
        let close = |used: &[f64], expected: f64| {
            let index = jain(used).expect("an index");
            assert!((index - expected).abs() < 1e-9, "{used:?}: {index}");
        };
        close(&[0.5, 0.5, 0.5], 1.0);
        close(&[0.0, 0.7, 0.0, 0.0], 0.25);
        close(&[1.0, 0.5], 0.9);
        assert_eq!((jain(&[0.0, 0.0]), jain(&[1.0]), jain(&[])), (None, None, None));
    }
}
