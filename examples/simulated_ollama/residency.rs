//! Which models are in memory, and until when.
//!
//! As in Ollama: only so many at a time; the idle one used longest ago makes room, and where none is idle the load waits.
//! A model stays for the `keep_alive` of the last request that stated one, in whatever order they end, and never leaves
//! while it works; a load begins with the server's default. A request for another length of context loads it again,
//! once it is idle. One request loads, others for the same model wait with it; a request whose
//! client leaves while loading gives up the load.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use crate::catalogue::Model;
use crate::world::Pace;

/// How far off `forever` is put, since expiry must be a date.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How long a model stays after its last request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct KeepAlive(pub(crate) Duration);

impl Default for KeepAlive {
    fn default() -> Self {
        Self(Duration::from_secs(300))
    }
}

impl KeepAlive {
    /// Reads a number of seconds or a duration such as `5m`; negative means forever. `None` where it is neither.
    pub(crate) fn parse(value: &serde_json::Value) -> Option<Self> {
        let seconds = match value {
            serde_json::Value::Number(number) => number.as_f64()?,
            serde_json::Value::String(text) => duration(text)?,
            _ => return None,
        };
        Some(Self(if seconds < 0.0 { FOREVER } else { Duration::try_from_secs_f64(seconds).unwrap_or(FOREVER) }))
    }
}

/// Seconds in a Go duration such as `1h30m` or `-1`.
fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    if let Ok(bare) = rest.parse::<f64>() {
        return Some(sign * bare);
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    Some(sign * sum)
}

#[derive(Debug)]
struct Resident {
    model: &'static Model,
    context: u32,
    users: usize,
    used: Instant,
    keep: KeepAlive,
    expires: SystemTime,
}

/// A model in memory, as `/api/ps` tells it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The model.
    pub(crate) model: &'static Model,
    /// When it leaves unless used again.
    pub(crate) expires: SystemTime,
    /// Context it was loaded with, tokens.
    pub(crate) context: u32,
}

/// The models in memory.
#[derive(Debug)]
pub(crate) struct Residency {
    most: usize,
    /// A model has become idle.
    idle: Notify,
    residents: Mutex<HashMap<&'static str, Resident>>,
    loads: Mutex<HashMap<&'static str, Arc<tokio::sync::Mutex<()>>>>,
}

impl Residency {
    /// Nothing in memory, and room for so many models.
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), idle: Notify::new(), residents: Mutex::default(), loads: Mutex::default() }
    }

    /// Models in memory now, the one that stays longest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let residents = self.residents();
        let mut seen: Vec<_> = residents
            .values()
            .map(|resident| Seen { model: resident.model, expires: resident.expires, context: resident.context })
            .collect();
        seen.sort_by_key(|model| std::cmp::Reverse(model.expires));
        seen
    }

    /// Brings the model into memory, waiting for its load if it is cold, and holds it there until the lease is dropped.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        model: &'static Model,
        context: u32,
        keep: Option<KeepAlive>,
        pace: Pace,
    ) -> Lease {
        if let Some(lease) = self.take(model, context, keep) {
            return lease;
        }
        let turn = Arc::clone(lock(&self.loads).entry(model.weights).or_default());
        let _turn = turn.lock().await;
        if let Some(lease) = self.take(model, context, keep) {
            return lease;
        }
        loop {
            let idle = self.idle.notified();
            if self.make_room(model) {
                break;
            }
            idle.await;
        }
        tokio::time::sleep(pace.load(model.load)).await;
        self.settle(model, context);
        self.take(model, context, keep).unwrap_or_else(|| Lease { residency: Arc::clone(self), model })
    }

    /// A server that starts again has nothing in memory.
    pub(crate) fn forget(&self) {
        lock(&self.residents).clear();
    }

    /// Sends away whatever is in the way of loading this model. False where that is at work.
    fn make_room(&self, model: &'static Model) -> bool {
        let mut residents = self.residents();
        if let Some(same) = residents.get(model.weights) {
            let idle = same.users == 0;
            if idle {
                residents.remove(model.weights);
            }
            return idle;
        }
        if residents.len() < self.most {
            return true;
        }
        let idle = residents.values().filter(|resident| resident.users == 0).min_by_key(|resident| resident.used);
        let weights = idle.map(|resident| resident.model.weights);
        weights.is_some_and(|weights| residents.remove(weights).is_some())
    }

    /// Puts the model out of memory: at once if it is idle, else once it is.
    pub(crate) fn unload(&self, model: &'static Model) {
        let mut residents = self.residents();
        let Some(resident) = residents.get_mut(model.weights) else { return };
        resident.keep = KeepAlive(Duration::ZERO);
        if resident.users == 0 {
            residents.remove(model.weights);
        }
    }

    fn take(self: &Arc<Self>, model: &'static Model, context: u32, keep: Option<KeepAlive>) -> Option<Lease> {
        let mut residents = self.residents();
        let resident = residents.get_mut(model.weights).filter(|resident| resident.context == context)?;
        resident.users += 1;
        resident.used = Instant::now();
        resident.keep = keep.unwrap_or(resident.keep);
        resident.expires = SystemTime::now() + resident.keep.0;
        Some(Lease { residency: Arc::clone(self), model })
    }

    fn settle(&self, model: &'static Model, context: u32) {
        let mut residents = self.residents();
        // A moment's grace, so that it is still there when the one who loaded it takes its lease.
        let expires = SystemTime::now() + Duration::from_secs(1);
        let keep = KeepAlive::default();
        residents.insert(model.weights, Resident { model, context, users: 0, used: Instant::now(), keep, expires });
    }

    fn release(&self, model: &'static Model) {
        let mut residents = lock(&self.residents);
        if let Some(resident) = residents.get_mut(model.weights) {
            resident.users = resident.users.saturating_sub(1);
            resident.used = Instant::now();
            resident.expires = SystemTime::now() + resident.keep.0;
        }
        drop(residents);
        self.idle.notify_waiters();
    }

    /// The models, without those whose time is over.
    fn residents(&self) -> MutexGuard<'_, HashMap<&'static str, Resident>> {
        let mut residents = lock(&self.residents);
        let now = SystemTime::now();
        residents.retain(|_, resident| resident.users > 0 || resident.expires > now);
        residents
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A model held in memory; `keep_alive` runs from when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    residency: Arc<Residency>,
    model: &'static Model,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.residency.release(self.model);
    }
}
