//! Hands the facts about this machine to the history.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::history::History;
use crate::history::machine::{Fact, Facts, GpuFact, GpuFacts, MachineSample, PlaceFacts};
use crate::host::gpu::Gpu;
use crate::host::networks::Network;
use crate::host::places::Place;
use crate::host::{Host, HostSnapshot};

/// Starts passing readings of the machine to the history.
pub(super) fn watch(history: &History, host: Arc<Host>) {
    let node = host.snapshot(Instant::now()).node;
    let traffic = Cell::new(None);
    history.watch_machine(
        node,
        Box::new(move || {
            let now = Instant::now();
            let snapshot = host.snapshot(now);
            let facts = facts(&snapshot, rates(&traffic, snapshot.networks.as_deref().map(Vec::as_slice), now));
            let gpus = snapshot.gpus().iter().map(gpu).collect();
            let places = snapshot.processes.iter().flat_map(|it| it.places().iter().map(place).collect::<Vec<_>>());
            let places = places.collect();
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            let is_known = facts.iter().any(Option::is_some);
            let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
            is_known.then_some(MachineSample { at, facts, gpus, places })
        }),
    );
}

/// Bytes received and sent over all interfaces, with when they were read.
type Traffic = (Instant, u64, u64);

/// Bytes received and sent a second since the last reading. `None` for the first, and where an interface has gone.
fn rates(last: &Cell<Option<Traffic>>, networks: Option<&[Network]>, now: Instant) -> Option<[f64; 2]> {
    let sum = |bytes: fn(&Network) -> u64| Some(networks?.iter().map(bytes).sum::<u64>());
    let current = Some((now, sum(|it| it.received_bytes)?, sum(|it| it.transmitted_bytes)?));
    let (before, received, sent) = last.replace(current)?;
    let (_, now_received, now_sent) = current?;
    let seconds = now.saturating_duration_since(before).as_secs_f64();
    let rate = |before: u64, now: u64| now.checked_sub(before).map(|bytes| bytes as f64 / seconds);
    Some([rate(received, now_received)?, rate(sent, now_sent)?]).filter(|_| seconds > 0.0)
}

fn facts(snapshot: &HostSnapshot, traffic: Option<[f64; 2]>) -> Facts {
    let helper = snapshot.helper.as_ref().map(|part| &part.reading);
    let disks = snapshot.disks.as_ref().and_then(|disks| disks.rates.as_ref());
    let gpus = snapshot.gpus();
    let pressure = snapshot.pressure.as_ref().and_then(|it| Some(it.memory.as_ref()?.some.of_ten_seconds));
    let sum = |fact: fn(&Gpu) -> Option<f64>| known(&gpus, fact).map(|all| all.iter().sum::<f64>());
    Fact::ALL.map(|fact| match fact {
        Fact::Cpu => snapshot.cpu.as_ref()?.utilization,
        Fact::Memory => snapshot.memory.as_ref()?.used_bytes().map(|bytes| bytes as f64),
        Fact::Pressure => pressure.or_else(|| helper?.memory_pressure),
        Fact::DiskRead => disks.map(|rates| rates.read_bytes),
        Fact::DiskWritten => disks.map(|rates| rates.written_bytes),
        Fact::NetReceived => traffic.map(|[received, _]| received),
        Fact::NetSent => traffic.map(|[_, sent]| sent),
        Fact::Gpu => sum(|gpu| gpu.utilization).map(|sum| sum / gpus.len() as f64),
        Fact::GpuMemory => sum(|gpu| gpu.memory_used_bytes.map(|bytes| bytes as f64)),
        Fact::GpuWatts => sum(|gpu| gpu.power_watts),
        Fact::GpuCelsius => known(&gpus, |gpu| gpu.temperature_celsius)?.into_iter().reduce(f64::max),
        Fact::CpuWatts => helper?.cpu_power_watts,
        Fact::CpuCelsius => snapshot.cpu_celsius(),
    })
}

/// A fact about every GPU; `None` where there is no GPU, or one does not report it.
fn known(gpus: &[Gpu], fact: fn(&Gpu) -> Option<f64>) -> Option<Vec<f64>> {
    gpus.iter().map(fact).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
}

fn place(place: &Place<'_>) -> (Box<str>, PlaceFacts) {
    (place.path.as_str().into(), PlaceFacts { cpu: place.cpu(), memory_bytes: place.memory_bytes() })
}

fn gpu(gpu: &Gpu) -> (Box<str>, GpuFacts) {
    let name = if gpu.uuid.is_empty() { &gpu.index } else { &gpu.uuid };
    let facts = GpuFact::ALL.map(|fact| match fact {
        GpuFact::Utilization => gpu.utilization,
        GpuFact::Memory => gpu.memory_used_bytes.map(|bytes| bytes as f64),
        GpuFact::Watts => gpu.power_watts,
        GpuFact::Celsius => gpu.temperature_celsius,
    });
    (name.as_str().into(), facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_rates_are_known_from_the_second_reading_on() {
        let (last, begun) = (Cell::new(None), Instant::now());
        let read = |received, sent, seconds| {
            let network = Network {
                interface: "eth0".into(),
                received_bytes: received,
                transmitted_bytes: sent,
                ..Network::default()
            };
            rates(&last, Some(&[network]), begun + Duration::from_secs(seconds))
        };
        assert_eq!(read(1_000, 50, 0), None);
        assert_eq!(read(3_000, 150, 10), Some([200.0, 10.0]));
        assert_eq!(read(500, 200, 20), None, "an interface has gone");
        assert_eq!(read(600, 200, 30), Some([10.0, 0.0]));
        assert_eq!(rates(&last, None, begun), None);
    }
}
