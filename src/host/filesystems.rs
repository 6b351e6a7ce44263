//! Filesystems on disks: how full they are, as `df` says.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// One filesystem, where it is first mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filesystem {
    /// What is mounted.
    pub device: String,
    /// Where.
    pub mountpoint: String,
    /// Of what kind.
    pub kind: String,
    /// All of it, in bytes.
    pub size_bytes: u64,
    /// What programs without privileges can still write, in bytes.
    pub available_bytes: u64,
}

/// Asks the system about one mounted filesystem: size and available bytes.
type Ask = fn(&Path) -> Option<(u64, u64)>;

/// Reads them. Asking for a filesystem may hang (a disk that is going): that is felt here only.
#[derive(Debug)]
pub struct FilesystemsCollector {
    proc: PathBuf,
    ask: Ask,
}

impl FilesystemsCollector {
    /// From this /proc.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self { proc, ask }
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
            let (size_bytes, available_bytes) = (self.ask)(Path::new(&mount.mountpoint))?;
            Some(Filesystem { size_bytes, available_bytes, ..mount })
        });
        Ok(Some(measured.collect()))
    }
}

#[cfg(target_os = "linux")]
fn ask(mountpoint: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(mountpoint).ok()?;
    let bytes = |blocks: u64| blocks.checked_mul(found.f_frsize);
    Some((bytes(found.f_blocks).filter(|size| *size > 0)?, bytes(found.f_bavail)?))
}

#[cfg(not(target_os = "linux"))]
fn ask(_: &Path) -> Option<(u64, u64)> {
    None
}

/// Device, mountpoint and kind of what lies on a device of this machine, and ZFS, whose devices are pools. Left out:
/// images that are always full (`squashfs`, `iso9660`), and whatever lies on another machine.
fn parse_mount(line: &str) -> Option<Filesystem> {
    let mut fields = line.split(' ');
    let (device, mountpoint, kind) = (unescaped(fields.next()?), unescaped(fields.next()?), fields.next()?);
    let image = matches!(kind, "squashfs" | "iso9660" | "erofs") || device.starts_with("/dev/loop");
    let here = device.starts_with("/dev/") || kind == "zfs";
    (here && !image).then(|| Filesystem { device, mountpoint, kind: kind.to_owned(), ..Filesystem::default() })
}

/// Space, tab, newline and backslash stand there as `\040` and so on (proc(5)).
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
    fn only_disks_of_this_machine_are_asked_for() {
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
