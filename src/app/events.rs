//! Reports to the history what happens to backends and models.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::backend::inventory::Inventory;
use crate::backend::monitor::Monitors;
use crate::backend::report::Report;
use crate::backend::status::ProbeState;
use crate::backend::track::Change;
use crate::history::journal::Journal;
use crate::history::journal::event::{Event, EventKind};
use crate::history::journal::kind::Severity;

/// Reports changes of one backend; everything else that is found goes on to `next`.
pub(super) struct BackendEvents<R> {
    pub(super) next: R,
    journal: Journal,
    /// Every backend: where none answers, it is graver.
    monitors: Monitors,
    /// What the last probe found: [`UNKNOWN`], [`DOWN`] or [`UP`].
    last: AtomicU8,
}

const UNKNOWN: u8 = 0;
const DOWN: u8 = 1;
const UP: u8 = 2;

impl<R> BackendEvents<R> {
    pub(super) fn new(next: R, journal: Journal, monitors: Monitors) -> Self {
        Self { next, journal, monitors, last: AtomicU8::new(UNKNOWN) }
    }

    fn went_down(&self, backend: &Arc<str>) -> Event {
        let monitors = self.monitors.all();
        let states = || monitors.iter().map(|monitor| (&monitor.backend.name, monitor.status.snapshot().state));
        let is_down = |state| matches!(state, ProbeState::Down(_));
        let event = Event::new(EventKind::BackendDown).on(backend);
        let reason = states().find(|(name, _)| *name == backend).and_then(|(_, state)| match state {
            ProbeState::Down(failure) => Some(failure.as_str()),
            ProbeState::Unknown | ProbeState::Up => None,
        });
        let event = reason.into_iter().fold(event, |event, reason| event.with("reason", reason));
        if states().all(|(_, state)| is_down(state)) { event.with_severity(Severity::Critical) } else { event }
    }
}

impl<R: Report> Report for BackendEvents<R> {
    fn probed(&self, backend: &Arc<str>, up: bool, took: Duration) {
        let now = if up { UP } else { DOWN };
        if self.last.swap(now, Ordering::Relaxed) != now {
            let came_up = || Event::new(EventKind::BackendUp).on(backend);
            self.journal.event(if up { came_up() } else { self.went_down(backend) });
        }
        self.next.probed(backend, up, took);
    }

    fn listed(&self, backend: &Arc<str>, inventory: &Inventory) {
        self.next.listed(backend, inventory);
    }

    fn poll_begun(&self, backend: &Arc<str>) {
        self.next.poll_begun(backend);
    }

    fn connection_refused(&self, backend: &Arc<str>) {
        self.next.connection_refused(backend);
    }

    fn resident(&self, backend: &Arc<str>, inventory: &Inventory, changes: &[Change]) {
        for change in changes {
            let (kind, model) = match change {
                Change::Loaded(model) => (EventKind::ModelLoaded, model),
                Change::Evicted(model) => (EventKind::ModelEvicted, model),
            };
            self.journal.event(Event::new(kind).on(backend).about(model));
        }
        self.next.resident(backend, inventory, changes);
    }

    fn load(&self, backend: &Arc<str>, load: &[crate::backend::engine::EngineLoad]) {
        self.next.load(backend, load);
    }
}
