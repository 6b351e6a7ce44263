//! Attributes the energy that the meters measure above idle to the exchanges in flight.
//!
//! Promises: the attributed energy and the rest add up to the measured energy. A slice is the time between two readings
//! of a meter; its energy above idle power goes to the exchanges in flight during the slice, in equal shares at each
//! moment; one that is retracted has no part in its last slice. The rest (idle, and other work while nothing was in flight) is not attributed. Until a meter was observed
//! without exchanges, the lowest power observed counts as idle.
//!
//! Left out: what a loaded model costs while it is unused (that is idle), and other work on the machine during an
//! exchange, which a meter cannot separate.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::collector::{Collector, ReadError};
use super::gpu::Gpu;
use super::helper::HelperPart;
use super::nvidia::{Nvidia, NvidiaGpu};

/// Idle power is the lowest of the last one to two such windows, since a card with a loaded model idles higher.
const IDLE_WINDOW: Duration = Duration::from_secs(600);

/// Parts of a nanosecond in which shares are counted. Whole numbers, so that a share that is taken back leaves nothing.
const PARTS: u128 = 1 << 20;

/// The power at two instants further apart says nothing about the time between.
const LONGEST_SLICE: Duration = Duration::from_secs(30);

/// The model and backend that energy is attributed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Consumer {
    /// The model's label value.
    pub model: Arc<str>,
    /// The backend's configured name.
    pub backend: Arc<str>,
}

/// One reading of a meter. Its energy counter is preferred to its power.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeterReading {
    /// The meter's name, the same at every reading.
    pub meter: String,
    /// Its energy counter in joules; `None` where it has none.
    pub joules: Option<f64>,
    /// The current power in watts; `None` where it is unknown.
    pub watts: Option<f64>,
}

/// The energy measured so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnergyTotals {
    /// Joules of each consumer, also of those with none yet. Those of which every exchange was retracted are left out.
    pub used: Vec<(Consumer, f64)>,
    /// Joules that are not attributed.
    pub rest: f64,
    /// Idle power of all meters together, in watts.
    pub idle_watts: f64,
}

/// Identifies an exchange of a consumer within a [`Meter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId {
    consumer: usize,
    /// [`MeterState::each`] at its begin.
    begun: u128,
}

/// Attributes energy, given the begin and end of exchanges and the readings of all meters. Every call holds a lock
/// while it iterates over the consumers.
#[derive(Debug, Default)]
pub struct Meter(Mutex<MeterState>);

#[derive(Debug, Default)]
struct MeterState {
    /// The instant up to which shares are computed.
    at: Option<Instant>,
    in_flight: u32,
    /// The share of one exchange that has been in flight all the time, in [`PARTS`].
    each: u128,
    consumers: Vec<ConsumerUse>,
    ids: hashbrown::HashMap<Consumer, usize>,
    /// By the meter's name.
    devices: HashMap<String, MeterDevice>,
    rest: f64,
}

#[derive(Debug)]
struct ConsumerUse {
    consumer: Consumer,
    in_flight: u32,
    /// An exchange of it ended and was not retracted.
    has_ended: bool,
    /// Its share of time in [`PARTS`]: a second in which it had one of four exchanges is a quarter.
    share: u128,
    joules: f64,
}

/// One metered device.
#[derive(Debug)]
struct MeterDevice {
    /// The instant of the last reading.
    at: Instant,
    joules: Option<f64>,
    /// Every consumer's share at the last reading.
    shares: Vec<u128>,
    /// [`MeterState::each`] at the last reading.
    each: u128,
    idle: IdlePower,
}

/// The idle power of one device, in watts.
#[derive(Debug, Default)]
struct IdlePower {
    window: Option<Instant>,
    lowest: Option<f64>,
    lowest_before: Option<f64>,
    /// The lowest of slices with exchanges in flight.
    lowest_busy: Option<f64>,
}

impl Meter {
    /// An exchange of this consumer begins.
    pub fn begin(&self, consumer: &Consumer, now: Instant) -> ConsumerId {
        let mut state = self.lock();
        state.advance(now);
        let id = state.id(consumer);
        state.consumers[id].in_flight += 1;
        state.in_flight += 1;
        ConsumerId { consumer: id, begun: state.each }
    }

    /// An exchange of this consumer ends. Call it, or [`Meter::retract`], once for each [`Meter::begin`].
    pub fn end(&self, id: ConsumerId, now: Instant) {
        let mut state = self.lock();
        state.advance(now);
        if let Some(consumer) = state.leave(id) {
            consumer.has_ended = true;
        }
    }

    /// The exchange turns out to use no energy of these meters: it ends, and its share of time since the last reading
    /// goes to the others. The joules of earlier slices stay, since counters do not fall.
    pub fn retract(&self, id: ConsumerId, now: Instant) {
        let mut state = self.lock();
        state.advance(now);
        let slice = state.devices.values().map(|device| device.each).max().unwrap_or_default();
        let share = state.each.saturating_sub(id.begun.max(slice));
        if let Some(consumer) = state.leave(id) {
            consumer.share = consumer.share.saturating_sub(share);
        }
    }

    /// Adds readings made at this instant.
    pub fn observe(&self, now: Instant, readings: &[MeterReading]) {
        let mut state = self.lock();
        state.advance(now);
        readings.iter().for_each(|reading| state.observe(now, reading));
    }

    /// The energy so far; `None` before the first reading.
    #[must_use]
    pub fn totals(&self) -> Option<EnergyTotals> {
        let state = self.lock();
        (!state.devices.is_empty()).then(|| EnergyTotals {
            used: state
                .consumers
                .iter()
                .filter(|it| it.is_counted())
                .map(|it| (it.consumer.clone(), it.joules))
                .collect(),
            rest: state.rest,
            idle_watts: state.devices.values().filter_map(|device| device.idle.watts()).sum(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, MeterState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MeterState {
    fn id(&mut self, consumer: &Consumer) -> usize {
        if let Some(id) = self.ids.get(consumer) {
            return *id;
        }
        self.ids.insert(consumer.clone(), self.consumers.len());
        let consumer = consumer.clone();
        self.consumers.push(ConsumerUse { consumer, in_flight: 0, has_ended: false, share: 0, joules: 0.0 });
        self.consumers.len() - 1
    }

    /// The exchange is no longer in flight. Returns its consumer.
    fn leave(&mut self, id: ConsumerId) -> Option<&mut ConsumerUse> {
        let consumer = self.consumers.get_mut(id.consumer)?;
        self.in_flight = self.in_flight.saturating_sub(consumer.in_flight.min(1));
        consumer.in_flight = consumer.in_flight.saturating_sub(1);
        Some(consumer)
    }

    /// Adds to every consumer's share up to now. Before the first reading there is nothing to share.
    fn advance(&mut self, now: Instant) {
        let at = self.at.unwrap_or(now);
        self.at = Some(at.max(now));
        if self.in_flight > 0 && !self.devices.is_empty() {
            let elapsed = now.saturating_duration_since(at).as_nanos() * PARTS;
            let each = elapsed / u128::from(self.in_flight);
            self.each += each;
            self.consumers.iter_mut().for_each(|it| it.share += each * u128::from(it.in_flight));
        }
    }

    fn observe(&mut self, now: Instant, reading: &MeterReading) {
        let shares: Vec<u128> = self.consumers.iter().map(|it| it.share).collect();
        let joules = reading.joules.filter(|joules| joules.is_finite() && *joules >= 0.0);
        let watts = reading.watts.filter(|watts| watts.is_finite() && *watts >= 0.0);
        let Some(device) = self.devices.get_mut(&reading.meter) else {
            if joules.or(watts).is_some() {
                let device = MeterDevice { at: now, joules, shares, each: self.each, idle: IdlePower::default() };
                self.devices.insert(reading.meter.clone(), device);
            }
            return;
        };
        let energy = device.slice_energy(now, joules, watts);
        if energy == SliceEnergy::Unchanged {
            return;
        }
        let time = now.saturating_duration_since(device.at).as_secs_f64();
        let before = std::mem::replace(&mut device.shares, shares);
        (device.at, device.joules, device.each) = (now, joules, self.each);
        let SliceEnergy::Joules(spent) = energy else { return };
        if time <= 0.0 {
            return;
        }

        let share =
            |(index, it): (usize, &ConsumerUse)| it.share.saturating_sub(before.get(index).copied().unwrap_or(0));
        let busy: u128 = self.consumers.iter().enumerate().map(share).sum();
        let idle = device.idle.observe(now, spent / time, busy > 0);
        let above = if busy > 0 { (spent - idle * time).max(0.0) } else { 0.0 };
        self.rest += spent - above;
        for (index, it) in self.consumers.iter_mut().enumerate().filter(|_| above > 0.0) {
            it.joules += above * share((index, it)) as f64 / busy as f64;
        }
    }
}

impl ConsumerUse {
    /// Whether any exchange of it used energy of these meters, as far as is known.
    fn is_counted(&self) -> bool {
        self.in_flight > 0 || self.has_ended || self.joules > 0.0
    }
}

/// The energy of a slice.
#[derive(Clone, Copy, PartialEq)]
enum SliceEnergy {
    /// The counter has not moved: the slice goes on.
    Unchanged,
    /// The slice ends, with an unknown amount.
    Unknown,
    /// The slice ends, with this amount.
    Joules(f64),
}

impl MeterDevice {
    /// The energy since the last reading.
    fn slice_energy(&self, now: Instant, joules: Option<f64>, watts: Option<f64>) -> SliceEnergy {
        let time = now.saturating_duration_since(self.at);
        match (self.joules, joules) {
            (Some(before), Some(joules)) if joules > before => SliceEnergy::Joules(joules - before),
            (Some(before), Some(joules)) if joules == before && time < LONGEST_SLICE => SliceEnergy::Unchanged,
            // A counter that does not move for so long means no consumption.
            (Some(before), Some(joules)) if joules == before => SliceEnergy::Joules(0.0),
            // One that decreased was reset with the driver.
            (Some(_), Some(_)) => SliceEnergy::Unknown,
            (None, None) if time <= LONGEST_SLICE => {
                watts.map_or(SliceEnergy::Unknown, |watts| SliceEnergy::Joules(watts * time.as_secs_f64()))
            }
            _ => SliceEnergy::Unknown,
        }
    }
}

impl IdlePower {
    /// Adds a slice with this power. Returns the idle power.
    fn observe(&mut self, now: Instant, watts: f64, busy: bool) -> f64 {
        let lower = |known: Option<f64>| Some(known.map_or(watts, |known| known.min(watts)));
        if busy {
            self.lowest_busy = lower(self.lowest_busy);
        } else {
            if self.window.is_none_or(|since| now.saturating_duration_since(since) > IDLE_WINDOW) {
                self.window = Some(now);
                self.lowest_before = self.lowest.take();
            }
            self.lowest = lower(self.lowest);
        }
        self.watts().unwrap_or(watts)
    }

    /// The idle power; `None` before the first slice.
    fn watts(&self) -> Option<f64> {
        let quiet = [self.lowest, self.lowest_before].into_iter().flatten().reduce(f64::min);
        quiet.or(self.lowest_busy)
    }
}

/// Facts that include meters.
pub trait Metered {
    /// The readings of these meters.
    fn readings(&self) -> Vec<MeterReading>;
}

impl Metered for Vec<Gpu> {
    fn readings(&self) -> Vec<MeterReading> {
        self.iter().map(|gpu| gpu_reading("amd", gpu)).collect()
    }
}

impl Metered for Nvidia {
    fn readings(&self) -> Vec<MeterReading> {
        self.gpus.iter().map(NvidiaGpu::gpu).map(|gpu| gpu_reading("nvidia", &gpu)).collect()
    }
}

impl Metered for HelperPart {
    fn readings(&self) -> Vec<MeterReading> {
        let (joules, watts) = (self.reading.cpu_energy_joules, self.reading.cpu_power_watts);
        let cpu = MeterReading { meter: "cpu".to_owned(), joules, watts };
        self.reading.gpu().map(|gpu| gpu_reading("helper", &gpu)).into_iter().chain([cpu]).collect()
    }
}

fn gpu_reading(vendor: &str, gpu: &Gpu) -> MeterReading {
    let mut meter = format!("{vendor} {}", gpu.uuid);
    if gpu.uuid.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(meter, "{}", gpu.index);
    }
    MeterReading { meter, joules: gpu.energy_joules, watts: gpu.power_watts }
}

/// A collector that also passes its readings to the meter at once: later, the exchanges in flight would be others.
#[derive(Debug)]
pub struct WithMeter<C> {
    /// The collector.
    pub collector: C,
    /// Receives the readings.
    pub meter: Arc<Meter>,
}

impl<C: Collector> Collector for WithMeter<C>
where
    C::Part: Metered,
{
    type Part = C::Part;

    fn name(&self) -> &'static str {
        self.collector.name()
    }

    fn period(&self, configured: Duration) -> Duration {
        self.collector.period(configured)
    }

    fn read(&mut self, now: Instant) -> Result<Option<C::Part>, ReadError> {
        let part = self.collector.read(now)?;
        if let Some(part) = &part {
            self.meter.observe(now, &part.readings());
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests;
