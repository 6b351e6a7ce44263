//! Which rows are kept when more come than are to be written.
//!
//! Pure. Only ordinary rows are thinned: evenly, apart for each set of dimensions, and the weight of a row that is kept
//! says for how many it stands. The weights of one batch add up to its rows, for each set of dimensions, so counts over
//! rows stay exact. At least one row of each set is kept, so a batch may exceed its share by the number of sets.

use hashbrown::HashMap;

use super::rollup::Dimensions;

/// How many ordinary rows may be written; what is not used is kept for a burst of up to a second.
#[derive(Debug)]
pub(super) struct Budget {
    rate: f64,
    left: f64,
}

impl Budget {
    pub(super) fn new(rate: u64) -> Self {
        Self { rate: rate as f64, left: rate as f64 }
    }

    /// The budget of a turn, after so many seconds since the last.
    pub(super) fn earn(&mut self, seconds: f64) -> u64 {
        self.left = (self.left + self.rate * seconds.max(0.0)).min(self.rate);
        self.left.max(0.0) as u64
    }

    /// What a turn has used.
    pub(super) fn spend(&mut self, rows: u64) {
        self.left -= rows as f64;
    }
}

/// The weight of each ordinary row of a batch, in their order; 0 leaves it out. `budget` rows may be kept.
pub(super) fn weights(rows: &[Dimensions], budget: u64) -> Vec<u16> {
    if rows.len() as u64 <= budget {
        return vec![1; rows.len()];
    }
    let mut counts: HashMap<Dimensions, u64> = HashMap::new();
    for of in rows {
        *counts.entry(*of).or_default() += 1;
    }
    let all = rows.len() as u64;
    let mut seen: HashMap<Dimensions, u64> = HashMap::new();
    let mut weights = vec![0; rows.len()];
    for (weight, of) in weights.iter_mut().zip(rows) {
        let count = counts[of];
        // Rounded down: the sum over the sets stays within the budget, but for sets that would have none.
        let kept = (count * budget / all).max(1).max(count.div_ceil(u64::from(u16::MAX)));
        let index = seen.entry(*of).or_default();
        // Rows are cut into `kept` blocks as even as they go; the last row of a block stands for it.
        let (before, after) = (*index * kept / count, (*index + 1) * kept / count);
        *index += 1;
        if after > before {
            let first = (before * count).div_ceil(kept);
            *weight = u16::try_from(*index - first).expect("a block has at most as many");
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::names::{NameKind, Names};

    fn of(names: &Names, model: &str) -> Dimensions {
        let none = crate::history::names::NameId::NONE;
        Dimensions { backend: none, model: names.intern(NameKind::Model, model), tenant: none, operation: 1 }
    }

    #[test]
    fn the_weights_of_each_set_add_up_to_its_rows_whatever_the_budget() {
        let names = Names::default();
        let rows: Vec<_> = (0..3_000)
            .map(|at| of(&names, ["a", "b", "c"][usize::from(at % 10 > 6) + usize::from(at % 97 == 0)]))
            .collect();
        for budget in [0, 1, 2, 7, 100, 999, 1_500, 2_999, 3_000, 9_000] {
            let weights = weights(&rows, budget);
            for model in ["a", "b", "c"] {
                let set = of(&names, model);
                let weight: u64 =
                    rows.iter().zip(&weights).filter(|(of, _)| **of == set).map(|(_, w)| u64::from(*w)).sum();
                assert_eq!(weight, rows.iter().filter(|of| **of == set).count() as u64, "{model} at {budget}");
            }
            let kept = weights.iter().filter(|weight| **weight > 0).count() as u64;
            println!("{kept} of 3000 rows are kept of a budget of {budget}");
            assert!(kept <= budget.max(3), "{kept} of {budget}");
            assert!(kept >= budget.min(3_000) * 9 / 10, "{kept} of {budget}");
        }
    }

    #[test]
    fn below_the_budget_every_row_stands_for_itself() {
        let names = Names::default();
        assert_eq!(weights(&[of(&names, "a"); 5], 5), [1; 5]);
        assert_eq!(weights(&[], 0), [0_u16; 0]);
    }

    #[test]
    fn an_unused_budget_lasts_for_a_second() {
        let mut budget = Budget::new(500);
        assert_eq!(budget.earn(10.0), 500);
        budget.spend(500);
        assert_eq!(budget.earn(0.2), 100);
        budget.spend(130);
        assert_eq!(budget.earn(0.0), 0);
        assert_eq!(budget.earn(0.2), 70);
    }
}
