//! Reads the small files of /proc and /sys.
//!
//! Promises: a missing file is `None`, and at most [`MAX_SIZE`] bytes are read.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::collector::ReadError;

/// Larger than any file here, in bytes; the largest, /proc/diskstats, has some 100 bytes a device.
const MAX_SIZE: u64 = 1 << 20;

/// Reads the whole text. Invalid UTF-8 is replaced.
pub(super) fn read(path: &Path) -> Result<Option<String>, ReadError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(MAX_SIZE).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ReadError::file(path, error)),
    }
}

/// Reads the trimmed text. `None` where it cannot be read: drivers sometimes refuse a single file (a sleeping sensor
/// answers ENODATA), and the others are useful without it.
pub(super) fn line(path: &Path) -> Option<String> {
    read(path).ok().flatten().map(|text| text.trim().to_owned())
}

/// Reads the only number in a file.
pub(super) fn number(path: &Path) -> Option<f64> {
    line(path)?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Reads the only integer in a file.
pub(super) fn integer(path: &Path) -> Option<u64> {
    line(path)?.parse().ok()
}

/// Lists a directory, sorted by name; `None` where it does not exist.
pub(super) fn entries(folder: &Path) -> Result<Option<Vec<PathBuf>>, ReadError> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ReadError::file(folder, error)),
    };
    let mut paths: Vec<_> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(Some(paths))
}

/// The last component of a path, as text.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
