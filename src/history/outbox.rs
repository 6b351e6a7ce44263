//! Texts that wait to be delivered to another service, in a file of their own, so that they outlive the program.
//!
//! Promises: the file is replaced as a whole, so a crash leaves the earlier or the later one. Left out: when a text counts as
//! delivered, and who else writes the file: each program of a directory has a name of its own.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::store::directory::Directory;
use super::store::error::StoreError;

/// The file of the texts that are not delivered yet. It does not exist while there are none.
#[derive(Clone, Debug)]
pub struct Outbox {
    directory: Directory,
    path: PathBuf,
}

impl Outbox {
    /// Of the program of this name within a directory; nothing is created.
    #[must_use]
    pub fn new(directory: Directory, instance: &str) -> Self {
        let path = directory.path().join(format!("notifications-{}.jsonl", file_name(instance)));
        Self { directory, path }
    }

    /// The texts that an earlier run has kept, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<Vec<String>, StoreError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StoreError::of_system(&error, &self.path)),
        }
    }

    /// Keeps these texts, each of one line, in place of all others.
    ///
    /// # Errors
    /// When the file cannot be written. The earlier one stays.
    pub fn keep<T: AsRef<[u8]>>(&self, texts: &[T]) -> Result<(), StoreError> {
        if texts.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::of_system(&error, &self.path)),
                _ => Ok(()),
            };
        }
        self.directory.create()?;
        self.replace(texts).map_err(|error| StoreError::of_system(&error, &self.path))
    }

    fn replace<T: AsRef<[u8]>>(&self, texts: &[T]) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        for text in texts {
            file.write_all(text.as_ref())?;
            file.write_all(b"\n")?;
        }
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }
}

/// Letters, digits, dots and hyphens as they are, all else by its number, so that two names never have one file.
fn file_name(instance: &str) -> String {
    instance.bytes().fold(String::new(), |mut name, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => name.push(char::from(byte)),
            _ => {
                let _infallible = write!(name, "_{byte:02x}");
            }
        }
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_by_the_next_run_of_that_name_alone() {
        let folder = std::env::temp_dir().join(format!("inferometer-outbox-{}", std::process::id()));
        let outbox = |name: &str| Outbox::new(Directory::within(&folder), name);
        assert_eq!(outbox("box:8001").read().expect("no file"), [""; 0]);
        outbox("box:8001").keep(&["{}", "[]"]).expect("written");
        assert_eq!(outbox("box:8001").read().expect("a file"), ["{}", "[]"]);
        assert_eq!(outbox("box/8001").read().expect("no file"), [""; 0]);
        outbox("box:8001").keep::<&str>(&[]).expect("removed");
        let left = fs::read_dir(folder.join("history")).expect("a directory").count();
        assert_eq!(left, 0, "there is no file while nothing waits");
        fs::remove_dir_all(folder).expect("it was made above");
    }
}
