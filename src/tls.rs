//! TLS on both sides: certificates and keys read from files, connections opened and accepted.
//!
//! Promises: nothing is sent over a connection whose certificate was not accepted; a failed handshake has one of a few
//! reasons ([`Fault`]), each with a remedy; at the start and at a reload, all files are read and checked before any is
//! used. Keys are kept in memory only and never printed. Left out: watching files for changes, revocation lists,
//! certificates selected by SNI, session tickets shared between processes.

pub mod accept;
pub mod client;
mod expiry;
mod fault;
pub mod linger;
mod pem;
pub mod server;
mod stream;
mod unverified;
pub mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use fault::Fault;
pub use stream::Stream;

/// The most ciphertext that is buffered for a peer that does not read, in bytes a connection.
const WRITE_BUFFER: usize = 16 * 1024;

/// A certificate chain, leaf first, and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file of the chain.
    pub cert_file: PathBuf,
    /// PEM file of the key.
    pub key_file: PathBuf,
}

/// A problem with a certificate or key file.
#[derive(Debug)]
pub struct FileError {
    /// The configuration key that names the file.
    pub key: String,
    /// The file; `None` where the key names none.
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

/// The cryptography provider, passed explicitly instead of installed for the process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
