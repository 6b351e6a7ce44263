//! macOS: the output of `powermetrics --format plist`, one property list per sample.
//!
//! `powermetrics` is a public interface of the system, needs root, and writes a NUL before each sample (not after it),
//! so a sample is complete at its `</plist>`: waiting for the NUL would delay each by an interval. Powers are in
//! milliwatts; older systems report energies in millijoules over `elapsed_ns` instead. Intel has only `package_watts`,
//! the whole package.

use std::io::{self, Read};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::facts::Facts;
use crate::plist::{Event, PlistParser, Scalar};

/// More than any Mac draws, in milliwatts.
const MAX_POWER: f64 = 10_000_000.0;

/// Starts the program, which ends by itself once its output is closed.
pub(crate) fn spawn(program: &Path, interval: Duration) -> io::Result<ChildStdout> {
    let mut command = Command::new(program);
    command.args(["--samplers", "cpu_power,gpu_power,thermal", "--format", "plist", "--buffer-size", "1"]);
    command.args(["--sample-rate", &interval.as_millis().to_string()]);
    let spawned = command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let child = spawned.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
    child.stdout.ok_or_else(|| io::Error::other("its output is not a pipe"))
}

/// The samples of a stream. It ends with the stream.
pub(crate) struct Samples<R> {
    input: R,
    parser: PlistParser,
    sample: PowerSample,
    piece: Box<[u8]>,
    /// The part of `piece` that is read and not parsed yet.
    rest: std::ops::Range<usize>,
    memory_level: bool,
}

impl<R: Read> Samples<R> {
    /// `memory_level`: whether to ask the system for the share of free memory at each sample.
    pub(crate) fn new(input: R, memory_level: bool) -> Self {
        let piece = vec![0; 16 << 10].into_boxed_slice();
        Self { input, parser: PlistParser::default(), sample: PowerSample::default(), piece, rest: 0..0, memory_level }
    }

    /// Parses what was read, up to the end of a sample.
    fn parse(&mut self) -> Option<Facts> {
        for at in self.rest.by_ref() {
            let mut ended = false;
            let sample = &mut self.sample;
            self.parser.feed(&self.piece[at..=at], |event| match event {
                Event::Begin => *sample = PowerSample::default(),
                Event::Value(keys, scalar) => sample.set(&keys, scalar),
                Event::End => ended = true,
            });
            if ended {
                return Some(std::mem::take(&mut self.sample).facts());
            }
        }
        None
    }
}

impl<R: Read> Iterator for Samples<R> {
    type Item = io::Result<Facts>;

    fn next(&mut self) -> Option<io::Result<Facts>> {
        loop {
            if let Some(mut facts) = self.parse() {
                facts.memory_pressure = self.memory_level.then(memory_pressure).flatten();
                return Some(Ok(facts));
            }
            match self.input.read(&mut self.piece) {
                Ok(0) => return None,
                Ok(n) => self.rest = 0..n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The used values of a sample, in the units of `powermetrics`.
#[derive(Clone, Debug, Default, PartialEq)]
struct PowerSample {
    elapsed_ns: Option<f64>,
    cpu_power: Option<f64>,
    gpu_power: Option<f64>,
    ane_power: Option<f64>,
    combined_power: Option<f64>,
    package_watts: Option<f64>,
    cpu_energy: Option<f64>,
    gpu_energy: Option<f64>,
    ane_energy: Option<f64>,
    gpu_idle_ratio: Option<f64>,
    thermal_pressure: Option<String>,
}

impl PowerSample {
    fn set(&mut self, keys: &[String], scalar: Scalar) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        match (keys.as_slice(), scalar) {
            (["thermal_pressure"], Scalar::Text(level)) => self.thermal_pressure = Some(level),
            (keys, Scalar::Number(number)) => {
                if let Some(field) = self.field_mut(keys) {
                    *field = Some(number);
                }
            }
            _ => {}
        }
    }

    fn field_mut(&mut self, keys: &[&str]) -> Option<&mut Option<f64>> {
        Some(match keys {
            ["elapsed_ns"] => &mut self.elapsed_ns,
            ["processor", "cpu_power"] => &mut self.cpu_power,
            ["processor", "gpu_power"] | ["gpu", "gpu_power"] => &mut self.gpu_power,
            ["processor", "ane_power"] => &mut self.ane_power,
            ["processor", "combined_power"] => &mut self.combined_power,
            ["processor", "package_watts"] => &mut self.package_watts,
            ["processor", "cpu_energy"] => &mut self.cpu_energy,
            ["processor", "gpu_energy"] | ["gpu", "gpu_energy"] => &mut self.gpu_energy,
            ["processor", "ane_energy"] => &mut self.ane_energy,
            ["gpu", "idle_ratio"] => &mut self.gpu_idle_ratio,
            _ => return None,
        })
    }

    fn facts(self) -> Facts {
        let seconds = self.elapsed_ns.map(|ns| ns / 1e9).filter(|seconds| *seconds > 0.0);
        let power = |power: Option<f64>, energy: Option<f64>| {
            let average = || Some(energy? / seconds?);
            power.or_else(average).filter(|milliwatts| (0.0..=MAX_POWER).contains(milliwatts))
        };
        let package = self.package_watts.map(|watts| watts * 1000.0);
        let utilization =
            self.gpu_idle_ratio.filter(|ratio| (0.0..=1.0).contains(ratio)).map(|idle| (1.0 - idle) * 100.0);
        Facts {
            gpu_utilization: utilization,
            gpu_power: power(self.gpu_power, self.gpu_energy),
            cpu_power: power(self.cpu_power.or(package), self.cpu_energy),
            ane_power: power(self.ane_power, self.ane_energy),
            combined_power: power(self.combined_power, None),
            thermal_pressure: self.thermal_pressure,
            ..Facts::default()
        }
    }
}

/// The memory that is not free, in percent: `kern.memorystatus_level` is the free share that the system's tools show.
fn memory_pressure() -> Option<f64> {
    let mut command = Command::new("/usr/sbin/sysctl");
    command.args(["-n", "kern.memorystatus_level"]).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    let free: f64 = String::from_utf8(command.output().ok()?.stdout).ok()?.trim().parse().ok()?;
    (0.0..=100.0).contains(&free).then_some(100.0 - free)
}

#[cfg(test)]
mod tests {
    use super::*;

    const M1: &[u8] = include_bytes!("../tests/powermetrics/m1-macos12.plist");
    const M3_ULTRA: &[u8] = include_bytes!("../tests/powermetrics/m3-ultra-macos14.plist");
    const M4: &[u8] = include_bytes!("../tests/powermetrics/m4-macos15.plist");
    const INTEL: &[u8] = include_bytes!("../tests/powermetrics/intel-macos11.plist");

    fn facts(input: &[u8]) -> Vec<Facts> {
        Samples::new(input, false).map(|sample| sample.expect("memory does not fail")).collect()
    }

    /// Reads in pieces of a fixed size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(into.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn a_sample_of_each_chip_is_read() {
        let [m1] = &facts(M1)[..] else { panic!("one sample") };
        // 640 mJ, 305 mJ and 12 mJ in half a second.
        assert_eq!((m1.cpu_power, m1.gpu_power, m1.ane_power), (Some(1280.0), Some(610.0), Some(24.0)));
        let [m3] = &facts(M3_ULTRA)[..] else { panic!("one sample") };
        assert_eq!((m3.cpu_power, m3.gpu_power, m3.combined_power), (Some(993.156), Some(476.674), Some(1469.83)));
        assert!((m3.gpu_utilization.expect("it is there") - 22.2686).abs() < 1e-9);
        assert_eq!(m3.thermal_pressure.as_deref(), Some("Nominal"));
        let [first, second] = &facts(M4)[..] else { panic!("two samples") };
        assert_eq!((first.cpu_power, second.cpu_power), (Some(2978.0), Some(15_250.0)));
        assert_eq!(second.thermal_pressure.as_deref(), Some("Heavy"));
        let [intel] = &facts(INTEL)[..] else { panic!("one sample") };
        assert_eq!(intel, &Facts { cpu_power: Some(18_725.0), ..Facts::default() }, "the rest is unknown");
    }

    #[test]
    fn a_sample_is_the_same_at_every_split() {
        for input in [M1, M3_ULTRA, M4, INTEL] {
            let whole = facts(input);
            for size in (1..200).chain([input.len() - 1, input.len()]) {
                let pieces: Vec<_> =
                    Samples::new(Pieces(input, size), false).map(|sample| sample.expect("no failure")).collect();
                assert_eq!(pieces, whole, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_sample_is_complete_at_its_end_and_not_before() {
        let end = M3_ULTRA.windows(8).position(|it| it == b"</plist>").expect("it ends") + 8;
        assert_eq!(facts(&M3_ULTRA[..end]).len(), 1, "the NUL of the next sample is not waited for");
        for cut in 0..end {
            assert_eq!(facts(&M3_ULTRA[..cut]).len(), 0, "cut at {cut}");
        }
    }

    #[test]
    fn a_broken_sample_is_skipped_and_the_next_is_read() {
        let half = &M3_ULTRA[..M3_ULTRA.len() / 2];
        let both = [half, b"\0", M3_ULTRA].concat();
        assert_eq!(facts(&both), facts(M3_ULTRA));
    }

    #[test]
    fn changed_bytes_cause_no_panic_and_no_value_out_of_range() {
        // A fixed sequence (xorshift), so that a failure can be reproduced.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for input in [M1, M3_ULTRA, M4, INTEL] {
            for _ in 0..300 {
                let mut changed = input.to_vec();
                for _ in 0..1 + random() % 8 {
                    let at = usize::try_from(random() % changed.len() as u64).expect("it is small");
                    changed[at] = *[b'<', b'>', b'/', 0, b'-', b'9', b'e', 0xff, b'k', b'.']
                        .get(usize::try_from(random() % 10).expect("small"))
                        .expect("ten");
                }
                for found in facts(&changed) {
                    let powers = [found.cpu_power, found.gpu_power, found.ane_power, found.combined_power];
                    assert!(powers.into_iter().flatten().all(|power| (0.0..=MAX_POWER).contains(&power)));
                    assert!(found.gpu_utilization.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
                }
            }
        }
    }
}
