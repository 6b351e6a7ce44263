//! Whose energy it was: what the meters counted above idle, shared out among the exchanges that were going on.
//!
//! Promises: what is handed out adds up to what the meters counted. A meter's slice is the time between two of its
//! readings; what it counted in a slice above its idle power goes to the exchanges that were in flight in it, and of
//! each moment every one of them gets an equal share. The rest (idle, and whatever others did while nothing was in
//! flight) belongs to nobody. Until a meter has been seen at rest, the lowest power it was seen at counts as idle.
//!
//! Left out: what a model costs while it is loaded and nobody asks it (that is idle), and work that others have the
//! machine do at the same time: a meter cannot tell it apart.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::collector::{Collector, ReadError};
use super::gpu::Gpu;
use super::helper::HelperPart;
use super::nvidia::{Nvidia, NvidiaGpu};

/// Idle power is the lowest of the last one to two such windows: a card that has loaded a model idles higher.
const IDLE_WINDOW: Duration = Duration::from_secs(600);

/// What was drawn at two moments further apart says nothing about the time between.
const LONGEST_SLICE: Duration = Duration::from_secs(30);

/// For whom energy is spent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Consumer {
    /// The model, as a label.
    pub model: Arc<str>,
    /// The backend's configured name.
    pub backend: Arc<str>,
}

/// What a meter says. One that counts is believed over what it draws now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Which meter; the same at every reading.
    pub meter: String,
    /// What it has counted, in joules.
    pub joules: Option<f64>,
    /// What is drawn now, in watts.
    pub watts: Option<f64>,
}

/// What was spent so far, in joules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// For whom; also those for whom nothing was counted yet.
    pub used: Vec<(Consumer, f64)>,
    /// For nobody.
    pub rest: f64,
    /// Idle power of all meters, in watts.
    pub idle_watts: f64,
}

/// Where a meter counts for a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

/// Counts. Told of exchanges as they come and go, and of readings as they are made. Every call takes a lock for as long
/// as it takes to add up the models in flight.
#[derive(Debug, Default)]
pub struct Meter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Up to when shares are counted.
    at: Option<Instant>,
    in_flight: u32,
    consumers: Vec<Use>,
    places: hashbrown::HashMap<Consumer, usize>,
    lines: HashMap<String, Line>,
    rest: f64,
}

#[derive(Debug)]
struct Use {
    consumer: Consumer,
    in_flight: u32,
    /// Time that was its own, in seconds: a second in which it was one of four exchanges is a quarter.
    share: f64,
    joules: f64,
}

/// One meter.
#[derive(Debug)]
struct Line {
    /// The last reading.
    at: Instant,
    joules: Option<f64>,
    /// Every consumer's share then.
    shares: Vec<f64>,
    idle: Idle,
}

#[derive(Debug, Default)]
struct Idle {
    window: Option<Instant>,
    lowest: Option<f64>,
    lowest_before: Option<f64>,
    /// Of slices in which something was in flight.
    lowest_busy: Option<f64>,
}

impl Meter {
    /// An exchange has the machine work from now on.
    pub fn began(&self, consumer: &Consumer, now: Instant) -> Place {
        let mut state = self.lock();
        state.advance(now);
        let place = state.place(consumer);
        state.consumers[place].in_flight += 1;
        state.in_flight += 1;
        Place(place)
    }

    /// It no longer has. To be told once for each that began.
    pub fn ended(&self, Place(place): Place, now: Instant) {
        let mut state = self.lock();
        state.advance(now);
        let Some(consumer) = state.consumers.get_mut(place) else { return };
        let before = consumer.in_flight;
        consumer.in_flight = before.saturating_sub(1);
        state.in_flight = state.in_flight.saturating_sub(before.min(1));
    }

    /// A meter was read.
    pub fn observe(&self, now: Instant, readings: &[Reading]) {
        let mut state = self.lock();
        state.advance(now);
        readings.iter().for_each(|reading| state.observe(now, reading));
    }

    /// What was spent so far; `None` where no meter was ever read.
    #[must_use]
    pub fn totals(&self) -> Option<Totals> {
        let state = self.lock();
        (!state.lines.is_empty()).then(|| Totals {
            used: state.consumers.iter().map(|it| (it.consumer.clone(), it.joules)).collect(),
            rest: state.rest,
            idle_watts: state.lines.values().filter_map(|line| line.idle.watts()).sum(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn place(&mut self, consumer: &Consumer) -> usize {
        if let Some(place) = self.places.get(consumer) {
            return *place;
        }
        self.places.insert(consumer.clone(), self.consumers.len());
        self.consumers.push(Use { consumer: consumer.clone(), in_flight: 0, share: 0.0, joules: 0.0 });
        self.consumers.len() - 1
    }

    /// Counts everybody's share up to now. Before a meter was read nothing can be shared.
    fn advance(&mut self, now: Instant) {
        let at = self.at.unwrap_or(now);
        let seconds = now.saturating_duration_since(at).as_secs_f64();
        self.at = Some(at.max(now));
        if self.in_flight > 0 && !self.lines.is_empty() {
            let each = seconds / f64::from(self.in_flight);
            self.consumers.iter_mut().for_each(|it| it.share += each * f64::from(it.in_flight));
        }
    }

    fn observe(&mut self, now: Instant, reading: &Reading) {
        let shares: Vec<f64> = self.consumers.iter().map(|it| it.share).collect();
        let joules = reading.joules.filter(|joules| joules.is_finite() && *joules >= 0.0);
        let watts = reading.watts.filter(|watts| watts.is_finite() && *watts >= 0.0);
        let Some(line) = self.lines.get_mut(&reading.meter) else {
            if joules.or(watts).is_some() {
                let line = Line { at: now, joules, shares, idle: Idle::default() };
                self.lines.insert(reading.meter.clone(), line);
            }
            return;
        };
        let Some(slice) = line.slice(now, joules, watts) else { return };
        let time = now.saturating_duration_since(line.at).as_secs_f64();
        let before = std::mem::replace(&mut line.shares, shares);
        (line.at, line.joules) = (now, joules);
        let Some(spent) = slice.filter(|_| time > 0.0) else { return };

        let share = |(index, it): (usize, &Use)| it.share - before.get(index).copied().unwrap_or(0.0);
        let busy: f64 = self.consumers.iter().enumerate().map(share).sum();
        let idle = line.idle.observe(now, spent / time, busy > 0.0);
        let above = if busy > 0.0 { (spent - idle * time).max(0.0) } else { 0.0 };
        self.rest += spent - above;
        for (index, it) in self.consumers.iter_mut().enumerate().filter(|_| above > 0.0) {
            it.joules += above * share((index, it)) / busy;
        }
    }
}

impl Line {
    /// What was spent since the last reading. `Some(None)`: unknown, count anew from here; `None`: this is the last
    /// reading once more, go on.
    fn slice(&self, now: Instant, joules: Option<f64>, watts: Option<f64>) -> Option<Option<f64>> {
        let time = now.saturating_duration_since(self.at);
        match (self.joules, joules) {
            (Some(before), Some(joules)) if joules > before => Some(Some(joules - before)),
            (Some(before), Some(joules)) if joules == before && time < LONGEST_SLICE => None,
            // A counter that stands still for so long is at rest; one that went back began anew with the driver.
            (Some(before), Some(joules)) => Some((joules == before).then_some(0.0)),
            (None, None) if time <= LONGEST_SLICE => Some(watts.map(|watts| watts * time.as_secs_f64())),
            _ => Some(None),
        }
    }
}

impl Idle {
    /// A slice at this power; returns idle power.
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

    fn watts(&self) -> Option<f64> {
        let quiet = [self.lowest, self.lowest_before].into_iter().flatten().reduce(f64::min);
        quiet.or(self.lowest_busy)
    }
}

/// A part in which meters are.
pub trait Metered {
    /// What they say.
    fn readings(&self) -> Vec<Reading>;
}

impl Metered for Vec<Gpu> {
    fn readings(&self) -> Vec<Reading> {
        self.iter().map(|gpu| of_gpu("amd", gpu)).collect()
    }
}

impl Metered for Nvidia {
    fn readings(&self) -> Vec<Reading> {
        self.gpus.iter().map(NvidiaGpu::gpu).map(|gpu| of_gpu("nvidia", &gpu)).collect()
    }
}

impl Metered for HelperPart {
    fn readings(&self) -> Vec<Reading> {
        let (joules, watts) = (self.reading.cpu_energy_joules, self.reading.cpu_power_watts);
        let cpu = Reading { meter: "cpu".to_owned(), joules, watts };
        self.reading.gpu().map(|gpu| of_gpu("helper", &gpu)).into_iter().chain([cpu]).collect()
    }
}

fn of_gpu(maker: &str, gpu: &Gpu) -> Reading {
    let mut meter = format!("{maker} {}", gpu.uuid);
    if gpu.uuid.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(meter, "{}", gpu.index);
    }
    Reading { meter, joules: gpu.energy_joules, watts: gpu.power_watts }
}

/// A collector whose readings are also told to the meter, at the moment they are made: later, it would be unknown who
/// was in flight then.
#[derive(Debug)]
pub struct WithMeter<C> {
    /// The collector.
    pub collector: C,
    /// Who counts.
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
