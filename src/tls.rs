//! TLS on both sides: certificates and keys read from files, connections opened and accepted.
//!
//! Promises: nothing is sent over a connection whose certificate was not accepted; a refused handshake has one of a few
//! names ([`Fault`]), each saying what to do; files are read and checked as a whole before any of them is used, at the start
//! and at a reload. Keys are held in memory only and never shown. Left out: noticing by itself that a file has changed,
//! revocation lists, certificates chosen by name, session tickets shared between processes.

pub mod accept;
pub mod client;
mod fault;
pub mod linger;
mod pem;
pub mod server;
mod stream;
pub mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use fault::Fault;
pub use stream::Stream;

/// Most ciphertext that waits in memory for a peer that does not read, in bytes a connection.
const WRITE_BUFFER: usize = 16 * 1024;

/// A certificate chain, the certificate itself first, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file of the chain.
    pub cert_file: PathBuf,
    /// PEM file of the key.
    pub key_file: PathBuf,
}

/// What is wrong with the files.
#[derive(Debug)]
pub struct FileError {
    /// What the file is for, as the key that names it.
    pub key: String,
    /// The file; none where nothing was named.
    pub path: Option<PathBuf>,
    /// What is wrong, and what is expected.
    pub reason: String,
}

impl FileError {
    pub(crate) fn new(key: impl Into<String>, path: Option<&std::path::Path>, reason: impl Into<String>) -> Self {
        Self { key: key.into(), path: path.map(Into::into), reason: reason.into() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(out, "{}: `{}`: {}", self.key, path.display(), self.reason),
            None => write!(out, "{}: {}", self.key, self.reason),
        }
    }
}

impl std::error::Error for FileError {}

/// The cryptography that is used, named rather than installed for the whole process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
