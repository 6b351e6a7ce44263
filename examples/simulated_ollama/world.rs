//! What all requests share: the pace, the models in memory and the count of what was done.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::catalogue::{self, Model};
use crate::prompts::Prompts;
use crate::residency::Residency;

/// How much faster than the models' own pace everything goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    factor: f64,
    loads: f64,
}

impl Pace {
    /// `factor` 2 halves every wait, `loads` those for a load; 0, and anything that is no positive number, waits for
    /// nothing.
    pub(crate) fn new(factor: f64, loads: f64) -> Self {
        Self { factor, loads }
    }

    /// What is left of a wait.
    pub(crate) fn scaled(self, wait: Duration) -> Duration {
        shortened(wait.as_secs_f64(), self.factor)
    }

    /// What is left of a load.
    pub(crate) fn load(self, wait: Duration) -> Duration {
        shortened(wait.as_secs_f64(), self.loads)
    }

    /// How long `count` steps take at `rate` steps a second.
    pub(crate) fn steps(self, count: u32, rate: f64) -> Duration {
        shortened(f64::from(count) / rate, self.factor)
    }
}

fn shortened(seconds: f64, factor: f64) -> Duration {
    if factor > 0.0 { Duration::try_from_secs_f64(seconds / factor).unwrap_or(Duration::MAX) } else { Duration::ZERO }
}

/// What was done since the start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests received, of any kind.
    pub(crate) requests: AtomicU64,
    /// Generations under way.
    pub(crate) running: AtomicU64,
    /// Generations whose client left.
    pub(crate) cancelled: AtomicU64,
    /// Generations that came to an end, good or bad.
    pub(crate) ended: AtomicU64,
    /// Tokens generated, those of cancelled generations too.
    pub(crate) tokens: AtomicU64,
}

impl Tally {
    /// The body of `GET /simulated/state`.
    pub(crate) fn state(&self) -> Value {
        json!({
            "requests": self.requests.load(Relaxed),
            "running": self.running.load(Relaxed),
            "ended": self.ended.load(Relaxed),
            "cancelled": self.cancelled.load(Relaxed),
            "generated_tokens": self.tokens.load(Relaxed),
        })
    }
}

/// What the server allows itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests that a model works on at a time; others wait.
    pub(crate) parallel: usize,
    /// Models in memory at a time.
    pub(crate) models: usize,
    /// How long `/api/ps` takes.
    pub(crate) ps_delay: Duration,
}

/// All that requests share.
#[derive(Debug)]
pub(crate) struct World {
    /// The pace.
    pub(crate) pace: Pace,
    /// What it allows itself.
    pub(crate) limits: Limits,
    /// Places at each model.
    places: Mutex<HashMap<&'static str, Arc<Semaphore>>>,
    /// Somebody wants it to start again.
    pub(crate) restart: Notify,
    /// Models on disk.
    stored: Mutex<Vec<&'static Model>>,
    /// Prompts that it remembers.
    pub(crate) prompts: Prompts,
    /// Every generation fails.
    pub(crate) fails: AtomicBool,
    /// Models in memory.
    pub(crate) residency: Arc<Residency>,
    /// What was done.
    pub(crate) tally: Arc<Tally>,
}

impl World {
    /// A server just started, with no model in memory.
    pub(crate) fn new(pace: Pace, limits: Limits, stored: Vec<&'static Model>, prompts: usize) -> Self {
        let residency = Arc::new(Residency::new(limits.models));
        let (places, restart) = (Mutex::default(), Notify::new());
        let (stored, prompts, fails) = (Mutex::new(stored), Prompts::new(prompts), AtomicBool::new(false));
        Self { pace, limits, places, restart, stored, prompts, fails, residency, tally: Arc::default() }
    }

    /// The models on disk.
    pub(crate) fn stored(&self) -> Vec<&'static Model> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The model of this name, in any of its spellings, if it is on disk.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Model> {
        let model = catalogue::find(name)?;
        self.stored().iter().any(|stored| stored.name == model.name).then_some(model)
    }

    /// The model is now on disk.
    pub(crate) fn store(&self, model: &'static Model) {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.iter().all(|known| known.name != model.name) {
            stored.push(model);
        }
    }

    /// Waits for a place at a model that is in memory. As in Ollama, that is not a part of the load that is reported.
    pub(crate) async fn place(&self, model: &'static Model) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let all = || Arc::new(Semaphore::new(self.limits.parallel));
            Arc::clone(places.entry(model.weights).or_insert_with(all))
        };
        places.acquire_owned().await.ok()
    }
}
