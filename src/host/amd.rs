//! AMD's GPUs, from the amdgpu driver's files in /sys/class/drm. Not tested on hardware: written from the driver's
//! documentation (Linux, Documentation/gpu/amdgpu/driver-misc.rst and thermal.rst) and tested with a simulated tree.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::gpu::Gpu;
use super::kernel_file;
use super::temperatures::PLAUSIBLE;

/// AMD's PCI vendor id.
const VENDOR: &str = "0x1002";

/// Far above the power of any card; broken sensors report more.
const MAX_WATTS: f64 = 10_000.0;

/// Collects them.
#[derive(Debug)]
pub struct AmdCollector {
    sys: PathBuf,
}

impl AmdCollector {
    /// Reads below this sysfs.
    #[must_use]
    pub fn new(sys: PathBuf) -> Self {
        Self { sys }
    }
}

impl Collector for AmdCollector {
    type Part = Vec<Gpu>;

    fn name(&self) -> &'static str {
        "amd"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Vec<Gpu>>, ReadError> {
        let cards = kernel_file::entries(&self.sys.join("class/drm"))?.unwrap_or_default();
        let devices = cards.iter().filter(|card| is_card(card)).map(|card| card.join("device"));
        let amd = devices.filter(|device| kernel_file::line(&device.join("vendor")).as_deref() == Some(VENDOR));
        let gpus: Vec<_> = amd.zip(0..).map(|(device, index)| gpu(&device, index)).collect();
        Ok(Some(gpus).filter(|gpus| !gpus.is_empty()))
    }
}

/// Whether the name is that of a card (`card0`), not of an output (`card0-DP-1`).
fn is_card(path: &Path) -> bool {
    let name = kernel_file::name(path);
    name.strip_prefix("card").is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn gpu(device: &Path, index: u32) -> Gpu {
    let monitors = kernel_file::entries(&device.join("hwmon")).ok().flatten().unwrap_or_default();
    let monitor = monitors.first();
    let sensor = |name: &str| monitor.and_then(|monitor| kernel_file::number(&monitor.join(name)));
    // Newer chips have the current power, older ones a short average; both in microwatts.
    let power = sensor("power1_average").or_else(|| sensor("power1_input")).map(|microwatts| microwatts / 1e6);
    let percent = kernel_file::number(&device.join("gpu_busy_percent"));
    let celsius = sensor("temp1_input").map(|thousandths| thousandths / 1000.0);
    let memory = |name: &str| kernel_file::integer(&device.join(name));
    let total = memory("mem_info_vram_total");
    Gpu {
        index: index.to_string(),
        uuid: kernel_file::line(&device.join("unique_id")).unwrap_or_default(),
        name: kernel_file::line(&device.join("product_name")).unwrap_or_default(),
        utilization: percent.filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| percent / 100.0),
        power_watts: power.filter(|watts| (0.0..=MAX_WATTS).contains(watts)),
        energy_joules: None,
        temperature_celsius: celsius.filter(|celsius| PLAUSIBLE.contains(celsius)),
        memory_used_bytes: memory("mem_info_vram_used").filter(|used| total.is_none_or(|total| *used <= total)),
        memory_total_bytes: total,
        // 255 is full speed (Linux, Documentation/hwmon/pwm-fan.rst).
        fan: sensor("pwm1").map(|pwm| pwm / 255.0).filter(|share| (0.0..=1.0).contains(share)),
    }
}
