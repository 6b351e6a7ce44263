//! Which models were loaded and unloaded from one poll to the next.
//!
//! A lower bound: a model loaded and unloaded between two polls is not seen. The first poll, and the first after the
//! backend was unreachable, has nothing to compare with and yields no change.

use super::inventory::Resident;

/// A change of the models in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The model with this name was loaded.
    Loaded(Box<str>),
    /// The model with this name was unloaded.
    Evicted(Box<str>),
}

/// Keeps the result of the last poll; `None` before the first.
#[derive(Debug, Default)]
pub(super) struct Tracker(Option<Vec<Resident>>);

impl Tracker {
    /// Replaces the models in memory and returns what changed.
    pub(super) fn update(&mut self, now: &[Resident]) -> Vec<Change> {
        let before = self.0.replace(now.to_vec());
        let Some(before) = before else { return Vec::new() };
        let evicted = before.iter().filter(|old| !now.iter().any(|new| same(old, new)));
        let loaded = now.iter().filter(|new| !before.iter().any(|old| same(old, new)));
        let evicted = evicted.map(|old| Change::Evicted(old.name.clone()));
        evicted.chain(loaded.map(|new| Change::Loaded(new.name.clone()))).collect()
    }

    /// Forgets the last poll.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }
}

/// Whether it is the same load. Other files under the same name, or another context length, are another one (Ollama
/// restarts the model's process for each). A fact missing in one poll is no difference: a model that is being loaded
/// has no context length yet.
fn same(old: &Resident, new: &Resident) -> bool {
    fn agree<T: PartialEq>(old: Option<&T>, new: Option<&T>) -> bool {
        old.zip(new).is_none_or(|(old, new)| old == new)
    }
    old.name == new.name
        && agree(old.revision.as_ref(), new.revision.as_ref())
        && agree(old.context.as_ref(), new.context.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident(name: &str, context: u64) -> Resident {
        Resident { name: name.into(), context: Some(context), ..Resident::default() }
    }

    #[test]
    fn only_differences_from_the_last_poll_are_changes() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.update(&[resident("a", 1)]), []);
        assert_eq!(tracker.update(&[resident("a", 1), resident("b", 1)]), [Change::Loaded("b".into())]);
        assert_eq!(tracker.update(&[resident("b", 1)]), [Change::Evicted("a".into())]);
        assert_eq!(tracker.update(&[resident("b", 2)]), [Change::Evicted("b".into()), Change::Loaded("b".into())]);
        assert_eq!(tracker.update(&[Resident { vram: Some(9), ..resident("b", 2) }]), []);
        assert_eq!(tracker.update(&[Resident { context: None, ..resident("b", 2) }]), [], "it does not say");
        assert_eq!(tracker.update(&[resident("b", 3)]), [], "nor did it");
        tracker.reset();
        assert_eq!(tracker.update(&[]), []);
    }
}
