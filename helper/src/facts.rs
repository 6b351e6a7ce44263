//! A sample of the machine's facts, and its JSON.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// Older facts are not served: a client would take them for current ones.
pub(crate) const STALE: Duration = Duration::from_secs(15);

/// One sample. `None` is unknown; its key is left out of the JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// Share of time in which the GPU was busy, in percent, 0 to 100.
    pub(crate) gpu_utilization: Option<f64>,
    /// In milliwatts.
    pub(crate) gpu_power: Option<f64>,
    /// Of all processors, in milliwatts.
    pub(crate) cpu_power: Option<f64>,
    /// Of the neural engine, in milliwatts; macOS only.
    pub(crate) ane_power: Option<f64>,
    /// In milliwatts, Linux only.
    pub(crate) dram_power: Option<f64>,
    /// Of processors, GPU and neural engine together, in milliwatts; macOS only.
    pub(crate) combined_power: Option<f64>,
    /// Used by the processors since the helper started, in joules; Linux only.
    pub(crate) cpu_energy_joules: Option<f64>,
    /// In degrees Celsius.
    pub(crate) cpu_temperature: Option<f64>,
    /// In percent: on Linux the share of the last ten seconds in which a task waited for memory, on macOS the memory
    /// that is not free.
    pub(crate) memory_pressure: Option<f64>,
    /// In percent, Linux only.
    pub(crate) cpu_pressure: Option<f64>,
    /// In percent, Linux only.
    pub(crate) io_pressure: Option<f64>,
    /// One of macOS's levels: `Nominal`, `Moderate`, `Heavy`, `Trapping`, `Sleeping`.
    pub(crate) thermal_pressure: Option<String>,
}

impl Facts {
    /// With the time of the sample in seconds since 1970, and the helper's version: readers need it, because older
    /// helpers send the same keys with a zero for unknown.
    pub(crate) fn to_json(&self, at: SystemTime) -> String {
        let mut object = Map::new();
        for (key, value) in [
            ("gpu_utilization", self.gpu_utilization),
            ("gpu_power", self.gpu_power),
            ("cpu_power", self.cpu_power),
            ("ane_power", self.ane_power),
            ("dram_power", self.dram_power),
            ("combined_power", self.combined_power),
            ("cpu_energy_joules", self.cpu_energy_joules),
            ("cpu_temperature", self.cpu_temperature),
            ("memory_pressure", self.memory_pressure),
            ("cpu_pressure", self.cpu_pressure),
            ("io_pressure", self.io_pressure),
            ("timestamp", Some(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())),
        ] {
            // JSON has no number that is not finite.
            if let Some(number) = value.and_then(serde_json::Number::from_f64) {
                object.insert(key.to_owned(), Value::Number(number));
            }
        }
        if let Some(level) = &self.thermal_pressure {
            object.insert("thermal_pressure".to_owned(), Value::String(level.clone()));
        }
        object.insert("version".to_owned(), Value::String(env!("CARGO_PKG_VERSION").to_owned()));
        Value::Object(object).to_string()
    }
}

/// The last sample, shared by the thread that reads and the one that answers.
#[derive(Debug, Default)]
pub(crate) struct LatestSample(Mutex<Option<Sample>>);

#[derive(Clone, Debug)]
struct Sample {
    facts: Facts,
    at: Instant,
    wall: SystemTime,
}

impl LatestSample {
    /// Replaces the sample with one taken now.
    pub(crate) fn put(&self, facts: Facts) {
        *self.lock() = Some(Sample { facts, at: Instant::now(), wall: SystemTime::now() });
    }

    /// When the last sample was put; `None` before the first.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.lock().as_ref().map(|sample| sample.at)
    }

    /// The last sample as JSON; `None` before the first, and once it is older than [`STALE`].
    pub(crate) fn json(&self) -> Option<String> {
        let sample = self.lock().clone()?;
        (sample.at.elapsed() <= STALE).then(|| sample.facts.to_json(sample.wall))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VERSION: &str = env!("CARGO_PKG_VERSION");

    fn object(facts: &Facts) -> Value {
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        serde_json::from_str(&facts.to_json(at)).expect("JSON")
    }

    #[test]
    fn an_unknown_or_not_finite_fact_has_no_key() {
        let facts = Facts {
            cpu_power: Some(0.0),
            gpu_power: Some(f64::NAN),
            thermal_pressure: Some("Nominal".into()),
            ..Facts::default()
        };
        assert_eq!(
            object(&facts),
            json!({"cpu_power": 0.0, "thermal_pressure": "Nominal", "timestamp": 1_700_000_000.5, "version": VERSION})
        );
    }

    #[test]
    fn stale_facts_are_not_served() {
        let latest = LatestSample::default();
        latest.put(Facts { cpu_power: Some(5.0), ..Facts::default() });
        assert!(latest.json().is_some());
        if let (Some(sample), Some(at)) = (&mut *latest.lock(), Instant::now().checked_sub(STALE * 2)) {
            sample.at = at;
        }
        assert_eq!(latest.json(), None);
    }

    /// The keys are a contract with every reader.
    #[test]
    fn every_key_has_its_name_and_its_unit() {
        let facts = Facts {
            gpu_utilization: Some(22.5),
            gpu_power: Some(476.5),
            cpu_power: Some(993.25),
            ane_power: Some(1.0),
            dram_power: Some(2.0),
            combined_power: Some(3.0),
            cpu_energy_joules: Some(4.0),
            cpu_temperature: Some(61.5),
            memory_pressure: Some(12.5),
            cpu_pressure: Some(5.0),
            io_pressure: Some(6.0),
            thermal_pressure: Some("Heavy".into()),
        };
        assert_eq!(
            object(&facts),
            json!({
                "gpu_utilization": 22.5, "gpu_power": 476.5, "cpu_power": 993.25, "cpu_temperature": 61.5,
                "memory_pressure": 12.5, "thermal_pressure": "Heavy", "timestamp": 1_700_000_000.5,
                "ane_power": 1.0, "dram_power": 2.0, "combined_power": 3.0, "cpu_energy_joules": 4.0,
                "cpu_pressure": 5.0, "io_pressure": 6.0, "version": VERSION,
            })
        );
    }
}
