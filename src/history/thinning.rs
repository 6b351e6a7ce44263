//! Chooses which rows are kept when there are more than may be written.
//!
//! Pure. Only ordinary rows are thinned: evenly, separately for each set of dimensions, and the weight of a kept row is
//! the number of rows that it counts for. The weights of one batch add up to its rows, for each set of dimensions, so
//! counts over rows stay exact. At least one row of each set is kept, so a batch may exceed its share by the number of
//! sets.

use hashbrown::HashMap;

use super::rollup::Dimensions;

/// How many ordinary rows may be written. The unused part is kept for a burst of up to a second.
#[derive(Debug)]
pub(super) struct Budget {
    rate: f64,
    left: f64,
}

impl Budget {
    pub(super) fn new(rate: u64) -> Self {
        Self { rate: rate as f64, left: rate as f64 }
    }

    /// The budget of a turn, `seconds` after the last.
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
    let (sets, mut counted) = count(rows);
    let all = rows.len() as u64;
    for set in &mut counted {
        // Rounded down: the sum over the sets stays within the budget, but for sets that would have none.
        set.kept = (set.count * budget / all).max(1).max(set.count.div_ceil(u64::from(u16::MAX)));
    }
    sets.into_iter().map(|set| counted[set].next_weight()).collect()
}

/// The rows of a batch with the same dimensions.
#[derive(Default)]
struct Set {
    count: u64,
    /// How many of them are kept.
    kept: u64,
    /// Rows since the last that was kept.
    left_out: u64,
    /// The credit of the rows so far: each earns `kept`, and a kept one costs `count`.
    earned: u64,
}

impl Set {
    /// Cuts the rows into `kept` blocks as even as they go; the last row of a block stands for it.
    fn next_weight(&mut self) -> u16 {
        self.left_out += 1;
        self.earned += self.kept;
        if self.earned < self.count {
            return 0;
        }
        self.earned -= self.count;
        u16::try_from(std::mem::take(&mut self.left_out)).expect("a block has at most as many")
    }
}

/// The set of each row, and the sets.
fn count(rows: &[Dimensions]) -> (Vec<usize>, Vec<Set>) {
    let mut known: HashMap<Dimensions, usize> = HashMap::new();
    let mut counted: Vec<Set> = Vec::new();
    let mut last = None;
    let set_of = |of: &Dimensions| {
        // Most rows are of the set of the one before them.
        let set = match last {
            Some((before, set)) if before == *of => set,
            _ => *known.entry(*of).or_insert_with(|| {
                counted.push(Set::default());
                counted.len() - 1
            }),
        };
        last = Some((*of, set));
        counted[set].count += 1;
        set
    };
    let sets = rows.iter().map(set_of).collect();
    (sets, counted)
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
