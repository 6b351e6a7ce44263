//! The privileged helper's binary, built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where it is. It belongs to another package, which cargo does not build for these tests.
pub(crate) fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = Path::new(env!("CARGO_BIN_EXE_inferometer")).with_file_name("inferometer-helper");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "inferometer-helper"]);
        // Beside the program under test, whatever that was built for.
        if program.parent().is_some_and(|folder| folder.ends_with("release")) {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the helper can be built");
        program
    })
}
