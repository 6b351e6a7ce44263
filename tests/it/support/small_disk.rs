//! A small filesystem in memory, which only root can mount.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A filesystem of one MiB. It is unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// At this path. `device` is its first field in `/proc/mounts`. `None`, and said so, where nothing can be mounted.
    pub(crate) fn mount(path: &Path, device: &str) -> Option<Self> {
        fs::create_dir_all(path).expect("it can be created");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", device]).arg(path).status();
        let is_mounted = mounted.is_ok_and(|status| status.success());
        if !is_mounted {
            println!("skipped: nothing can be mounted here, which takes root");
        }
        is_mounted.then(|| Self(path.into()))
    }

    pub(crate) fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status().expect("there is mount");
        assert!(status.success(), "{option}");
    }

    /// Writes as much as fits, in ever smaller pieces.
    pub(crate) fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).expect("it can be opened");
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Removes what [`SmallDisk::fill`] has written.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it can be removed");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}
