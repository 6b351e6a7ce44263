//! Where the driver's library is, and whether there is a driver beneath it.

use std::path::PathBuf;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use crate::host::collector::ReadError;

/// The name that drivers install, the name of the developer's link, and two places outside the loader's usual ones:
/// WSL and `NixOS`.
const LIBRARIES: [&str; 4] = [
    "libnvidia-ml.so.1",
    "libnvidia-ml.so",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "/run/opengl-driver/lib/libnvidia-ml.so.1",
];

/// Where the library usually is. A name without a slash is looked for where the system's loader looks.
#[must_use]
pub fn default_libraries() -> Vec<PathBuf> {
    LIBRARIES.map(PathBuf::from).into()
}

/// Loads the first that can be. `None` where none can, or the driver is not loaded.
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
