//! Which models came into memory and which left it, from one look to the next.
//!
//! A lower bound: what comes and goes between two looks is not seen. The first look, and the first after the backend was
//! out of reach, finds nothing to compare with and counts nothing.

use super::inventory::Resident;

/// What happened to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It came into memory.
    Loaded(Box<str>),
    /// It left memory.
    Evicted(Box<str>),
}

/// Remembers the last look.
#[derive(Debug, Default)]
pub(super) struct Tracker(Option<Vec<Resident>>);

impl Tracker {
    /// This is in memory now.
    pub(super) fn look(&mut self, now: &[Resident]) -> Vec<Change> {
        let before = self.0.replace(now.to_vec());
        let Some(before) = before else { return Vec::new() };
        let gone = before.iter().filter(|old| !now.iter().any(|new| same(old, new)));
        let come = now.iter().filter(|new| !before.iter().any(|old| same(old, new)));
        let gone = gone.map(|old| Change::Evicted(old.name.clone()));
        gone.chain(come.map(|new| Change::Loaded(new.name.clone()))).collect()
    }

    /// What was seen counts no longer.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

/// Other files under the same name, or another length of context, are another load (Ollama starts the model's process
/// again for each). What one of the looks does not say is no difference: a model that is just loading has no context yet.
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

    fn held(name: &str, context: u64) -> Resident {
        Resident { name: name.into(), context: Some(context), ..Resident::default() }
    }

    #[test]
    fn only_what_differs_from_the_last_look_is_a_change() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.look(&[held("a", 1)]), []);
        assert_eq!(tracker.look(&[held("a", 1), held("b", 1)]), [Change::Loaded("b".into())]);
        assert_eq!(tracker.look(&[held("b", 1)]), [Change::Evicted("a".into())]);
        assert_eq!(tracker.look(&[held("b", 2)]), [Change::Evicted("b".into()), Change::Loaded("b".into())]);
        assert_eq!(tracker.look(&[Resident { vram: Some(9), ..held("b", 2) }]), []);
        assert_eq!(tracker.look(&[Resident { context: None, ..held("b", 2) }]), [], "it does not say");
        assert_eq!(tracker.look(&[held("b", 3)]), [], "nor did it");
        tracker.forget();
        assert_eq!(tracker.look(&[]), []);
    }
}
