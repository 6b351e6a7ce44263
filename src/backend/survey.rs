//! Keeps the picture of a backend: which server it is and what it lists every half minute, what is in memory and how busy
//! its engines are every few seconds. Right after the backend comes up both are asked at once; after a name that is not
//! listed has succeeded it is listed again, and after an answer that brought a model into memory, or sent one away, it is
//! looked at again.
//!
//! One question at a time, each with a limit on its time and size, and never on behalf of a scrape. A listing that fails
//! leaves what is known as it is; what is in memory is forgotten once the backend is out of reach.
//!
//! No question makes a server load, unload or keep a model. llama.cpp's `/metrics` would, where it may fall asleep: it is
//! asked only while there is traffic, and `/props`, which says whether it sleeps, before.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use super::answers;
use super::catalogue::Catalogue;
use super::engine;
use super::inventory::{Inventory, Resident, Runtime};
use super::monitor::{Monitor, stopped};
use super::quiet::{AskTraffic, Quiet, Sleep};
use super::recognise::{ANSWER, read, recognise, sleep};
use super::report::Report;
use super::track::Tracker;
use crate::wire::route::Dialect;

/// Between two listings at least: a server that answers any name brings on many.
const BETWEEN_LISTINGS: Duration = Duration::from_secs(1);

/// Between two looks at least: less than any load takes.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// Asks until `shutdown` is true or its sender is gone. `traffic` says what has gone through to the backend.
pub async fn run(
    monitor: Arc<Monitor>,
    catalogue: Arc<Catalogue>,
    report: Arc<dyn Report>,
    traffic: AskTraffic,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut survey = Survey {
        monitor,
        catalogue,
        report,
        traffic,
        quiet: Quiet::new(std::time::Instant::now()),
        tracker: Tracker::default(),
        served: None,
        lists: true,
        asked: false,
    };
    tokio::select! {
        () = stopped(&mut shutdown) => {}
        () = survey.go_on() => {}
    }
}

struct Survey {
    monitor: Arc<Monitor>,
    catalogue: Arc<Catalogue>,
    report: Arc<dyn Report>,
    traffic: AskTraffic,
    quiet: Quiet,
    tracker: Tracker,
    /// What the last listing found in memory, of a server that is not asked by `/api/ps`.
    served: Option<Vec<Resident>>,
    /// The last listing succeeded; said when it changes.
    lists: bool,
    /// Something is told of what is in memory or of load, and must be taken back when the backend goes.
    asked: bool,
}

impl Survey {
    async fn go_on(&mut self) {
        let pace = self.monitor.pace;
        let relist = self.catalogue.relist(&self.monitor.backend.name);
        let (mut listed, mut looked) = (Instant::now(), Instant::now());
        let (mut next_list, mut next_look) = (listed + pace.list_every, looked + pace.look_every);
        loop {
            let fresh = tokio::select! {
                () = self.monitor.came_up.notified() => true,
                () = relist.notified() => {
                    next_list = next_list.min(listed + BETWEEN_LISTINGS);
                    next_look = next_look.min(next_list);
                    continue;
                }
                () = self.monitor.look.notified() => {
                    next_look = next_look.min(looked + BETWEEN_LOOKS);
                    continue;
                }
                () = tokio::time::sleep_until(next_look) => false,
            };
            if self.monitor.status.snapshot().state.up() == Some(true) {
                if fresh || Instant::now() >= next_list {
                    self.list(fresh).await;
                    listed = Instant::now();
                    next_list = listed + pace.list_every;
                }
                self.look().await;
            } else {
                self.forget();
            }
            looked = Instant::now();
            next_look = looked + pace.look_every;
        }
    }

    /// For how long nothing has gone through to the backend.
    fn silence(&mut self) -> Duration {
        self.quiet.lasts((self.traffic)(), std::time::Instant::now())
    }

    async fn list(&mut self, fresh: bool) {
        let before = self.monitor.inventory();
        let known = if fresh { Runtime::Unknown } else { before.runtime };
        let is_quiet = self.silence() >= self.monitor.pace.quiet_after;
        let found = recognise(&self.monitor, known, is_quiet).await;
        if self.lists && found.is_none() {
            let backend = &*self.monitor.backend.name;
            tracing::warn!(backend, "the backend lists no models: their names are learnt from answers only");
        }
        self.lists = found.is_some();
        // Before any name is admitted. One that was recognised once and does not list now is what it was.
        let runtime = found.as_ref().map_or(known, |found| found.runtime);
        self.catalogue.recognised(&self.monitor.backend.name, runtime);
        let Some(mut found) = found else { return };
        self.catalogue.listed(&self.monitor.backend.name, found.models.iter().map(|model| &*model.name));
        if fresh || before.runtime != found.runtime || before.version != found.version {
            let (backend, runtime) = (&*self.monitor.backend.name, found.runtime.as_str());
            let version = found.version.as_deref();
            tracing::info!(backend, runtime, version, models = found.models.len(), "the backend was recognised");
        }
        if found.polled {
            found.resident.clone_from(&before.resident);
        } else {
            self.served.clone_from(&found.resident);
        }
        self.report.listed(&self.monitor.backend.name, &found);
        self.monitor.see(found);
    }

    async fn look(&mut self) {
        let inventory = self.monitor.inventory();
        let sleep = if inventory.runtime == Runtime::LlamaCpp { sleep(&self.monitor).await } else { Sleep::Never };
        if let Some(resident) = self.resident(&inventory, sleep).await {
            for held in resident.resident.iter().flatten() {
                // A model that was made since the last listing.
                self.catalogue.answered(&self.monitor.backend.name, Dialect::Ollama, &held.name);
            }
            let changes = self.tracker.look(resident.resident.as_deref().unwrap_or_default());
            self.asked = true;
            self.report.resident(&self.monitor.backend.name, &resident, &changes);
            self.monitor.see(resident);
        } else if inventory.polled && inventory.resident.is_some() {
            // It does not say any more. What it said last is compared with when it does again.
            self.no_memory_is_known();
        }
        if matches!(inventory.runtime, Runtime::Vllm | Runtime::Sglang | Runtime::LlamaCpp | Runtime::Tgi) {
            let may_be_asked = sleep.may_be_asked(self.silence(), self.monitor.pace.quiet_after);
            let load = if may_be_asked { read(&self.monitor, "/metrics", ANSWER).await } else { None };
            let load = load.and_then(|answer| engine::parse(&String::from_utf8_lossy(&answer.body)));
            let mut load = load.map(|(_, load)| load).unwrap_or_default();
            if let ([only], [model]) = (&mut load[..], &inventory.models[..]) {
                only.model.get_or_insert_with(|| model.name.clone());
            }
            self.asked = true;
            self.report.load(&self.monitor.backend.name, &load);
        }
    }

    /// What is in memory now, if that is known.
    async fn resident(&self, inventory: &Inventory, sleep: Sleep) -> Option<Inventory> {
        if !inventory.polled {
            let served = self.served.clone()?;
            let resident = if sleep == Sleep::Asleep { Vec::new() } else { served };
            return Some(Inventory { resident: Some(resident), ..inventory.clone() });
        }
        self.report.looks(&self.monitor.backend.name);
        let answer = read(&self.monitor, "/api/ps", ANSWER).await?;
        let resident = answers::ps(&answer.body, SystemTime::now())?;
        Some(Inventory { resident: Some(resident), ..inventory.clone() })
    }

    /// The backend is out of reach: nothing is known of its memory and its load.
    fn forget(&mut self) {
        if std::mem::take(&mut self.asked) {
            self.tracker.forget();
            self.served = None;
            self.no_memory_is_known();
            self.report.load(&self.monitor.backend.name, &[]);
        }
    }

    fn no_memory_is_known(&self) {
        let unknown = Inventory { resident: None, ..(*self.monitor.inventory()).clone() };
        self.report.resident(&self.monitor.backend.name, &unknown, &[]);
        self.monitor.see(unknown);
    }
}
