//! Why a file could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::history::state::Pause;

/// Why the store failed.
#[derive(Debug)]
pub enum StoreError {
    /// Nothing can be written for now.
    Paused(Pause, String),
    /// This file is damaged.
    Damaged(PathBuf, String),
    /// It took too long and was given up.
    Interrupted,
}

/// The extended code of a shared-memory file that cannot grow: the disk is full.
const SHARED_MEMORY_SIZE: i32 = 4874;

/// What SQLite says of a file whose tables are not those of this release. It has no code of its own for these.
const LACKING: [&str; 3] = ["no such table", "no such column", "has no column named"];

impl StoreError {
    /// Of what SQLite says of a file.
    pub(super) fn of(error: &rusqlite::Error, path: &Path) -> Self {
        let text = format!("{}: {error}", path.display());
        let (code, extended) = match error {
            rusqlite::Error::SqliteFailure(failure, _) => (failure.code, failure.extended_code),
            rusqlite::Error::SqlInputError { error, .. } => (error.code, error.extended_code),
            // A value of another type than the program writes.
            _ => return Self::Damaged(path.to_owned(), text),
        };
        match code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged(path.to_owned(), text),
            ErrorCode::OperationInterrupted => Self::Interrupted,
            ErrorCode::DiskFull => Self::Paused(Pause::Full, text),
            ErrorCode::SystemIoFailure if extended == SHARED_MEMORY_SIZE => Self::Paused(Pause::Full, text),
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Self::Paused(Pause::ReadOnly, text)
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Paused(Pause::Busy, text),
            _ if LACKING.iter().any(|lacking| text.contains(lacking)) => {
                Self::of_another_build(path, &error.to_string())
            }
            _ => Self::Paused(Pause::Failing, text),
        }
    }

    /// Of a file with the version of this release and other tables.
    pub(super) fn of_another_build(path: &Path, what: &str) -> Self {
        let text = format!(
            "{}: a build of the program with other tables wrote it ({what}): remove or rename the directory, and a new \
             history begins",
            path.display()
        );
        Self::Paused(Pause::Failing, text)
    }

    /// Of what the system says of a path.
    pub(in crate::history) fn of_system(error: &io::Error, path: &Path) -> Self {
        let pause = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Pause::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Pause::ReadOnly,
            _ => Pause::Failing,
        };
        Self::Paused(pause, format!("{}: {error}", path.display()))
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paused(_, text) | Self::Damaged(_, text) => out.write_str(text),
            Self::Interrupted => out.write_str("it took too long"),
        }
    }
}

impl std::error::Error for StoreError {}
