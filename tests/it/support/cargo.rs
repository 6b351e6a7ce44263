//! Programs that cargo does not build for these tests by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds what the arguments name, beside the program under test and in its profile; `path` is where it then is,
/// relative to that folder.
pub(crate) fn built(arguments: &[&str], path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_inferometer")).parent().expect("it is in a folder");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked"]).args(arguments);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success(), "cargo can build {}", arguments.join(" "));
    folder.join(path)
}
