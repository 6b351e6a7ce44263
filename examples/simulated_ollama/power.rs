//! What a privileged helper would report of the machine that generates: power, temperatures and load, which follow the
//! generations under way.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// A meter's milliwatts while nothing is generated, and what each generation adds.
struct Draw {
    idle: u32,
    each: u32,
}

const GPU: Draw = Draw { idle: 14_000, each: 46_000 };
const CPU: Draw = Draw { idle: 9_000, each: 6_000 };

/// Percent of the GPU that one generation takes.
const BUSY: u32 = 38;

/// From here on, more generations draw no more power.
const MOST: u32 = 4;

/// The answer of the helper, in its keys and units. The GPU's name says that it is simulated.
pub(crate) fn facts(running: u64, now: SystemTime) -> Value {
    let running = u32::try_from(running).unwrap_or(MOST).min(MOST);
    let (gpu, cpu) = (GPU.at(running), CPU.at(running));
    json!({
        "gpu_name": "Simulated GPU",
        "gpu_utilization": (BUSY * running).min(100),
        "gpu_power": gpu,
        "gpu_temperature": 38 + gpu / 5_000,
        "cpu_power": cpu,
        "cpu_temperature": 41 + cpu / 2_000,
        "memory_pressure": 3 * running,
        "thermal_pressure": "Nominal",
        "timestamp": now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        "version": "simulated",
    })
}

impl Draw {
    const fn at(&self, running: u32) -> u32 {
        self.idle + self.each * running
    }
}
