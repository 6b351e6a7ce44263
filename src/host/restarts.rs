//! How often the inference servers of a place were started again. Pure.
//!
//! A server that ended and another that began later in the same place are one restart. The result is a lower bound: of
//! several restarts between two readings one is seen. Runners come and go with models, and do not count.

use std::collections::{BTreeMap, HashMap, HashSet};

/// Most places that are remembered; those without a server are forgotten first.
const MAX_PLACES: usize = 256;

/// Process id and start time.
type ProcessKey = (u32, u64);

/// The places with servers so far, by the paths of their control groups.
#[derive(Debug, Default)]
pub(super) struct Restarts(HashMap<Box<str>, Servers>);

#[derive(Debug, Default)]
struct Servers {
    running: HashSet<ProcessKey>,
    /// Servers that ended and were not replaced.
    ended: u64,
    restarts: u64,
}

impl Restarts {
    /// Takes the servers of one reading, and returns how often those of each place were started again so far.
    pub(super) fn observe<'a>(
        &mut self,
        servers: impl Iterator<Item = (&'a str, ProcessKey)>,
    ) -> BTreeMap<Box<str>, u64> {
        let mut found: HashMap<&str, HashSet<ProcessKey>> = HashMap::new();
        for (place, key) in servers {
            found.entry(place).or_default().insert(key);
        }
        for (place, known) in &mut self.0 {
            known.observe(found.remove(&**place).unwrap_or_default());
        }
        self.0.extend(
            found.into_iter().map(|(place, running)| (place.into(), Servers { running, ..Servers::default() })),
        );
        if self.0.len() > MAX_PLACES {
            self.0.retain(|_, servers| !servers.running.is_empty());
        }
        self.0.iter().map(|(place, servers)| (place.clone(), servers.restarts)).collect()
    }
}

impl Servers {
    fn observe(&mut self, running: HashSet<ProcessKey>) {
        self.ended += self.running.difference(&running).count() as u64;
        let begun = running.difference(&self.running).count() as u64;
        let again = begun.min(self.ended);
        self.restarts += again;
        self.ended -= again;
        self.running = running;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(restarts: &mut Restarts, servers: &[(&str, ProcessKey)]) -> Vec<(String, u64)> {
        restarts.observe(servers.iter().copied()).into_iter().map(|(place, count)| (place.into(), count)).collect()
    }

    #[test]
    fn a_server_that_ended_and_one_that_began_later_are_a_restart() {
        let mut restarts = Restarts::default();
        let one = |count: u64| vec![("a".to_owned(), count)];
        assert_eq!(count(&mut restarts, &[("a", (7, 100))]), one(0), "it ran before this program did");
        assert_eq!(count(&mut restarts, &[("a", (7, 100))]), one(0));
        assert_eq!(count(&mut restarts, &[("a", (9, 500))]), one(1), "another process");
        assert_eq!(count(&mut restarts, &[("a", (9, 800))]), one(2), "an id is used again");
        assert_eq!(count(&mut restarts, &[]), one(2), "it is gone for now");
        assert_eq!(count(&mut restarts, &[("a", (11, 900))]), one(3));
    }

    #[test]
    fn a_further_server_is_no_restart_and_each_place_counts_alone() {
        let mut restarts = Restarts::default();
        let both = |a: u64, b: u64| vec![("a".to_owned(), a), ("b".to_owned(), b)];
        count(&mut restarts, &[("a", (1, 1)), ("b", (2, 1))]);
        assert_eq!(count(&mut restarts, &[("a", (1, 1)), ("a", (3, 5)), ("b", (2, 1))]), both(0, 0), "one more");
        assert_eq!(count(&mut restarts, &[("a", (1, 1)), ("b", (2, 1))]), both(0, 0), "one less");
        assert_eq!(count(&mut restarts, &[("a", (1, 1)), ("a", (4, 9)), ("b", (5, 9))]), both(1, 1));
    }

    #[test]
    fn places_that_are_gone_are_forgotten_once_there_are_many() {
        let (mut restarts, names) = (Restarts::default(), (0..600).map(|at| format!("p{at}")).collect::<Vec<_>>());
        for (at, name) in names.iter().enumerate() {
            count(&mut restarts, &[("stays", (1, 1)), (name.as_str(), (2, at as u64))]);
            assert!(restarts.0.len() <= MAX_PLACES + 1);
        }
        assert!(restarts.0.contains_key("stays"));
    }
}
