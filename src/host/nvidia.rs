//! NVIDIA's GPUs, through the driver's own library (NVML), which is loaded while the program runs.
//!
//! Promises: a machine without the driver has nothing to say and nothing to complain about; a function that an older
//! library lacks, or that a card does not support, costs its own facts only; a card that fell off the bus stays in the
//! list and is marked as gone; a driver that comes, goes or is replaced is noticed at the next reading. A call that
//! hangs hangs this source alone ([`super::source`]).
//!
//! Left out: whatever would change a card, and what the wrapper does not offer: the bytes that pass over all `NVLinks`
//! (their field needs a scope that cannot be given) and the numbers of a card's GPU instances.

pub mod facts;
mod library;
mod reading;
pub mod xid;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::collector::{Collector, ReadError};
use super::gpu::Gpu;
use facts::Facts;
use reading::Reader;
use xid::XidWatch;

pub use library::default_libraries;

/// Power, energy, load and memory are read this often: energy is shared out among what was going on meanwhile, and a
/// slice that is longer than most answers would tell little.
const QUICK: Duration = Duration::from_secs(1);

/// What identifies a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its number in the library's list.
    pub index: u32,
    /// `GPU-…`, for good; empty for a card that was lost before it told.
    pub uuid: String,
    /// Its product name.
    pub name: String,
    /// Where it is plugged in, as `00000000:01:00.0`; empty where it is not known.
    pub pci_bus_id: String,
    /// Number of its device file, `/dev/nvidia…`.
    pub minor: Option<u32>,
}

/// One card.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NvidiaGpu {
    /// Which one.
    pub identity: Identity,
    /// Whether it answers. A card that was seen once and is lost, or needs a reset, does not.
    pub up: bool,
    /// What it told; nothing where it does not answer.
    pub facts: Facts,
}

impl NvidiaGpu {
    /// What it shares with the cards of other makers.
    #[must_use]
    pub fn gpu(&self) -> Gpu {
        let facts = &self.facts;
        Gpu {
            index: self.identity.index.to_string(),
            uuid: self.identity.uuid.clone(),
            name: self.identity.name.clone(),
            utilization: facts.utilization,
            power_watts: facts.power_watts,
            energy_joules: facts.energy_joules,
            temperature_celsius: facts.temperature_celsius,
            memory_used_bytes: facts.memory.map(|memory| memory.used),
            memory_total_bytes: facts.memory.map(|memory| memory.total),
        }
    }
}

/// What one reading gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nvidia {
    /// Version of the driver.
    pub driver: Option<String>,
    /// Newest CUDA that the driver supports, as `12.4`.
    pub cuda: Option<String>,
    /// Every card that is there or was, by its number.
    pub gpus: Vec<NvidiaGpu>,
}

/// Reads them.
#[derive(Debug)]
pub struct NvidiaCollector {
    libraries: Vec<PathBuf>,
    /// Between two readings of everything.
    whole_every: Duration,
    open: Option<Open>,
    /// When everything was last read.
    whole_at: Option<Instant>,
    last: Nvidia,
    xids: xid::Tally,
}

/// The library while it is loaded.
#[derive(Debug)]
struct Open {
    nvml: Arc<Nvml>,
    watch: XidWatch,
}

impl NvidiaCollector {
    /// Tries these libraries, in this order, each time there is none.
    #[must_use]
    pub fn new(libraries: Vec<PathBuf>, whole_every: Duration) -> Self {
        Self {
            libraries,
            whole_every,
            open: None,
            whole_at: None,
            last: Nvidia::default(),
            xids: xid::Tally::default(),
        }
    }

    /// The library; `None` where there is none, or no driver beneath it.
    fn nvml(&mut self) -> Result<Option<Arc<Nvml>>, ReadError> {
        if let Some(open) = &self.open {
            return Ok(Some(Arc::clone(&open.nvml)));
        }
        let Some(nvml) = library::open(&self.libraries)? else {
            self.last = Nvidia::default();
            return Ok(None);
        };
        let nvml = Arc::new(nvml);
        self.open = Some(Open { nvml: Arc::clone(&nvml), watch: XidWatch::none() });
        self.whole_at = None;
        Ok(Some(nvml))
    }

    /// The driver under the library is gone: the next reading begins anew.
    fn close(&mut self) {
        self.open = None;
    }

    /// Whether the card with this number once told its name.
    fn knows(&self, index: u32) -> bool {
        self.last.gpus.iter().any(|gpu| gpu.identity.index == index && !gpu.identity.uuid.is_empty())
    }

    /// Every card that answers, and every other one that did before.
    fn gpus(&self, nvml: &Nvml, whole: bool) -> Result<Vec<NvidiaGpu>, NvmlError> {
        let mut reader = Reader::default();
        let mut found = BTreeMap::new();
        for index in 0..nvml.device_count()? {
            reader.next_card();
            let device = reader.seen(nvml.device_by_index(index));
            let before = self.last.gpus.iter().find(|gpu| gpu.identity.index == index && gpu.up);
            let gpu = device.and_then(|device| {
                let quick = before.filter(|_| !whole).and_then(|before| reader.quick(&device, before));
                quick.or_else(|| reader.whole(&device, index))
            });
            match gpu {
                Some(gpu) => drop(found.insert(gpu.identity.uuid.clone(), gpu)),
                None if reader.card_lost() && !self.knows(index) => {
                    found.insert(format!("{index}"), lost(&Identity { index, ..Identity::default() }));
                }
                None => {}
            }
        }
        if reader.driver_gone() {
            return Err(NvmlError::DriverNotLoaded);
        }
        // One that was lost before it could tell its name is another one once it has it.
        for before in self.last.gpus.iter().filter(|gpu| !gpu.identity.uuid.is_empty()) {
            found.entry(before.identity.uuid.clone()).or_insert_with(|| lost(&before.identity));
        }
        let mut gpus: Vec<_> = found.into_values().collect();
        gpus.sort_by(|a, b| (a.identity.index, &a.identity.uuid).cmp(&(b.identity.index, &b.identity.uuid)));
        Ok(gpus)
    }

    /// Tells of cards that went or came back.
    fn tell(&self, gpus: &[NvidiaGpu]) {
        for gpu in gpus {
            let Identity { index, uuid, name, .. } = &gpu.identity;
            let before = self.last.gpus.iter().find(|before| before.identity.uuid == *uuid);
            match before.map(|before| (before.up, gpu.up)) {
                Some((true, false)) => tracing::warn!(index, uuid, name, "a GPU is lost: it no longer answers"),
                Some((false, true)) => tracing::info!(index, uuid, name, "a GPU that was lost answers again"),
                _ => {}
            }
        }
    }
}

impl Collector for NvidiaCollector {
    type Part = Nvidia;

    fn name(&self) -> &'static str {
        "nvidia"
    }

    fn period(&self, configured: Duration) -> Duration {
        configured.min(QUICK)
    }

    fn read(&mut self, now: Instant) -> Result<Option<Nvidia>, ReadError> {
        let Some(nvml) = self.nvml()? else { return Ok(None) };
        let whole = self.whole_at.is_none_or(|at| now.saturating_duration_since(at) >= self.whole_every);
        let mut gpus = match self.gpus(&nvml, whole) {
            Ok(gpus) => gpus,
            Err(NvmlError::Uninitialized | NvmlError::DriverNotLoaded) => {
                self.close();
                self.last = Nvidia::default();
                return Ok(None);
            }
            Err(error) => {
                self.close();
                return Err(ReadError::Source(error.to_string()));
            }
        };
        self.tell(&gpus);
        if whole {
            self.whole_at = Some(now);
        }
        if let Some(open) = &mut self.open {
            open.watch.keep(&nvml, &gpus, &self.xids);
            gpus.iter_mut().for_each(|gpu| gpu.facts.xids = open.watch.of(&gpu.identity.uuid, &self.xids));
        }
        let versions = || (nvml.sys_driver_version().ok(), nvml.sys_cuda_driver_version().ok().map(cuda_version));
        let (driver, cuda) = if whole { versions() } else { (self.last.driver.take(), self.last.cuda.take()) };
        self.last = Nvidia { driver, cuda, gpus };
        Ok(Some(self.last.clone()).filter(|nvidia| !nvidia.gpus.is_empty()))
    }
}

/// A card that does not answer.
fn lost(identity: &Identity) -> NvidiaGpu {
    NvidiaGpu { identity: identity.clone(), up: false, facts: Facts::default() }
}

/// 12040 is 12.4.
fn cuda_version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}
