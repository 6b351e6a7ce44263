//! XIDs: errors that the driver reports as they happen, heard on a thread of its own.
//!
//! Promises: each is counted once, by its class and for the card it happened to; cards that come later are watched from
//! then on. Left out: what happened before this program (the kernel's log has it).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::event::EventSet;
use nvml_wrapper::struct_wrappers::event::EventData;
use nvml_wrapper::{Device, Nvml};

use super::NvidiaGpu;

/// How long a wait for events may last; the end of the watch is noticed after it.
const WAIT: Duration = Duration::from_secs(1);

/// What the driver reports for an error it has no number for.
const NO_NUMBER: u64 = 999;

/// What an XID is about (NVIDIA, "XID Errors", catalogue and "Common XID Errors").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum XidClass {
    /// A program did what it must not: a bad address, an exception, or it was ended. The card is well.
    Application,
    /// The card's memory: errors, rows and pages that are replaced.
    Memory,
    /// The links between cards.
    NvLink,
    /// The card no longer answers on the bus.
    Bus,
    /// The card's own processors and their firmware.
    Firmware,
    /// Anything else.
    Other,
}

impl XidClass {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Application, Self::Memory, Self::NvLink, Self::Bus, Self::Firmware, Self::Other];

    /// Of a number.
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

    /// As a label.
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

/// What was heard of one card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xids {
    /// Number of the last one; `None` where there was none.
    pub last: Option<u64>,
    /// How many of each class; a class that is not there had none.
    pub counts: BTreeMap<XidClass, u64>,
}

/// What was heard, by the card's UUID. It outlives the library, so that no count goes back.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<BTreeMap<String, Xids>>>);

impl Tally {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Xids>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, uuid: &str, xid: u64) {
        let mut all = self.lock();
        let xids = all.entry(uuid.to_owned()).or_default();
        xids.last = Some(xid);
        *xids.counts.entry(XidClass::of(xid)).or_default() += 1;
    }
}

/// The thread that listens. Dropping this ends it after its wait.
#[derive(Debug, Default)]
pub(super) struct XidWatch {
    /// The cards that were there when it began.
    asked: Vec<String>,
    /// Those of them that report XIDs.
    cards: Vec<String>,
    stop: Option<Arc<AtomicBool>>,
}

impl XidWatch {
    /// Of no card.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Listens to the cards that answer, anew if they are others than before.
    pub(super) fn keep(&mut self, nvml: &Arc<Nvml>, gpus: &[NvidiaGpu], tally: &Tally) {
        let is_new = |gpu: &NvidiaGpu| gpu.up && !self.asked.contains(&gpu.identity.uuid);
        if gpus.iter().any(is_new) {
            *self = Self::start(nvml, gpus, tally);
        }
    }

    /// What was heard of a card that is or was listened to.
    pub(super) fn of(&self, uuid: &str, tally: &Tally) -> Option<Xids> {
        let all = tally.lock();
        let listened = self.stop.is_some() && self.cards.iter().any(|card| card == uuid);
        all.get(uuid).cloned().or_else(|| listened.then(Xids::default))
    }

    fn start(nvml: &Arc<Nvml>, gpus: &[NvidiaGpu], tally: &Tally) -> Self {
        let asked: Vec<String> = gpus.iter().filter(|gpu| gpu.up).map(|gpu| gpu.identity.uuid.clone()).collect();
        let listed = if nvml.create_event_set().is_ok() { reporting(nvml) } else { Vec::new() };
        let cards: Vec<String> = listed.iter().filter_map(|device| device.uuid().ok()).collect();
        if cards.is_empty() {
            return Self { asked, cards, stop: None };
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (nvml, tally, stopped, of) = (Arc::clone(nvml), tally.clone(), Arc::clone(&stop), cards.clone());
        let thread = thread::Builder::new().name("nvidia-xid".to_owned());
        let listening = thread.spawn(move || listen(&nvml, &of, &tally, &stopped));
        Self { asked, cards, stop: listening.ok().map(|_| stop) }
    }
}

impl Drop for XidWatch {
    fn drop(&mut self) {
        if let Some(stop) = &self.stop {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

fn listen(nvml: &Nvml, cards: &[String], tally: &Tally, stopped: &AtomicBool) {
    let Some(set) = subscribe(nvml) else { return };
    let wait = u32::try_from(WAIT.as_millis()).unwrap_or(u32::MAX);
    while !stopped.load(Ordering::Relaxed) {
        match set.wait(wait) {
            Ok(event) => count(&event, cards, tally),
            Err(NvmlError::Timeout) => {}
            Err(NvmlError::Uninitialized | NvmlError::FailedToLoadSymbol(_)) => return,
            // A lost card makes every wait end at once.
            Err(_) => thread::park_timeout(WAIT),
        }
    }
}

/// The cards that report XIDs.
fn reporting(nvml: &Nvml) -> Vec<Device<'_>> {
    let all = (0..nvml.device_count().unwrap_or(0)).filter_map(|index| nvml.device_by_index(index).ok());
    let reports = |types: EventTypes| types.contains(EventTypes::CRITICAL_XID_ERROR);
    all.filter(|device| device.supported_event_types().is_ok_and(reports)).collect()
}

/// An event set of every card that reports XIDs. A registration that fails takes the set with it, so each card was
/// asked before.
fn subscribe(nvml: &Nvml) -> Option<EventSet<'_>> {
    let set = nvml.create_event_set().ok()?;
    reporting(nvml)
        .into_iter()
        .try_fold(set, |set, device| device.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok())
}

/// A card that is lost may not even tell its name; with only one there is no doubt.
fn count(event: &EventData<'_>, cards: &[String], tally: &Tally) {
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
    tally.heard(&uuid, xid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xids_are_told_apart_by_what_is_to_be_done_about_them() {
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
        let tally = Tally::default();
        [31, 79, 13].into_iter().for_each(|xid| tally.heard("GPU-a", xid));
        let heard = tally.lock()["GPU-a"].clone();
        assert_eq!(heard.last, Some(13));
        assert_eq!(heard.counts[&XidClass::Application], 2);
        assert_eq!(heard.counts[&XidClass::Bus], 1);
        assert_eq!(XidWatch::none().of("GPU-b", &tally), None, "a card that nobody listens to");
    }
}
