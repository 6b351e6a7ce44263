//! NVIDIA's GPUs, through the driver's library (NVML), which is loaded at run time.
//!
//! Promises: a machine without the driver has no facts and no failure; a function that an older library lacks, or that
//! a card does not support, costs only its own facts; a card that fell off the bus stays in the list, marked as lost; a
//! driver that is loaded, unloaded or replaced is noticed at the next reading. A hanging call affects only this source
//! ([`super::source`]).
//!
//! Left out: whatever would change a card, and what the wrapper does not support: the bytes over all `NVLinks` (their
//! field needs a scope that cannot be passed) and the ids of a card's GPU instances.

mod card;
pub mod facts;
mod library;
mod linux_only;
mod reading;
pub mod xid;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::collector::{Collector, ReadError};
use reading::CardReader;
use xid::{XidCounts, XidWatch};

pub use card::{GpuIdentity, NvidiaGpu};
pub use library::default_libraries;

/// The interval for power, energy, load and memory: energy is attributed to the exchanges in flight, which needs slices
/// shorter than most answers.
const QUICK_PERIOD: Duration = Duration::from_secs(1);

/// The facts of one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nvidia {
    /// Version of the driver.
    pub driver: Option<String>,
    /// Newest CUDA version that the driver supports, such as `12.4`.
    pub cuda: Option<String>,
    /// Every present or lost card, by index.
    pub gpus: Vec<NvidiaGpu>,
}

/// Collects them.
#[derive(Debug)]
pub struct NvidiaCollector {
    libraries: Vec<PathBuf>,
    /// The interval of complete readings.
    complete_period: Duration,
    open: Option<OpenLibrary>,
    /// When the last complete reading began.
    complete_at: Option<Instant>,
    last: Nvidia,
    xids: XidCounts,
}

/// The loaded library.
#[derive(Debug)]
struct OpenLibrary {
    nvml: Arc<Nvml>,
    watch: XidWatch,
}

impl NvidiaCollector {
    /// Tries these libraries in this order at each reading until one is loaded. Every `complete_period` all facts are
    /// read, in between only the quick ones.
    #[must_use]
    pub fn new(libraries: Vec<PathBuf>, complete_period: Duration) -> Self {
        Self {
            libraries,
            complete_period,
            open: None,
            complete_at: None,
            last: Nvidia::default(),
            xids: XidCounts::default(),
        }
    }

    /// The library, loaded if need be; `None` on a machine without the library, or without a loaded driver.
    fn nvml(&mut self) -> Result<Option<Arc<Nvml>>, ReadError> {
        if let Some(open) = &self.open {
            return Ok(Some(Arc::clone(&open.nvml)));
        }
        let Some(nvml) = library::open(&self.libraries)? else {
            self.last = Nvidia::default();
            return Ok(None);
        };
        let nvml = Arc::new(nvml);
        self.open = Some(OpenLibrary { nvml: Arc::clone(&nvml), watch: XidWatch::default() });
        self.complete_at = None;
        Ok(Some(nvml))
    }

    /// Unloads the library, after the driver was unloaded or failed.
    fn close(&mut self) {
        self.open = None;
    }

    /// Whether the card with this index has ever reported its UUID.
    fn has_uuid(&self, index: u32) -> bool {
        self.last.gpus.iter().any(|gpu| gpu.identity.index == index && !gpu.identity.uuid.is_empty())
    }

    /// Reads every card that answers, and keeps every other one that did before.
    fn read_gpus(&self, nvml: &Nvml, complete: bool) -> Result<Vec<NvidiaGpu>, NvmlError> {
        let mut reader = CardReader::default();
        let mut found = BTreeMap::new();
        for index in 0..nvml.device_count()? {
            reader.next_card();
            let device = reader.value(nvml.device_by_index(index));
            let before = self.last.gpus.iter().find(|gpu| gpu.identity.index == index && gpu.up);
            let gpu = device.and_then(|device| {
                let quick = before.filter(|_| !complete).and_then(|before| reader.read_quick(&device, before));
                quick.or_else(|| reader.read_complete(&device, index))
            });
            match gpu {
                Some(gpu) => drop(found.insert(gpu.identity.uuid.clone(), gpu)),
                None if reader.is_card_lost() && !self.has_uuid(index) => {
                    found.insert(format!("{index}"), NvidiaGpu::lost(&GpuIdentity { index, ..GpuIdentity::default() }));
                }
                None => {}
            }
        }
        if reader.is_driver_gone() {
            return Err(NvmlError::DriverNotLoaded);
        }
        // A card that was lost before it reported its UUID cannot be matched with one that has it.
        for before in self.last.gpus.iter().filter(|gpu| !gpu.identity.uuid.is_empty()) {
            found.entry(before.identity.uuid.clone()).or_insert_with(|| NvidiaGpu::lost(&before.identity));
        }
        let mut gpus: Vec<_> = found.into_values().collect();
        gpus.sort_by(|a, b| (a.identity.index, &a.identity.uuid).cmp(&(b.identity.index, &b.identity.uuid)));
        Ok(gpus)
    }

    /// Logs cards that were lost or answer again.
    fn log_changes(&self, gpus: &[NvidiaGpu]) {
        for gpu in gpus {
            let GpuIdentity { index, uuid, name, .. } = &gpu.identity;
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
        configured.min(QUICK_PERIOD)
    }

    fn read(&mut self, now: Instant) -> Result<Option<Nvidia>, ReadError> {
        let Some(nvml) = self.nvml()? else { return Ok(None) };
        let complete = self.complete_at.is_none_or(|at| now.saturating_duration_since(at) >= self.complete_period);
        let mut gpus = match self.read_gpus(&nvml, complete) {
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
        self.log_changes(&gpus);
        if complete {
            self.complete_at = Some(now);
        }
        if let Some(open) = &mut self.open {
            let up = gpus.iter().filter(|gpu| gpu.up).map(|gpu| &*gpu.identity.uuid);
            open.watch.watch(&nvml, up, &self.xids);
            gpus.iter_mut().for_each(|gpu| gpu.facts.xids = open.watch.xids_of(&gpu.identity.uuid, &self.xids));
        }
        let versions = || (nvml.sys_driver_version().ok(), nvml.sys_cuda_driver_version().ok().map(cuda_version));
        let (driver, cuda) = if complete { versions() } else { (self.last.driver.take(), self.last.cuda.take()) };
        self.last = Nvidia { driver, cuda, gpus };
        Ok(Some(self.last.clone()).filter(|nvidia| !nvidia.gpus.is_empty()))
    }
}

/// Formats NVML's version number: 12040 is 12.4.
fn cuda_version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}
