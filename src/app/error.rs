//! Why the program could not start or go on.

use std::io;
use std::net::SocketAddr;

/// Why the program could not start or go on.
#[derive(Debug)]
pub enum AppError {
    /// An address cannot be listened on.
    Bind {
        /// The flag that sets the address, without its dashes.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system answered.
        cause: io::Error,
    },
    /// The system refuses threads, signal handlers or the poller.
    System(io::Error),
}

impl std::fmt::Display for AppError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind { flag, address, cause } if cause.kind() == io::ErrorKind::AddrInUse => {
                write!(out, "--{flag} {address}: something else listens there already; stop it, or choose another port")
            }
            Self::Bind { flag, address, cause } => write!(out, "--{flag} {address}: cannot listen there: {cause}"),
            Self::System(cause) => write!(out, "the system refuses what is needed: {cause}"),
        }
    }
}

impl std::error::Error for AppError {}
