//! The history: what is written, what was lost, and what is kept. Without a history there is no series.

use std::sync::Arc;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::declare::families;
use super::scraped::Batch;
use crate::history::journal::kind::JournalKind;
use crate::history::state::{Activity, Copying, Dropped, HistoryHealth, HistoryState};

families! {
    /// The files of the history, and their writer.
    pub(super) static SPECS = [] {
        WRITTEN: Counter = "ollama_proxy_history_rows_written_total" []
            "Exchanges whose rows were written to the history.";
        THINNED: Counter = "ollama_proxy_history_rows_thinned_total" []
            "Ordinary exchanges above the configured rate, for which rows of others stand.";
        OF_OTHERS: Counter = "ollama_proxy_history_rows_other_client_total" []
            "Exchanges of tenants and clients beyond the first 500, which are kept and summed as `other`.";
        DROPPED: Counter = "ollama_proxy_history_rows_dropped_total" ["reason"]
            "Rows that the history lost; with `not_summed`, exchanges that its sums lack.";
        DAMAGED: Counter = "ollama_proxy_history_damaged_files_total" []
            "Files of the history that were found damaged and put aside.";
        WAITING: Gauge = "ollama_proxy_history_rows_waiting" []
            "Rows that wait to be written.";
        PAUSED: Gauge = "ollama_proxy_history_paused" []
            "Whether the history cannot be written.";
        COMMITTED: Gauge = "ollama_proxy_history_last_commit_timestamp_seconds" []
            "When rows were last committed, in seconds since the epoch.";
        OLDEST: Gauge = "ollama_proxy_history_oldest_row_timestamp_seconds" []
            "When the oldest exchange that is kept ended, in seconds since the epoch.";
        COPIED: Counter = "ollama_proxy_history_replica_rows_total" []
            "Exchanges whose rows were copied to PostgreSQL.";
        SYNCED: Gauge = "ollama_proxy_history_replica_synced_timestamp_seconds" []
            "When PostgreSQL last had everything that was in the files, in seconds since the epoch.";
        SIZE: Gauge = "ollama_proxy_history_size_bytes" []
            "Size of all files of the history.";
        ENTRIES: Gauge = "ollama_proxy_history_entries" ["kind"]
            "Events, audit entries, jobs and log lines that are kept.";
        ENTRIES_OLDEST: Gauge = "ollama_proxy_history_oldest_entry_timestamp_seconds" ["kind"]
            "When the oldest of these was, in seconds since the epoch.";
        ENTRIES_LOST: Counter = "ollama_proxy_history_entries_dropped_total" ["kind"]
            "Events, audit entries, jobs and log lines that the history lost.";
    }
}

/// The families of the history.
#[derive(Clone, Debug)]
pub struct HistoryMetrics {
    state: Arc<HistoryState>,
    descs: Vec<Desc>,
}

impl HistoryMetrics {
    /// Registers the families.
    pub fn register(registry: &Registry, state: Arc<HistoryState>) {
        let descs = SPECS.iter().map(|spec| spec.desc()).collect();
        registry.register(Box::new(Self { state, descs })).expect("every name is registered once");
    }
}

impl Collector for HistoryMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        families(&self.state.health())
    }
}

/// The families of a state.
#[must_use]
pub fn families(health: &HistoryHealth) -> Vec<MetricFamily> {
    let mut batch = Batch::default();
    let is_paused = match health.activity {
        Activity::Off => return Vec::new(),
        Activity::Opening | Activity::Writing => false,
        Activity::Paused(..) => true,
    };
    let count = |count: u64| Some(count as f64);
    let seconds = |millis: Option<i64>| millis.map(|millis| millis as f64 / 1e3);
    batch.add(&WRITTEN, &[], count(health.written));
    batch.add(&THINNED, &[], count(health.thinned));
    batch.add(&OF_OTHERS, &[], count(health.of_others));
    for (why, rows) in Dropped::ALL.into_iter().zip(health.dropped) {
        batch.add(&DROPPED, &[why.as_str()], count(rows));
    }
    batch.add(&DAMAGED, &[], count(health.damaged));
    batch.add(&WAITING, &[], count(health.waiting));
    batch.add(&PAUSED, &[], Some(f64::from(u8::from(is_paused))));
    batch.add(&COMMITTED, &[], seconds(health.committed));
    batch.add(&OLDEST, &[], seconds(health.oldest));
    if health.copying != Copying::Off {
        batch.add(&COPIED, &[], count(health.copied_rows));
        batch.add(&SYNCED, &[], seconds(health.copied));
    }
    for (kind, kept) in JournalKind::ALL.into_iter().zip(health.entries) {
        batch.add(&ENTRIES, &[kind.as_str()], count(kept.count));
        batch.add(&ENTRIES_OLDEST, &[kind.as_str()], seconds(kept.oldest));
        batch.add(&ENTRIES_LOST, &[kind.as_str()], count(health.entries_lost[kind as usize]));
    }
    batch.add(&SIZE, &[], count(health.bytes).filter(|bytes| *bytes > 0.0));
    batch.into_families()
}
