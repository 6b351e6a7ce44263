//! The files that are shipped, as text and parsed.

use serde_json::Value;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A shipped file.
pub(super) struct File {
    /// From the root of the repository, with `/`.
    pub(super) name: String,
    pub(super) text: String,
}

impl File {
    /// JSON or YAML, by its extension.
    pub(super) fn parse(&self) -> Result<Value, String> {
        if self.name.ends_with(".json") {
            serde_json::from_str(&self.text).map_err(|error| format!("{}: {error}", self.name))
        } else {
            serde_yaml_ng::from_str(&self.text).map_err(|error| format!("{}: {error}", self.name))
        }
    }
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file that must be there.
pub(super) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file under these folders (or these files) with one of these extensions, by name. What is not there is
/// left out.
pub(super) fn shipped(places: &[&str], extensions: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    for place in places {
        collect(&root().join(place), &mut paths);
    }
    paths.retain(|path| path.extension().is_some_and(|have| extensions.iter().any(|want| have == *want)));
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root()).expect("it is under the root").display().to_string();
    paths.iter().map(|path| File { name: name(path), text: read(path) }).collect()
}

/// An empty folder of one test's own. Dropping it removes it, unless the test failed: then its logs are of use.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it, under the target folder.
    pub(super) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("boards-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the target folder can be written");
        Self(path)
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("the folder can be read") {
            collect(&entry.expect("the entry can be read").path(), into);
        }
    } else if path.is_file() {
        into.push(path.to_owned());
    }
}
