//! Network interfaces: /proc/net/dev.

use std::path::PathBuf;
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// The counters of one interface since it came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub interface: String,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub transmitted_bytes: u64,
    /// Packets received; `None` where the system does not count them.
    pub received_packets: Option<u64>,
    /// Packets sent; `None` where the system does not count them.
    pub transmitted_packets: Option<u64>,
    /// Errors of both directions; `None` where the system does not count them.
    pub errors: Option<u64>,
}

impl Network {
    /// Whether to report the interface: not the loopback, not unused, and not a container's (`veth…`), whose bytes pass
    /// the machine's own interfaces as well, and which would leave a series behind.
    pub(super) fn is_reported(&self) -> bool {
        let silent = self.received_bytes == 0 && self.transmitted_bytes == 0;
        let inward = matches!(self.interface.as_str(), "lo" | "lo0") || self.interface.starts_with("veth");
        !inward && !silent
    }
}

/// Collects those to report.
#[derive(Debug)]
pub struct NetworksCollector {
    proc: PathBuf,
}

impl NetworksCollector {
    /// Reads below this procfs.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self { proc }
    }
}

impl Collector for NetworksCollector {
    type Part = Vec<Network>;

    fn name(&self) -> &'static str {
        "networks"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Vec<Network>>, ReadError> {
        // `net` itself is a link to the reader's network namespace.
        let text = kernel_file::read(&self.proc.join("net/dev"))?;
        Ok(text.map(|text| text.lines().filter_map(parse_interface).filter(Network::is_reported).collect()))
    }
}

/// Parses `eth0: ` and 16 numbers: bytes, packets and errors received come first, those sent from the ninth on (proc(5)).
fn parse_interface(line: &str) -> Option<Network> {
    let (interface, numbers) = line.rsplit_once(':')?;
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|number| number.parse().ok()).collect();
    let interface = Some(interface.trim()).filter(|name| !name.is_empty())?;
    Some(Network {
        interface: interface.to_owned(),
        received_bytes: *numbers.first()?,
        transmitted_bytes: *numbers.get(8)?,
        received_packets: numbers.get(1).copied(),
        transmitted_packets: numbers.get(9).copied(),
        errors: numbers.get(2).zip(numbers.get(10)).and_then(|(received, sent)| received.checked_add(*sent)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_ninth_number_are_bytes() {
        let line = "  eth0: 460555514   12052    0    0    0     0          0         0   665733    7138    0    0    0     0       0          0";
        let network = parse_interface(line).expect("it parses");
        assert_eq!(
            network,
            Network {
                interface: "eth0".into(),
                received_bytes: 460_555_514,
                transmitted_bytes: 665_733,
                received_packets: Some(12_052),
                transmitted_packets: Some(7_138),
                errors: Some(0),
            }
        );
        let glued = parse_interface("wlan0:7 0 0 0 0 0 0 0 9 0").expect("old kernels leave no space");
        assert_eq!((glued.received_bytes, glued.transmitted_bytes), (7, 9));
    }

    #[test]
    fn headings_and_malformed_lines_are_skipped() {
        for line in [
            "Inter-|   Receive  |  Transmit",
            " face |bytes    packets",
            "eth0:",
            "eth0: 1 2 3",
            "eth0: x 0 0 0 0 0 0 0 9",
            " : 1 0 0 0 0 0 0 0 9",
        ] {
            assert_eq!(parse_interface(line), None, "{line}");
        }
    }
}
