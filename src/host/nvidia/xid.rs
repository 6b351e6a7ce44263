//! XIDs: errors that the driver reports as events, received on a separate thread.
//!
//! Promises: each is counted once, by class and card; cards that appear later are watched from then on. Left out:
//! errors before this program started (they are in the kernel's log).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::event::EventSet;
use nvml_wrapper::struct_wrappers::event::EventData;
use nvml_wrapper::{Device, Nvml};

use super::linux_only::{register_xids, reports_xids};

/// The longest wait for an event; the thread notices the end of the watch only after it.
const WAIT: Duration = Duration::from_secs(1);

/// Counted for an error without a number.
const NO_NUMBER: u64 = 999;

/// The class of an XID (NVIDIA, "XID Errors", catalogue and "Common XID Errors").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum XidClass {
    /// A fault of a program: an invalid address, an exception, or it was killed. The card is healthy.
    Application,
    /// The card's memory: errors, remapped rows and retired pages.
    Memory,
    /// The links between cards.
    NvLink,
    /// The card does not answer on the bus.
    Bus,
    /// The card's own processors and their firmware.
    Firmware,
    /// Anything else.
    Other,
}

impl XidClass {
    /// Every value.
    pub const ALL: [Self; 6] = [Self::Application, Self::Memory, Self::NvLink, Self::Bus, Self::Firmware, Self::Other];

    /// The class of this number.
    #[must_use]
    pub const fn of(xid: u64) -> Self {
        match xid {
            13 | 31 | 43 | 45 | 68 | 69 | 108 | 109 => Self::Application,
            48 | 63 | 64 | 92 | 94 | 95 | 140 | 160 | 161 | 171 | 172 => Self::Memory,
            74 | 137 | 144..=150 => Self::NvLink,
            79 | 154 => Self::Bus,
            61 | 62 | 110 | 119 | 120 | 122 | 123 | 143 => Self::Firmware,
            _ => Self::Other,
        }
    }

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Memory => "memory",
            Self::NvLink => "nvlink",
            Self::Bus => "bus",
            Self::Firmware => "firmware",
            Self::Other => "other",
        }
    }
}

/// The errors of one card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xids {
    /// The last XID; `None` where there was none.
    pub last: Option<u64>,
    /// Errors by class; an absent class had none.
    pub counts: BTreeMap<XidClass, u64>,
}

/// The errors of each card by UUID. Outlives the library, so that no count decreases.
#[derive(Clone, Debug, Default)]
pub(super) struct XidCounts(Arc<Mutex<BTreeMap<String, Xids>>>);

impl XidCounts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Xids>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, uuid: &str, xid: u64) {
        let mut all = self.lock();
        let xids = all.entry(uuid.to_owned()).or_default();
        xids.last = Some(xid);
        *xids.counts.entry(XidClass::of(xid)).or_default() += 1;
    }
}

/// The thread that receives events. Dropping this ends it after its wait.
#[derive(Debug, Default)]
pub(super) struct XidWatch {
    /// The cards that answered at the start of the thread.
    known: Vec<String>,
    /// Those of them that report XIDs.
    reporting: Vec<String>,
    stop: Option<Arc<AtomicBool>>,
}

impl XidWatch {
    /// Watches the cards with these UUIDs; restarts the thread if one of them is new.
    pub(super) fn watch<'a>(
        &mut self,
        nvml: &Arc<Nvml>,
        uuids: impl Iterator<Item = &'a str> + Clone,
        counts: &XidCounts,
    ) {
        if uuids.clone().any(|uuid| !self.known.iter().any(|known| known == uuid)) {
            *self = Self::start(nvml, uuids, counts);
        }
    }

    /// The errors of a card; `None` where it was never watched.
    pub(super) fn xids_of(&self, uuid: &str, counts: &XidCounts) -> Option<Xids> {
        let all = counts.lock();
        let is_watched = self.stop.is_some() && self.reporting.iter().any(|card| card == uuid);
        all.get(uuid).cloned().or_else(|| is_watched.then(Xids::default))
    }

    fn start<'a>(nvml: &Arc<Nvml>, uuids: impl Iterator<Item = &'a str>, counts: &XidCounts) -> Self {
        let known: Vec<String> = uuids.map(str::to_owned).collect();
        let devices = if nvml.create_event_set().is_ok() { reporting_devices(nvml) } else { Vec::new() };
        let reporting: Vec<String> = devices.iter().filter_map(|device| device.uuid().ok()).collect();
        if reporting.is_empty() {
            return Self { known, reporting, stop: None };
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (nvml, counts, stopped, cards) = (Arc::clone(nvml), counts.clone(), Arc::clone(&stop), reporting.clone());
        let thread = thread::Builder::new().name("nvidia-xid".to_owned());
        let spawned = thread.spawn(move || receive(&nvml, &cards, &counts, &stopped));
        Self { known, reporting, stop: spawned.ok().map(|_| stop) }
    }
}

impl Drop for XidWatch {
    fn drop(&mut self) {
        if let Some(stop) = &self.stop {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

fn receive(nvml: &Nvml, cards: &[String], counts: &XidCounts, stopped: &AtomicBool) {
    let Some(set) = subscribe(nvml) else { return };
    let wait = u32::try_from(WAIT.as_millis()).unwrap_or(u32::MAX);
    while !stopped.load(Ordering::Relaxed) {
        match set.wait(wait) {
            Ok(event) => count(&event, cards, counts),
            Err(NvmlError::Timeout) => {}
            Err(NvmlError::Uninitialized | NvmlError::FailedToLoadSymbol(_)) => return,
            // After the loss of a card every wait ends at once.
            Err(_) => thread::park_timeout(WAIT),
        }
    }
}

/// The cards that report XIDs.
fn reporting_devices(nvml: &Nvml) -> Vec<Device<'_>> {
    let all = (0..nvml.device_count().unwrap_or(0)).filter_map(|index| nvml.device_by_index(index).ok());
    all.filter(reports_xids).collect()
}

/// An event set with every card that reports XIDs. A failed registration drops the set, so only cards that support the
/// event are registered.
fn subscribe(nvml: &Nvml) -> Option<EventSet<'_>> {
    let set = nvml.create_event_set().ok()?;
    reporting_devices(nvml).into_iter().try_fold(set, |set, device| register_xids(&device, set).ok())
}

/// Counts and logs an event. A lost card may not report its UUID; it is known only if there is a single card.
fn count(event: &EventData<'_>, cards: &[String], counts: &XidCounts) {
    let xid = match event.event_data {
        Some(XidError::Value(xid)) => xid,
        Some(XidError::Unknown) => NO_NUMBER,
        None => return,
    };
    let only = || cards.first().filter(|_| cards.len() == 1).cloned();
    let Some(uuid) = event.device.uuid().ok().or_else(only) else {
        tracing::warn!(xid, "the NVIDIA driver reports an error of a GPU that does not tell which it is");
        return;
    };
    tracing::warn!(xid, class = XidClass::of(xid).as_str(), uuid, "the NVIDIA driver reports an error of a GPU");
    counts.add(&uuid, xid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xids_are_classified_by_their_remedy() {
        for (xid, class) in [
            (13, XidClass::Application),
            (31, XidClass::Application),
            (48, XidClass::Memory),
            (63, XidClass::Memory),
            (74, XidClass::NvLink),
            (79, XidClass::Bus),
            (119, XidClass::Firmware),
            (1, XidClass::Other),
            (NO_NUMBER, XidClass::Other),
        ] {
            assert_eq!(XidClass::of(xid), class, "{xid}");
        }
    }

    #[test]
    fn the_last_number_and_the_counts_of_each_class_are_kept() {
        let counts = XidCounts::default();
        [31, 79, 13].into_iter().for_each(|xid| counts.add("GPU-a", xid));
        let counted = counts.lock()["GPU-a"].clone();
        assert_eq!(counted.last, Some(13));
        assert_eq!(counted.counts[&XidClass::Application], 2);
        assert_eq!(counted.counts[&XidClass::Bus], 1);
        assert_eq!(XidWatch::default().xids_of("GPU-b", &counts), None, "a card that is not watched");
    }
}
