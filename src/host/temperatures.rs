//! Temperatures: /sys/class/hwmon, or for the processor /sys/class/thermal where hwmon has none.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// All sensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Temperatures {
    /// The hottest processor, in degrees Celsius.
    pub cpu_celsius: Option<f64>,
    /// Each sensor.
    pub sensors: Vec<Temperature>,
}

/// One sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Temperature {
    /// The driver's name of the chip, such as `coretemp` or `nvme`.
    pub chip: String,
    /// The kernel's name of the chip's device (`hwmon3`), since two disks have the same chip name.
    pub device: String,
    /// The driver's name of the sensor, or `temp1` and so on.
    pub sensor: String,
    /// The temperature in degrees Celsius.
    pub celsius: f64,
}

impl Temperature {
    pub(super) fn is_plausible(&self) -> bool {
        PLAUSIBLE.contains(&self.celsius)
    }
}

/// The plausible range in degrees Celsius; broken sensors report values like -128 or 255.
pub(super) const PLAUSIBLE: std::ops::RangeInclusive<f64> = -50.0..=150.0;

/// Collects them.
#[derive(Debug)]
pub struct TemperaturesCollector {
    sys: PathBuf,
}

impl TemperaturesCollector {
    /// Reads below this sysfs.
    #[must_use]
    pub fn new(sys: PathBuf) -> Self {
        Self { sys }
    }
}

impl Collector for TemperaturesCollector {
    type Part = Temperatures;

    fn name(&self) -> &'static str {
        "temperatures"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Temperatures>, ReadError> {
        let chips = kernel_file::entries(&self.sys.join("class/hwmon"))?.unwrap_or_default();
        let sensors: Vec<_> = chips.iter().flat_map(|chip| read_sensors(chip)).collect();
        let zones = kernel_file::entries(&self.sys.join("class/thermal"))?.unwrap_or_default();
        let cpu_celsius =
            cpu_celsius(&sensors).or_else(|| hottest(zones.iter().filter_map(|zone| processor_zone(zone))));
        let found = Temperatures { cpu_celsius, sensors };
        Ok(Some(found).filter(|found| *found != Temperatures::default()))
    }
}

/// Reads every `tempN_input` of a chip, in thousandths of a degree (Linux, Documentation/hwmon/sysfs-interface.rst).
fn read_sensors(chip: &Path) -> Vec<Temperature> {
    let name = kernel_file::line(&chip.join("name")).unwrap_or_default();
    let files = kernel_file::entries(chip).ok().flatten().unwrap_or_default();
    let sensor = |file: &PathBuf| {
        let input = kernel_file::name(file);
        let number = input.strip_suffix("_input").filter(|number| number.starts_with("temp"))?;
        if kernel_file::line(&chip.join(format!("{number}_fault"))).as_deref() == Some("1") {
            return None;
        }
        let found = Temperature {
            chip: name.clone(),
            device: kernel_file::name(chip),
            sensor: kernel_file::line(&chip.join(format!("{number}_label"))).unwrap_or_else(|| number.to_owned()),
            celsius: thousandths(file)?,
        };
        Some(found).filter(Temperature::is_plausible)
    };
    files.iter().filter_map(sensor).collect()
}

fn thousandths(file: &Path) -> Option<f64> {
    kernel_file::number(file).map(|number| number / 1000.0)
}

/// The hottest processor. Intel: the packages. AMD: `Tdie` if present, since `Tctl` is up to 27 °C too high on some
/// chips. Others: all sensors of the processor's driver.
fn cpu_celsius(sensors: &[Temperature]) -> Option<f64> {
    let of = |chips: &[&str], wanted: &dyn Fn(&str) -> bool| {
        hottest(sensors.iter().filter(|it| chips.contains(&&*it.chip) && wanted(&it.sensor)).map(|it| it.celsius))
    };
    let amd = ["k10temp", "zenpower"];
    of(&["coretemp"], &|sensor| sensor.starts_with("Package"))
        .or_else(|| of(&amd, &|sensor| sensor == "Tdie"))
        .or_else(|| of(&amd, &|sensor| sensor == "Tctl"))
        .or_else(|| of(&["coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "scpi_sensors"], &|_| true))
}

fn processor_zone(zone: &Path) -> Option<f64> {
    let kind = kernel_file::line(&zone.join("type"))?.to_ascii_lowercase();
    let of_processor = kind == "x86_pkg_temp" || kind.starts_with("cpu");
    thousandths(&zone.join("temp")).filter(|celsius| of_processor && PLAUSIBLE.contains(celsius))
}

fn hottest(all: impl Iterator<Item = f64>) -> Option<f64> {
    all.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(chip: &str, sensor: &str, celsius: f64) -> Temperature {
        Temperature { chip: chip.into(), device: "hwmon0".into(), sensor: sensor.into(), celsius }
    }

    #[test]
    fn the_processor_is_its_package_or_its_die() {
        let intel = [
            sensor("nvme", "Composite", 70.0),
            sensor("coretemp", "Core 0", 66.0),
            sensor("coretemp", "Package id 0", 61.0),
            sensor("coretemp", "Package id 1", 64.0),
        ];
        assert_eq!(cpu_celsius(&intel), Some(64.0));
        assert_eq!(cpu_celsius(&[sensor("k10temp", "Tctl", 77.0), sensor("k10temp", "Tdie", 50.0)]), Some(50.0));
        assert_eq!(cpu_celsius(&[sensor("k10temp", "Tctl", 77.0), sensor("k10temp", "Tccd1", 80.0)]), Some(77.0));
        assert_eq!(cpu_celsius(&[sensor("cpu_thermal", "temp1", 48.0)]), Some(48.0));
        assert_eq!(cpu_celsius(&[sensor("nvme", "Composite", 70.0)]), None);
    }
}
