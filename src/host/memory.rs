//! Memory and swap: /proc/meminfo.

use std::path::PathBuf;
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// Memory and swap, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All memory that the system can use.
    pub total_bytes: Option<u64>,
    /// Memory that a new program could get without swapping.
    pub available_bytes: Option<u64>,
    /// All swap space; 0 where there is none.
    pub swap_total_bytes: Option<u64>,
    /// Swap space in use.
    pub swap_used_bytes: Option<u64>,
    /// Raw disk blocks in memory.
    pub buffers_bytes: Option<u64>,
    /// Files in memory.
    pub cached_bytes: Option<u64>,
}

impl Memory {
    /// Memory in use: all but the available.
    #[must_use]
    pub fn used_bytes(&self) -> Option<u64> {
        self.total_bytes?.checked_sub(self.available_bytes?)
    }
}

/// Collects it.
#[derive(Debug)]
pub struct MemoryCollector {
    proc: PathBuf,
}

impl MemoryCollector {
    /// Reads below this procfs.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self { proc }
    }
}

impl Collector for MemoryCollector {
    type Part = Memory;

    fn name(&self) -> &'static str {
        "memory"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Memory>, ReadError> {
        Ok(kernel_file::read(&self.proc.join("meminfo"))?.as_deref().map(parse_meminfo))
    }
}

/// Parses meminfo. `MemAvailable` exists since Linux 3.14; it is not estimated for older kernels.
fn parse_meminfo(text: &str) -> Memory {
    let swap_total = kibibytes(text, "SwapTotal:");
    let swap_free = kibibytes(text, "SwapFree:");
    Memory {
        total_bytes: kibibytes(text, "MemTotal:"),
        available_bytes: kibibytes(text, "MemAvailable:"),
        swap_total_bytes: swap_total,
        swap_used_bytes: swap_total.zip(swap_free).and_then(|(total, free)| total.checked_sub(free)),
        buffers_bytes: kibibytes(text, "Buffers:"),
        cached_bytes: kibibytes(text, "Cached:"),
    }
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?.trim().strip_suffix("kB")?;
    value.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_all_but_the_available() {
        let memory = parse_meminfo(
            "MemTotal:       24684092 kB\nMemFree: 1 kB\nMemAvailable:   24046192 kB\nSwapTotal: 8 kB\nSwapFree: 6 kB\n\
             Buffers: 2 kB\nSwapCached: 9 kB\nCached: 3 kB\n",
        );
        assert_eq!((memory.buffers_bytes, memory.cached_bytes), (Some(2048), Some(3072)));
        assert_eq!(memory.used_bytes(), Some((24_684_092 - 24_046_192) * 1024));
        assert_eq!((memory.swap_total_bytes, memory.swap_used_bytes), (Some(8192), Some(2048)));
    }

    #[test]
    fn missing_malformed_and_contradictory_values_are_unknown() {
        assert_eq!(parse_meminfo(""), Memory::default());
        let memory =
            parse_meminfo("MemTotal: 4 kB\nMemAvailable: 8 kB\nSwapTotal: 99999999999999999999 kB\nSwapFree: 1\n");
        assert_eq!(memory.used_bytes(), None);
        assert_eq!((memory.swap_total_bytes, memory.swap_used_bytes), (None, None));
    }
}
