//! Keeps the inventory of a backend up to date: lists its models every half minute, and polls the models in memory and
//! the load every few seconds. Both happen at once when the backend comes up. An unlisted name that succeeds triggers
//! another listing; an answer that shows a loaded or unloaded model triggers another poll.
//!
//! One request at a time, limited in time and size, and never on behalf of a scrape. A failed listing keeps the known
//! models; the models in memory are forgotten once the backend is unreachable.
//!
//! No request makes a server load, unload or keep a model. llama.cpp's `/metrics` would, where it may fall asleep: it
//! is requested only while there is traffic, and only after `/props` has shown whether the server sleeps.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use super::answers;
use super::catalogue::Catalogue;
use super::engine;
use super::inventory::{Inventory, Resident, Runtime};
use super::monitor::{Monitor, stopped};
use super::probe_once::answers;
use super::quiet::{IdleTimer, ReadTraffic, SleepState};
use super::recognise::{MAX_RESPONSE, read, read_sleep_state, recognise};
use super::report::Report;
use super::track::{Change, Tracker};
use crate::wire::route::Dialect;

/// The shortest interval of listings: a server that answers any name triggers many.
const MIN_LIST_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest interval of polls: less than any load takes.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Runs until `shutdown` is true or its sender was dropped. `traffic` reads the proxy's traffic to the backend.
pub async fn run(
    monitor: Arc<Monitor>,
    catalogue: Arc<Catalogue>,
    report: Arc<dyn Report>,
    traffic: ReadTraffic,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut survey = Survey {
        monitor,
        catalogue,
        report,
        traffic,
        idle: IdleTimer::new(std::time::Instant::now()),
        tracker: Tracker::default(),
        served: None,
        lists_models: true,
        has_reported: false,
    };
    tokio::select! {
        () = stopped(&mut shutdown) => {}
        () = survey.run() => {}
    }
}

struct Survey {
    monitor: Arc<Monitor>,
    catalogue: Arc<Catalogue>,
    report: Arc<dyn Report>,
    traffic: ReadTraffic,
    idle: IdleTimer,
    tracker: Tracker,
    /// The models in memory according to the last listing, of a server without `/api/ps`.
    served: Option<Vec<Resident>>,
    /// Whether the last listing succeeded; a change is logged.
    lists_models: bool,
    /// Models in memory or load were reported, and have to be withdrawn when the backend becomes unreachable.
    has_reported: bool,
}

/// Notes since when each model is in memory: now, where it has just come, else what was known before.
fn mark_loaded(before: &Inventory, now: &mut Inventory, changes: &[Change]) {
    let known = |name: &str| before.resident.iter().flatten().find(|resident| *resident.name == *name)?.loaded;
    for resident in now.resident.iter_mut().flatten() {
        let has_come = changes.iter().any(|change| matches!(change, Change::Loaded(name) if *name == resident.name));
        resident.loaded = if has_come { Some(SystemTime::now()) } else { known(&resident.name) };
    }
}

impl Survey {
    async fn run(&mut self) {
        let pace = self.monitor.pace;
        let relist = self.catalogue.relist_notify(&self.monitor.backend.name);
        let (mut listed, mut polled) = (Instant::now(), Instant::now());
        let (mut next_list, mut next_poll) = (listed + pace.list_every, polled + pace.poll_every);
        loop {
            let fresh = tokio::select! {
                () = self.monitor.came_up.notified() => true,
                () = relist.notified() => {
                    next_list = next_list.min(listed + MIN_LIST_INTERVAL);
                    next_poll = next_poll.min(next_list);
                    continue;
                }
                () = self.monitor.poll_requested.notified() => {
                    next_poll = next_poll.min(polled + MIN_POLL_INTERVAL);
                    continue;
                }
                () = tokio::time::sleep_until(next_poll) => false,
            };
            if self.monitor.status.snapshot().state.is_up() == Some(true) {
                if fresh || Instant::now() >= next_list {
                    self.list(fresh).await;
                    listed = Instant::now();
                    next_list = listed + pace.list_every;
                }
                self.poll().await;
            } else {
                self.forget();
            }
            polled = Instant::now();
            next_poll = polled + pace.poll_every;
        }
    }

    /// The time since the last traffic to the backend.
    fn idle_time(&mut self) -> Duration {
        self.idle.observe((self.traffic)(), std::time::Instant::now())
    }

    async fn list(&mut self, fresh: bool) {
        let before = self.monitor.inventory();
        let known = if fresh { Runtime::Unknown } else { before.runtime };
        let is_quiet = self.idle_time() >= self.monitor.pace.quiet_after;
        let found = recognise(&self.monitor, known, is_quiet).await;
        // Its status may still be `up` although it died after the last probe.
        let lists_none = found.is_none() && answers(&self.monitor).await.is_ok();
        if self.lists_models && lists_none {
            let (backend, address) = (&*self.monitor.backend.name, &self.monitor.backend.address);
            let message = "the backend answers and lists no models: their names are learnt from answers only";
            tracing::warn!(backend, %address, message);
        }
        self.lists_models = found.is_some() || (self.lists_models && !lists_none);
        // Before any name is admitted. A backend that does not list now is still what it was recognised as.
        let runtime = found.as_ref().map_or(known, |found| found.runtime);
        self.catalogue.set_runtime(&self.monitor.backend.name, runtime);
        let Some(mut found) = found else { return };
        self.catalogue.set_listed(&self.monitor.backend.name, found.models.iter().map(|model| &*model.name));
        self.catalogue.set_partial(&self.monitor.backend.name, found.is_partial);
        if fresh || before.runtime != found.runtime || before.version != found.version {
            let (backend, runtime) = (&*self.monitor.backend.name, found.runtime.as_str());
            let (address, version) = (&self.monitor.backend.address, found.version.as_deref());
            let models = found.models.len();
            tracing::info!(backend, %address, runtime, version, models, "the backend answers, and was recognised");
        }
        if found.polled {
            found.resident.clone_from(&before.resident);
        } else {
            self.served.clone_from(&found.resident);
        }
        self.report.listed(&self.monitor.backend.name, &found);
        self.monitor.set_inventory(found);
    }

    async fn poll(&mut self) {
        let inventory = self.monitor.inventory();
        let sleep = if inventory.runtime == Runtime::LlamaCpp {
            read_sleep_state(&self.monitor).await
        } else {
            SleepState::Never
        };
        if let Some(mut polled) = self.poll_resident(&inventory, sleep).await {
            for model in polled.resident.iter().flatten() {
                // The model may be newer than the last listing.
                self.catalogue.admit_answered(&self.monitor.backend.name, Dialect::Ollama, &model.name);
            }
            let changes = self.tracker.update(polled.resident.as_deref().unwrap_or_default());
            mark_loaded(&inventory, &mut polled, &changes);
            self.has_reported = true;
            self.report.resident(&self.monitor.backend.name, &polled, &changes);
            self.monitor.set_inventory(polled);
        } else if inventory.polled && inventory.resident.is_some() {
            // The tracker keeps the last result for the next poll that succeeds.
            self.withdraw_resident();
        }
        if matches!(inventory.runtime, Runtime::Vllm | Runtime::Sglang | Runtime::LlamaCpp | Runtime::Tgi) {
            let allowed = sleep.allows_metrics(self.idle_time(), self.monitor.pace.quiet_after);
            let load = if allowed { read(&self.monitor, "/metrics", MAX_RESPONSE).await } else { None };
            let load = load.and_then(|answer| engine::parse(&String::from_utf8_lossy(&answer.body)));
            let mut load = load.map(|(_, load)| load).unwrap_or_default();
            if let ([only], [model]) = (&mut load[..], &inventory.models[..]) {
                only.model.get_or_insert_with(|| model.name.clone());
            }
            self.has_reported = true;
            self.report.load(&self.monitor.backend.name, &load);
            self.monitor.set_load(load);
        }
    }

    /// The inventory with the models in memory; `None` where they are unknown.
    async fn poll_resident(&self, inventory: &Inventory, sleep: SleepState) -> Option<Inventory> {
        if !inventory.polled {
            let served = self.served.clone()?;
            let resident = if sleep == SleepState::Asleep { Vec::new() } else { served };
            return Some(Inventory { resident: Some(resident), ..inventory.clone() });
        }
        self.report.poll_begun(&self.monitor.backend.name);
        let answer = read(&self.monitor, "/api/ps", MAX_RESPONSE).await?;
        let resident = answers::ps(&answer.body, SystemTime::now())?;
        Some(Inventory { resident: Some(resident), polled_at: answer.date(), ..inventory.clone() })
    }

    /// Withdraws the models in memory and the load of an unreachable backend.
    fn forget(&mut self) {
        if std::mem::take(&mut self.has_reported) {
            self.tracker.reset();
            self.served = None;
            self.withdraw_resident();
            self.report.load(&self.monitor.backend.name, &[]);
            self.monitor.set_load(Vec::new());
        }
    }

    fn withdraw_resident(&self) {
        let unknown = Inventory { resident: None, ..(*self.monitor.inventory()).clone() };
        self.report.resident(&self.monitor.backend.name, &unknown, &[]);
        self.monitor.set_inventory(unknown);
    }
}
