//! The privileged helper's binary, built once.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::cargo;

/// Where it is. It belongs to another package, which cargo does not build for these tests.
pub(crate) fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| cargo::built(&["--workspace", "--bin", "inferometer-helper"], "inferometer-helper"))
}
