//! What several endpoints show of the machine, and why a part of it is unknown.

use std::sync::Arc;

use crate::api::unknown::{Maybe, OrUnknown as _, Reason};
use crate::host::HostSnapshot;
use crate::host::filesystems::Filesystem;

/// Bytes of a gibibyte: what a name that ends with `_gb` counts.
pub(in crate::api) const GIB: f64 = (1_u64 << 30) as f64;

/// Bytes of a mebibyte: what a name that ends with `_mb` counts.
pub(in crate::api) const MIB: f64 = (1_u64 << 20) as f64;

/// The facts of one source. `name` is its collector's.
pub(in crate::api) fn part<'a, T>(
    machine: Option<&'a HostSnapshot>,
    name: &str,
    take: impl FnOnce(&'a HostSnapshot) -> &'a Option<Arc<T>>,
) -> Maybe<&'a T> {
    let Some(machine) = machine else { return Maybe::Unknown(Reason::NotConfigured) };
    if let Some(part) = take(machine) {
        return Maybe::Known(part);
    }
    let health = machine.collectors.iter().find(|collector| collector.name == name);
    Maybe::Unknown(match health.map(|health| health.success) {
        Some(None) => Reason::NotYet,
        Some(Some(false)) => Reason::CollectorFailed,
        Some(Some(true)) | None => Reason::NotReported,
    })
}

/// All filesystems as one; `None` where there are none.
pub(in crate::api) fn together(filesystems: &[Filesystem]) -> Option<Filesystem> {
    let sum = |of: fn(&Filesystem) -> u64| filesystems.iter().map(of).sum::<u64>();
    let size_bytes = Some(sum(|it| it.size_bytes)).filter(|size| *size > 0)?;
    let (free_bytes, available_bytes) = (sum(|it| it.free_bytes), sum(|it| it.available_bytes));
    Some(Filesystem { size_bytes, free_bytes, available_bytes, ..Filesystem::default() })
}

/// How full a filesystem is, 0 to 100.
pub(in crate::api) fn fullness(filesystem: &Filesystem) -> Option<f64> {
    filesystem.used_share().map(|share| share * 100.0)
}

/// A share as a percentage.
pub(in crate::api) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}

/// The mean use of all GPUs, 0 to 100.
pub(in crate::api) fn gpu_usage(machine: Option<&HostSnapshot>) -> Maybe<f64> {
    let Some(machine) = machine else { return Maybe::Unknown(Reason::NotConfigured) };
    let gpus = machine.gpus();
    let known: Vec<_> = gpus.iter().filter_map(|gpu| gpu.utilization).collect();
    if gpus.is_empty() {
        Maybe::Unknown(Reason::NotApplicable)
    } else if known.is_empty() {
        Maybe::Unknown(Reason::NotReported)
    } else {
        Maybe::Known(known.iter().sum::<f64>() / known.len() as f64 * 100.0)
    }
}

/// Power of the processors in watts, which only the privileged helper can read.
pub(in crate::api) fn processor_power(machine: Option<&HostSnapshot>) -> Maybe<f64> {
    let is_configured = |machine: &&HostSnapshot| machine.collectors.iter().any(|collector| collector.name == "helper");
    let Some(machine) = machine.filter(is_configured) else { return Maybe::Unknown(Reason::NotConfigured) };
    part(Some(machine), "helper", |machine| &machine.helper)
        .and_then(|helper| helper.reading.cpu_power_watts.or_unknown(Reason::NotReported))
}
