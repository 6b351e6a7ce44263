//! The stand-in for NVIDIA's library, compiled once and copied into a folder of each test's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A library with cards as a test wants them. Dropping it removes its folder.
pub(crate) struct StandIn {
    folder: PathBuf,
}

impl StandIn {
    /// As current drivers have it.
    pub(crate) fn new(name: &str) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        Self::copied(name, BUILT.get_or_init(|| compiled("current", &[])))
    }

    /// As older drivers have it: functions are missing.
    pub(crate) fn old(name: &str) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        Self::copied(name, BUILT.get_or_init(|| compiled("old", &["-DOLD"])))
    }

    /// The library.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("libnvidia-ml.so.1")
    }

    /// Its folder, for the loader's search path.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it plays from now on, in the words that its source explains.
    pub(crate) fn play(&self, words: &str) {
        // Never half of it: the library may read it at any time.
        let new = self.folder.join("control.new");
        std::fs::write(&new, words).expect("the target folder can be written");
        std::fs::rename(&new, self.folder.join("control")).expect("the target folder can be written");
    }

    fn copied(name: &str, built: &Path) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nvml-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the target folder can be written");
        std::fs::copy(built, folder.join("libnvidia-ml.so.1")).expect("it was built");
        let stand_in = Self { folder };
        stand_in.play("");
        stand_in
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn compiled(name: &str, options: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/nvml_stand_in.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nvml-{name}-{}.so", std::process::id()));
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .args(options)
        .arg(&source)
        .output()
        .expect("a C compiler (cc) is there: Rust needs one to link");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}
