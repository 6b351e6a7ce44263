//! A directory for what a program of the demo keeps, removed with it.

use std::path::{Path, PathBuf};

/// The directory. The program makes it.
#[derive(Debug)]
pub(crate) struct Kept(PathBuf);

impl Kept {
    /// One of this process.
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("inferometer-demo-{}", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            eprintln!("demo: {} is left behind: {error}", self.0.display());
        }
    }
}
