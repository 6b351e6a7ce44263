//! Filesystems on local disks and their free space, as `df` shows it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// One filesystem, at its first mount point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filesystem {
    /// The device.
    pub device: String,
    /// The mount point.
    pub mountpoint: String,
    /// The type, such as `ext4`.
    pub kind: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Space that holds nothing, in bytes; some may be reserved for privileged programs.
    pub free_bytes: u64,
    /// Space that unprivileged programs can still use, in bytes.
    pub available_bytes: u64,
}

impl Filesystem {
    /// Space that holds something, in bytes.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.free_bytes)
    }

    /// Used space by what unprivileged programs can use or have used, 0 to 1, as `df` has it; `None` where that is nothing.
    #[must_use]
    pub fn used_share(&self) -> Option<f64> {
        let usable = self.used_bytes().saturating_add(self.available_bytes);
        (usable > 0).then(|| self.used_bytes() as f64 / usable as f64)
    }
}

/// Size, free and available space of a filesystem, in bytes.
type Space = (u64, u64, u64);

/// Measures a mounted filesystem.
type Measure = fn(&Path) -> Option<Space>;

/// Collects them. Measuring one may hang (a failing disk), which affects only this collector.
#[derive(Debug)]
pub struct FilesystemsCollector {
    proc: PathBuf,
    measure: Measure,
}

impl FilesystemsCollector {
    /// Reads below this procfs.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self { proc, measure }
    }
}

impl Collector for FilesystemsCollector {
    type Part = Vec<Filesystem>;

    fn name(&self) -> &'static str {
        "filesystems"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Vec<Filesystem>>, ReadError> {
        let Some(text) = kernel_file::read(&self.proc.join("self/mounts"))? else { return Ok(None) };
        let mut seen = HashSet::new();
        let found = text.lines().filter_map(parse_mount).filter(|mount| seen.insert(mount.device.clone()));
        let measured = found.filter_map(|mount| {
            let (size_bytes, free_bytes, available_bytes) = (self.measure)(Path::new(&mount.mountpoint))?;
            Some(Filesystem { size_bytes, free_bytes, available_bytes, ..mount })
        });
        Ok(Some(measured.collect()))
    }
}

#[cfg(target_os = "linux")]
fn measure(mountpoint: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(mountpoint).ok()?;
    let bytes = |blocks: u64| blocks.checked_mul(found.f_frsize);
    Some((bytes(found.f_blocks).filter(|size| *size > 0)?, bytes(found.f_bfree)?, bytes(found.f_bavail)?))
}

#[cfg(not(target_os = "linux"))]
fn measure(_: &Path) -> Option<Space> {
    None
}

/// Parses device, mount point and type. `None` for images that are always full (`squashfs`, `iso9660`), and for
/// whatever is not on a local device; ZFS, whose devices are pools, is included.
fn parse_mount(line: &str) -> Option<Filesystem> {
    let mut fields = line.split(' ');
    let (device, mountpoint, kind) = (unescaped(fields.next()?), unescaped(fields.next()?), fields.next()?);
    let image = matches!(kind, "squashfs" | "iso9660" | "erofs") || device.starts_with("/dev/loop");
    let here = device.starts_with("/dev/") || kind == "zfs";
    (here && !image).then(|| Filesystem { device, mountpoint, kind: kind.to_owned(), ..Filesystem::default() })
}

/// Replaces the octal escapes of space, tab, newline and backslash, such as `\040` (proc(5)).
fn unescaped(field: &str) -> String {
    let mut text = field.to_owned();
    for (escaped, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        text = text.replace(escaped, plain);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_neither_used_nor_available() {
        let it = Filesystem { size_bytes: 100, free_bytes: 20, available_bytes: 15, ..Filesystem::default() };
        assert_eq!((it.used_bytes(), it.used_share()), (80, Some(80.0 / 95.0)));
        assert_eq!(Filesystem::default().used_share(), None);
    }

    #[test]
    fn only_local_filesystems_are_measured() {
        let mount = parse_mount(r"/dev/sda1 /mnt/my\040models ext4 rw 0 0").expect("a disk");
        assert_eq!((mount.mountpoint.as_str(), mount.kind.as_str()), ("/mnt/my models", "ext4"));
        assert!(parse_mount("tank/models /models zfs rw 0 0").is_some());
        for line in [
            "",
            "proc /proc proc rw 0 0",
            "nas:/x /mnt nfs4 rw 0 0",
            "/dev/loop3 /snap/x squashfs ro 0 0",
            "tmpfs /tmp tmpfs rw 0 0",
        ] {
            assert_eq!(parse_mount(line), None, "{line}");
        }
    }
}
