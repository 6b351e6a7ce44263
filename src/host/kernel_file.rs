//! Reading the small files of /proc and /sys.
//!
//! Promises: a file that is not there is `None`, and never is more than [`MOST`] read of one.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::collector::ReadError;

/// More than any file here has, in bytes; the longest, /proc/diskstats, has some 100 bytes a device.
const MOST: u64 = 1 << 20;

/// The whole text; what is not UTF-8 in it is replaced.
pub(super) fn read(path: &Path) -> Result<Option<String>, ReadError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ReadError::file(path, error)),
    }
}

/// The text without the space around it; `None` where it cannot be read: drivers refuse a single file at times
/// (a sensor that sleeps answers ENODATA), and the others are of use without it.
pub(super) fn line(path: &Path) -> Option<String> {
    read(path).ok().flatten().map(|text| text.trim().to_owned())
}

/// The one number in a file.
pub(super) fn number(path: &Path) -> Option<f64> {
    line(path)?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The one whole number in a file.
pub(super) fn integer(path: &Path) -> Option<u64> {
    line(path)?.parse().ok()
}

/// What is in a folder, by name; `None` where the folder is not there.
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

/// The last part of a path, as text.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
