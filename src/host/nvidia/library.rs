//! Finds and loads the driver's library.

use std::path::PathBuf;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use crate::host::collector::ReadError;

/// The installed name, the development link, and the paths on WSL and `NixOS`, which the loader does not search.
const LIBRARIES: [&str; 4] = [
    "libnvidia-ml.so.1",
    "libnvidia-ml.so",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "/run/opengl-driver/lib/libnvidia-ml.so.1",
];

/// The usual names of the library. One without a slash is searched by the system's loader.
#[must_use]
pub fn default_libraries() -> Vec<PathBuf> {
    LIBRARIES.map(PathBuf::from).into()
}

/// Loads the first library that can be loaded. `None` on a machine without the library, or without a loaded driver.
pub(super) fn open(libraries: &[PathBuf]) -> Result<Option<Nvml>, ReadError> {
    for library in libraries {
        match Nvml::builder().lib_path(library.as_os_str()).init() {
            Ok(nvml) => return Ok(Some(nvml)),
            Err(NvmlError::LibloadingError(_) | NvmlError::FailedToLoadSymbol(_)) => {}
            Err(NvmlError::DriverNotLoaded | NvmlError::LibraryNotFound | NvmlError::NotFound) => return Ok(None),
            Err(error) => return Err(ReadError::Source(format!("{}: {error}", library.display()))),
        }
    }
    Ok(None)
}
