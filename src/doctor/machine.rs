//! Whether the helper and the GPUs answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::finding::Finding;
use crate::config::Config;
use crate::host::amd::AmdCollector;
use crate::host::collector::Collector;
use crate::host::helper::{HelperAddress, HelperCollector};
use crate::host::nvidia::{NvidiaCollector, default_libraries};

/// NVIDIA's PCI vendor id.
const NVIDIA: &str = "0x10de";

/// PCI's class of displays and accelerators of graphics, as its first digits.
const DISPLAY: &str = "0x03";

/// Where the machine is read.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The mount point of procfs.
    pub proc: PathBuf,
    /// The mount point of sysfs.
    pub sys: PathBuf,
    /// Candidates for NVIDIA's library.
    pub nvml: Vec<PathBuf>,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), nvml: default_libraries() }
    }
}

pub(super) fn examine(config: &Config, roots: &Roots) -> Vec<Finding> {
    vec![helper(config.helper_url.as_ref()), gpus(roots)]
}

fn helper(address: Option<&HelperAddress>) -> Finding {
    let Some(address) = address else {
        return Finding::fine("helper", "none is configured: power and temperatures that need privileges are left out");
    };
    match HelperCollector::new(address.clone()).read(Instant::now()) {
        Ok(_) => Finding::fine("helper", format!("{address} answers")),
        Err(error) => {
            let remedy = "start it (systemctl start inferometer-helper, or launchd's org.inferometer.helper), or correct \
                          helper_url";
            Finding::fault("helper", error.to_string(), remedy)
        }
    }
}

fn gpus(roots: &Roots) -> Finding {
    let nvidia = NvidiaCollector::new(roots.nvml.clone(), Duration::ZERO).read(Instant::now());
    let amd = AmdCollector::new(roots.sys.clone()).read(Instant::now()).ok().flatten().unwrap_or_default();
    match nvidia {
        Err(error) => {
            let remedy = "see whether nvidia-smi answers; install the driver again, or restart the machine";
            Finding::fault("gpus", format!("NVIDIA's driver: {error}"), remedy)
        }
        Ok(Some(nvidia)) => {
            let lost = nvidia.gpus.iter().filter(|gpu| !gpu.up).count();
            let what =
                format!("{} of NVIDIA, driver {}", nvidia.gpus.len(), nvidia.driver.as_deref().unwrap_or("unknown"));
            match lost {
                0 => Finding::fine("gpus", what),
                lost => {
                    Finding::fault("gpus", format!("{what}: {lost} do not answer"), "see dmesg for Xid; reset the card")
                }
            }
        }
        Ok(None) if has_nvidia_card(&roots.sys) => {
            let remedy = "install the driver with libnvidia-ml.so.1; in a container use NVIDIA's container toolkit (gpus: \
                          all); in a unit allow /dev/nvidia*";
            Finding::fault("gpus", "there is a card of NVIDIA, and its driver is not found", remedy)
        }
        Ok(None) if amd.is_empty() => Finding::fine("gpus", "none: the machine shows no card of NVIDIA or AMD"),
        Ok(None) => Finding::fine("gpus", format!("{} of AMD", amd.len())),
    }
}

fn has_nvidia_card(sys: &Path) -> bool {
    let devices = fs::read_dir(sys.join("bus/pci/devices")).into_iter().flatten().flatten();
    let starts = |folder: &Path, file: &str, with: &str| {
        fs::read_to_string(folder.join(file)).is_ok_and(|text| text.starts_with(with))
    };
    devices.map(|device| device.path()).any(|it| starts(&it, "vendor", NVIDIA) && starts(&it, "class", DISPLAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity;

    #[test]
    fn a_card_without_its_driver_is_a_fault() {
        let sys = std::env::temp_dir().join(format!("inferometer-doctor-{}", std::process::id()));
        let roots = Roots { sys: sys.clone(), nvml: Vec::new(), ..Roots::default() };
        assert_eq!(gpus(&roots).severity, Severity::Fine);
        for (device, class, expected) in [("sound", "0x040300", Severity::Fine), ("card", "0x030200", Severity::Fault)]
        {
            let folder = sys.join("bus/pci/devices").join(device);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("vendor"), "0x10de\n").expect("a file");
            fs::write(folder.join("class"), class).expect("a file");
            let finding = gpus(&roots);
            assert_eq!(finding.severity, expected, "{finding:?}");
        }
        assert!(gpus(&roots).remedy.contains("libnvidia-ml.so.1"));
        fs::remove_dir_all(sys).expect("it was made above");
    }
}
