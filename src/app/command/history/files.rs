//! Where the files are.

use crate::app::command::report::Failure;
use crate::app::history::directory;
use crate::config::Config;
use crate::history::Directory;

/// The directory of the files, which must be there.
pub(super) fn files(config: &Config) -> Result<Directory, Failure> {
    let directory = directory(config);
    let directory = directory.ok_or("nothing is kept: --history is off, or no directory is known; set --data-dir")?;
    if !directory.path().is_dir() {
        return Err(
            format!("there is no history at {}; --data-dir says where it is", directory.path().display()).into()
        );
    }
    Ok(directory)
}
