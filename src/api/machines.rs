//! What Prometheus says of other machines: written in the background, read by reports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::peers::{PeerGpu, PeerHardware};
use super::unknown::Reason;
use super::vector::{Sample, samples};

/// Series that are looked at.
const MOST: usize = 20_000;

/// Bytes of a GiB.
const GIB: f64 = (1_u64 << 30) as f64;

/// What is known. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Machines(Arc<Mutex<Said>>);

#[derive(Clone, Debug, Default)]
enum Said {
    /// No Prometheus is configured.
    #[default]
    NotAsked,
    /// It has not answered last.
    Nothing,
    /// Each machine by the names that it has.
    Of(Arc<BTreeMap<String, Arc<Machine>>>),
}

/// A machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    pub(super) hardware: PeerHardware,
    /// When it was started, in seconds since the epoch.
    booted: Option<f64>,
}

impl Sample {
    /// The machine that it is of, as its labels name it: not the port of an exporter.
    fn host(&self) -> Option<String> {
        let host = self.label("Hostname").or_else(|| self.label("instance").map(without_port))?;
        Some(host.to_ascii_lowercase())
    }
}

fn without_port(instance: &str) -> &str {
    let host = match instance.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => instance,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Machines {
    /// Prometheus is asked from now on.
    pub fn begin(&self) {
        *self.locked() = Said::Nothing;
    }

    /// What it has answered. Returns whether that can be read.
    pub fn heard(&self, body: &[u8]) -> bool {
        let parsed = parse(body);
        let is_read = parsed.is_some();
        *self.locked() = parsed.map_or(Said::Nothing, |machines| Said::Of(Arc::new(machines)));
        is_read
    }

    /// It has not answered.
    pub fn lost(&self) {
        *self.locked() = Said::Nothing;
    }

    /// The machine of this name or address.
    pub(super) fn of(&self, name: &str) -> Result<Arc<Machine>, Reason> {
        match &*self.locked() {
            Said::NotAsked => Err(Reason::NotLocal),
            Said::Nothing => Err(Reason::CollectorFailed),
            Said::Of(machines) => machines.get(&name.to_ascii_lowercase()).cloned().ok_or(Reason::NotLocal),
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine {
    /// Seconds since it was started.
    pub(super) fn uptime(&self, now: SystemTime) -> Option<u64> {
        let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        self.booted.filter(|booted| *booted <= now).map(|booted| (now - booted) as u64)
    }

    fn set(&mut self, what: &str, value: f64, sample: &Sample) {
        let hardware = &mut self.hardware;
        match what {
            "cpu_usage" => hardware.cpu_usage = Some(value.clamp(0.0, 100.0)),
            "cpu_cores" => hardware.cpu_cores = Some(value as u32),
            "cpu_model" => hardware.cpu_model = sample.label("model_name").map(str::to_owned),
            "ram_total" => hardware.ram_total = Some(value / GIB),
            "ram_used" => hardware.ram_usage = Some(value / GIB),
            "disk_total" => hardware.disk_total = Some(value / GIB),
            "disk_used" => hardware.disk_usage = Some(value / GIB),
            "booted" => self.booted = Some(value),
            "gpu_usage" => self.gpu(sample, |gpu| gpu.utilization = Some(value)),
            "gpu_total" => self.gpu(sample, |gpu| gpu.memory_total = Some(value / GIB)),
            "gpu_free" => self.gpu(sample, |gpu| gpu.memory_free = Some(value / GIB)),
            "gpu_celsius" => self.gpu(sample, |gpu| gpu.temperature = Some(value)),
            _ => {}
        }
    }

    fn gpu(&mut self, sample: &Sample, set: impl FnOnce(&mut PeerGpu)) {
        let Some(number) = sample.label("gpu") else { return };
        let (device_id, gpus) = (format!("GPU-{number}"), self.hardware.gpus.get_or_insert_default());
        if let Some(gpu) = gpus.iter_mut().find(|gpu| gpu.device_id == device_id) {
            return set(gpu);
        }
        let mut gpu = PeerGpu {
            device_id,
            model: sample.label("modelName").unwrap_or_default().to_owned(),
            memory_total: None,
            memory_free: None,
            utilization: None,
            temperature: None,
        };
        set(&mut gpu);
        gpus.push(gpu);
    }
}

/// The machines of an answer, each by its address and its own name.
fn parse(body: &[u8]) -> Option<BTreeMap<String, Arc<Machine>>> {
    let mut machines: BTreeMap<String, Machine> = BTreeMap::new();
    let mut names: Vec<(String, String)> = Vec::new();
    for sample in samples(body, MOST)? {
        let value = sample.value;
        let Some((host, what)) = sample.host().zip(sample.label("what")).filter(|_| value.is_finite()) else {
            continue;
        };
        match (what, sample.label("nodename")) {
            ("name", Some(name)) => names.push((host, name.to_ascii_lowercase())),
            _ => machines.entry(host).or_default().set(what, value, &sample),
        }
    }
    for machine in machines.values_mut() {
        machine
            .hardware
            .gpus
            .iter_mut()
            .for_each(|gpus| gpus.sort_by(|one, other| one.device_id.cmp(&other.device_id)));
    }
    Some(by_every_name(machines, &names))
}

/// One exporter of a machine may know it by its address and another by its name: these are one machine. A name that several
/// addresses share identifies no machine, and is ignored.
fn by_every_name(
    mut machines: BTreeMap<String, Machine>,
    names: &[(String, String)],
) -> BTreeMap<String, Arc<Machine>> {
    let is_own = |name: &str| names.iter().filter(|(_, known)| known == name).count() == 1;
    let mut joined = BTreeMap::new();
    for (host, name) in names.iter().filter(|(host, name)| host != name && is_own(name)) {
        let (one, other) = (machines.remove(host), machines.remove(name));
        let machine = Arc::new(one.unwrap_or_default().with(other.unwrap_or_default()));
        joined.insert(host.clone(), machine.clone());
        joined.insert(name.clone(), machine);
    }
    joined.extend(machines.into_iter().map(|(host, machine)| (host, Arc::new(machine))));
    joined
}

impl Machine {
    /// With what another exporter of it says.
    fn with(self, other: Self) -> Self {
        let (one, more) = (self.hardware, other.hardware);
        let hardware = PeerHardware {
            cpu_model: one.cpu_model.or(more.cpu_model),
            cpu_cores: one.cpu_cores.or(more.cpu_cores),
            cpu_usage: one.cpu_usage.or(more.cpu_usage),
            ram_total: one.ram_total.or(more.ram_total),
            ram_usage: one.ram_usage.or(more.ram_usage),
            disk_total: one.disk_total.or(more.disk_total),
            disk_usage: one.disk_usage.or(more.disk_usage),
            gpus: one.gpus.or(more.gpus),
        };
        Self { hardware, booted: self.booted.or(other.booted) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn answer(series: &[(&str, &str, &str)]) -> Vec<u8> {
        let series = series.iter().map(|(what, labels, value)| {
            let labels = labels.split(' ').filter_map(|pair| pair.split_once('='));
            let mut metric: BTreeMap<&str, &str> = labels.collect();
            metric.insert("what", what);
            json!({ "metric": metric, "value": [1.0, value] })
        });
        serde_json::to_vec(&json!({ "data": { "result": series.collect::<Vec<_>>() } })).expect("JSON")
    }

    #[test]
    fn exporters_of_one_machine_are_joined_by_its_name_and_its_address() {
        let machines = Machines::default();
        assert_eq!(machines.of("gpu-box").err(), Some(Reason::NotLocal), "nobody is asked");
        machines.begin();
        assert_eq!(machines.of("gpu-box").err(), Some(Reason::CollectorFailed), "it has not answered yet");
        let is_read = machines.heard(&answer(&[
            ("cpu_usage", "instance=10.0.0.5:9100", "12.5"),
            ("cpu_cores", "instance=10.0.0.5:9100", "64"),
            ("ram_total", "instance=10.0.0.5:9100", "68719476736"),
            ("booted", "instance=10.0.0.5:9100", "1000"),
            ("name", "instance=10.0.0.5:9100 nodename=GPU-Box", "1"),
            ("gpu_usage", "instance=10.0.0.5:9400 Hostname=gpu-box gpu=1 modelName=H200", "50"),
            ("gpu_total", "instance=10.0.0.5:9400 Hostname=gpu-box gpu=1 modelName=H200", "4294967296"),
            ("gpu_free", "instance=10.0.0.5:9400 Hostname=gpu-box gpu=1 modelName=H200", "3221225472"),
            ("gpu_usage", "instance=10.0.0.5:9400 Hostname=gpu-box gpu=0 modelName=H200", "0"),
            // An exporter in a network of its own.
            ("gpu_usage", "instance=10.42.0.9:9400 Hostname=gpu-two gpu=0 modelName=A100", "7"),
            ("cpu_usage", "instance=[fd00::7]:9100", "NaN"),
            ("ram_used", "instance=[fd00::7]:9100", "1073741824"),
            // Two machines of one name, as images have it.
            ("ram_used", "instance=10.0.0.8:9100", "1073741824"),
            ("name", "instance=10.0.0.8:9100 nodename=localhost", "1"),
            ("name", "instance=10.0.0.9:9100 nodename=localhost", "1"),
        ]));
        assert!(is_read);
        for name in ["gpu-box", "10.0.0.5"] {
            let machine = machines.of(name).expect("it is known");
            let hardware = &machine.hardware;
            assert_eq!(
                (hardware.cpu_usage, hardware.cpu_cores, hardware.ram_total, hardware.ram_usage),
                (Some(12.5), Some(64), Some(64.0), None),
                "{name}"
            );
            let gpus = hardware.gpus.as_ref().expect("it has some");
            let shown: Vec<_> =
                gpus.iter().map(|it| (&*it.device_id, it.memory_total, it.memory_free, it.utilization)).collect();
            assert_eq!(shown, [("GPU-0", None, None, Some(0.0)), ("GPU-1", Some(4.0), Some(3.0), Some(50.0))]);
            assert_eq!(machine.uptime(UNIX_EPOCH + Duration::from_secs(1_060)), Some(60));
            assert_eq!(machine.uptime(UNIX_EPOCH), None, "a clock that is behind knows nothing");
        }
        let two = machines.of("gpu-two").expect("its exporter names it");
        let gpus = two.hardware.gpus.as_ref().expect("it has some");
        assert_eq!((gpus[0].utilization, &*gpus[0].model), (Some(7.0), "A100"));
        let other = machines.of("fd00::7").expect("it is known");
        assert_eq!((other.hardware.cpu_usage, other.hardware.ram_usage), (None, Some(1.0)), "not a number is unknown");
        assert_eq!(machines.of("localhost").err(), Some(Reason::NotLocal));
        assert!(machines.of("10.0.0.8").is_ok());
        assert!(!machines.heard(b"<html>") && machines.of("gpu-box").is_err(), "what was known is not shown for ever");
    }
}
