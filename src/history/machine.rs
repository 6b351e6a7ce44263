//! The machine over time: readings every ten seconds for an hour in memory, means by minute and by hour in the file.
//!
//! Pure but for the lock around the recent readings. A mean is of the readings that have the fact; without any it is
//! unknown.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::rollup::Step;

/// Facts about the machine, in the order of [`Fact::ALL`]. `None` is unknown.
pub type Facts = [Option<f64>; Fact::ALL.len()];

macro_rules! facts {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $column:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every fact, in the order in which they are stored.
            pub const ALL: [Self; [$($column),+].len()] = [$(Self::$variant),+];

            /// Its column.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $column,)+
                }
            }
        }
    };
}

facts! {
    /// A fact about a machine. Ratios are from 0 to 1.
    Fact {
        /// The share of the processors that was busy.
        Cpu = "cpu",
        /// Bytes of memory in use.
        Memory = "memory",
        /// The share of time in which something waited for memory.
        Pressure = "pressure",
        /// Bytes a second.
        DiskRead = "disk_read",
        /// Bytes a second.
        DiskWritten = "disk_written",
        /// Bytes a second, over all interfaces.
        NetReceived = "net_received",
        /// Bytes a second, over all interfaces.
        NetSent = "net_sent",
        /// The mean share of time in which the GPUs were busy.
        Gpu = "gpu",
        /// Bytes of memory in use on all GPUs.
        GpuMemory = "gpu_memory",
        /// Watts of all GPUs.
        GpuWatts = "gpu_watts",
        /// Degrees Celsius of the hottest GPU.
        GpuCelsius = "gpu_celsius",
        /// Watts of the processors.
        CpuWatts = "cpu_watts",
        /// Degrees Celsius of the processors.
        CpuCelsius = "cpu_celsius",
    }
}

facts! {
    /// A fact about a GPU.
    GpuFact {
        /// The share of time in which it was busy.
        Utilization = "utilization",
        /// Bytes of memory in use.
        Memory = "memory",
        /// Watts.
        Watts = "watts",
        /// Degrees Celsius.
        Celsius = "celsius",
    }
}

/// Facts about a GPU, in the order of [`GpuFact::ALL`].
pub type GpuFacts = [Option<f64>; GpuFact::ALL.len()];

/// A reading of the machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineSample {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// About the machine.
    pub facts: Facts,
    /// About each GPU, by its UUID, else its place.
    pub gpus: BTreeMap<Box<str>, GpuFacts>,
    /// About each place in which inference processes run, by its path. Not kept in files.
    pub places: BTreeMap<Box<str>, PlaceFacts>,
}

/// What inference processes in one place use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlaceFacts {
    /// Processors, since the reading before.
    pub cpu: Option<f64>,
    /// Bytes of resident memory.
    pub memory_bytes: u64,
}

/// Reads the machine; `None` where nothing is known. Called on the writer's thread: it must not block.
pub type ReadMachine = Box<dyn Fn() -> Option<MachineSample> + Send>;

/// Readings that are kept in memory: an hour of one every ten seconds.
const RECENT: usize = 360;

/// The readings of the last hour. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RecentMachine(Arc<Mutex<VecDeque<MachineSample>>>);

impl RecentMachine {
    /// Every reading, the oldest first.
    #[must_use]
    pub fn samples(&self) -> Vec<MachineSample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn push(&self, sample: MachineSample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == RECENT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

/// Sums of facts, with the number of readings that had each.
#[derive(Clone, Debug, PartialEq)]
pub struct Means<const N: usize> {
    /// Readings.
    pub count: u64,
    sums: [(f64, u64); N],
}

impl<const N: usize> Default for Means<N> {
    fn default() -> Self {
        Self { count: 0, sums: [(0.0, 0); N] }
    }
}

impl<const N: usize> Means<N> {
    /// Adds a reading.
    pub fn add(&mut self, facts: &[Option<f64>; N]) {
        self.merge(1, facts);
    }

    /// Adds means of `count` readings.
    pub fn merge(&mut self, count: u64, facts: &[Option<f64>; N]) {
        self.count += count;
        for ((sum, readings), fact) in self.sums.iter_mut().zip(facts) {
            if let Some(fact) = fact.filter(|fact| fact.is_finite()) {
                *sum += fact * count as f64;
                *readings += count;
            }
        }
    }

    /// The means.
    #[must_use]
    pub fn means(&self) -> [Option<f64>; N] {
        self.sums.map(|(sum, readings)| (readings > 0).then(|| sum / readings as f64))
    }
}

/// The readings of one interval.
#[derive(Clone, Debug, Default)]
pub struct MachineMeans {
    /// Of the machine.
    pub machine: Means<{ Fact::ALL.len() }>,
    /// Of each GPU.
    pub gpus: BTreeMap<Box<str>, Means<{ GpuFact::ALL.len() }>>,
}

/// Means that are not yet merged into the file, by interval.
#[derive(Debug, Default)]
pub(super) struct MachineRollups(pub(super) BTreeMap<(Step, i64), MachineMeans>);

impl MachineRollups {
    pub(super) fn add(&mut self, sample: &MachineSample) {
        for step in Step::ALL {
            let means = self.0.entry((step, step.begin(sample.at))).or_default();
            means.machine.add(&sample.facts);
            for (gpu, facts) in &sample.gpus {
                means.gpus.entry(gpu.clone()).or_default().add(facts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_of_the_readings_that_have_the_fact() {
        let mut means = Means::<2>::default();
        means.add(&[Some(1.0), None]);
        means.add(&[Some(3.0), None]);
        means.add(&[None, None]);
        assert_eq!((means.count, means.means()), (3, [Some(2.0), None]));
        let mut merged = Means::default();
        merged.merge(2, &[Some(2.0), Some(5.0)]);
        merged.merge(2, &[Some(4.0), Some(f64::NAN)]);
        assert_eq!((merged.count, merged.means()), (4, [Some(3.0), Some(5.0)]));
    }

    #[test]
    fn an_hour_of_readings_is_kept_in_memory() {
        let recent = RecentMachine::default();
        (0..400).for_each(|at| recent.push(MachineSample { at, ..MachineSample::default() }));
        let kept: Vec<_> = recent.samples().iter().map(|sample| sample.at).collect();
        assert_eq!((kept.len(), kept[0], kept[359]), (360, 40, 399));
    }
}
