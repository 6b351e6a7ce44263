//! A directory for what a program of the demo keeps, with its settings, removed with it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The directory.
#[derive(Debug)]
pub(crate) struct Kept(PathBuf);

impl Kept {
    /// One of this process, for its user alone.
    pub(crate) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("inferometer-demo-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file of settings into it.
    pub(crate) fn settings(&self, toml: &str) -> io::Result<PathBuf> {
        let file = self.0.join("demo.toml");
        std::fs::write(&file, toml)?;
        Ok(file)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("demo: {} is left behind: {error}", self.0.display());
        }
    }
}
