//! Connects to a backend.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use super::address::Address;

/// Why a backend could not be reached.
#[derive(Debug)]
pub enum DialError {
    /// Connection refused.
    Refused,
    /// Not accepted in time.
    Timeout,
    /// The name does not resolve.
    Dns,
    /// Anything else.
    Other(io::Error),
}

/// Connects, remembering what worked.
#[derive(Debug, Default)]
pub struct Dialer {}

impl Dialer {
    /// Connects within a time limit.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(&self, address: &Address, limit: Duration) -> Result<TcpStream, DialError> {
        let stream = tokio::time::timeout(limit, TcpStream::connect((address.host.as_str(), address.port)))
            .await
            .map_err(|_| DialError::Timeout)?
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => DialError::Refused,
                _ => DialError::Other(error),
            })?;
        stream.set_nodelay(true).map_err(DialError::Other)?;
        Ok(stream)
    }
}
