//! Reports to the history when a source of the machine's facts fails, and when it works again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::history::journal::Journal;
use crate::history::journal::event::{Event, EventKind};
use crate::host::Host;

/// Starts to look in every period, until `stop` is true.
pub(super) fn watch(host: Arc<Host>, journal: Journal, period: Duration, stop: &watch::Receiver<bool>) {
    let mut stop = stop.clone();
    tokio::spawn(async move {
        let mut failing = HashSet::new();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(period) => {}
            }
            for collector in host.snapshot(Instant::now()).collectors {
                let has_changed = match collector.success {
                    Some(true) => failing.remove(collector.name),
                    Some(false) => failing.insert(collector.name),
                    None => false,
                };
                if has_changed {
                    let is_failing = failing.contains(collector.name);
                    let kind = if is_failing { EventKind::CollectorFailing } else { EventKind::CollectorRecovered };
                    journal.event(Event::new(kind).about(collector.name));
                }
            }
        }
    });
}
