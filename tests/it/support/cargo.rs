//! Programs that cargo does not build for these tests by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds what the arguments name, beside the program under test and in its profile; `path` is where it then is,
/// relative to that folder. A package that is named alone gets dependencies with its own features, built again.
pub(crate) fn built(arguments: &[&str], path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_inferometer")).parent().expect("it is in a folder");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked"]).args(arguments);
    // What cargo says of a package to the tests that it runs. ring's build depends on it, and would begin again here,
    // with all that depends on ring.
    let package = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"].iter().any(|it| name.starts_with(it));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(package)) {
        build.env_remove(name);
    }
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success(), "cargo can build {}", arguments.join(" "));
    folder.join(path)
}
