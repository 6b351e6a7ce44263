//! Gauges of one name whose series are replaced together.
//!
//! What a backend reports of its models holds until its next report: all series of a backend are replaced at once, so a
//! model that it no longer reports has no series left at its last value.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntCounter;

use super::exposition::{self, Expose, Page, Registry};
use super::spec::Spec;

/// The gauges of one name, by the owner (a backend) that reports them.
#[derive(Clone)]
pub(super) struct Table(Arc<TableState>);

struct TableState {
    spec: &'static Spec,
    cap: usize,
    dropped: IntCounter,
    owners: Mutex<BTreeMap<Box<str>, Rows>>,
}

/// Values by their labels as a sample line has them.
type Rows = BTreeMap<String, f64>;

impl Table {
    pub(super) fn register(registry: &Registry, spec: &'static Spec, cap: usize, dropped: IntCounter) -> Self {
        let table = Self(Arc::new(TableState { spec, cap, dropped, owners: Mutex::default() }));
        registry.add(Box::new(table.clone()));
        table
    }

    /// Replaces the series of `owner`. Of two rows with the same label values the last counts; rows beyond the cap are
    /// dropped and counted.
    pub(super) fn replace<'a, const LABELS: usize>(
        &self,
        owner: &str,
        rows: impl IntoIterator<Item = ([&'a str; LABELS], f64)>,
    ) {
        let inner = &*self.0;
        debug_assert_eq!(LABELS, inner.spec.labels.len(), "{}", inner.spec.name);
        let mut rows: Rows =
            rows.into_iter().map(|(values, value)| (exposition::labels(inner.spec.labels, &values), value)).collect();
        let mut owners = inner.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.remove(owner);
        let free = inner.cap.saturating_sub(owners.values().map(Rows::len).sum());
        while rows.len() > free {
            rows.pop_last();
            inner.dropped.inc();
        }
        if !rows.is_empty() {
            owners.insert(owner.into(), rows);
        }
    }

    /// Removes the series of `owner`.
    pub(super) fn remove(&self, owner: &str) {
        self.0.owners.lock().unwrap_or_else(PoisonError::into_inner).remove(owner);
    }
}

impl Expose for Table {
    fn name(&self) -> &'static str {
        self.0.spec.name
    }

    fn expose(&self, page: &mut Page) {
        let owners = self.0.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.is_empty() {
            return;
        }
        page.family(self.0.spec.name, self.0.spec.help, self.0.spec.kind);
        for (labels, value) in owners.values().flatten() {
            page.sample(self.0.spec.name, labels, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Format;
    use super::super::spec::Kind;
    use super::*;

    static LOADED: Spec =
        Spec { name: "loaded", kind: Kind::Gauge, labels: &["model", "backend"], help: "Loaded.", buckets: None };

    fn table(cap: usize) -> (Registry, Table, IntCounter) {
        let registry = Registry::default();
        let dropped = IntCounter::new("dropped", "Dropped.").expect("valid");
        let table = Table::register(&registry, &LOADED, cap, dropped.clone());
        (registry, table, dropped)
    }

    fn lines(registry: &Registry) -> Vec<String> {
        registry.write(Format::Text).lines().skip(2).map(str::to_owned).collect()
    }

    #[test]
    fn what_is_no_longer_reported_has_no_series() {
        let (registry, table, _) = table(10);
        table.replace("x", [(["a", "x"], 1.0), (["b", "x"], 0.0)]);
        table.replace("y", [(["a", "y"], 1.0)]);
        table.replace("x", [(["b", "x"], 1.0)]);
        assert_eq!(lines(&registry), ["loaded{backend=\"x\",model=\"b\"} 1", "loaded{backend=\"y\",model=\"a\"} 1"]);
        table.remove("y");
        table.replace("x", [] as [([&str; 2], f64); 0]);
        assert_eq!(registry.write(Format::Text), "");
    }

    #[test]
    fn beyond_the_cap_rows_are_refused_and_counted() {
        let (registry, table, dropped) = table(2);
        table.replace("x", [(["a", "x"], 1.0)]);
        table.replace("y", [(["a", "y"], 1.0), (["b", "y"], 1.0), (["c", "y"], 1.0)]);
        assert_eq!((lines(&registry).len(), dropped.get()), (2, 2));
    }
}
