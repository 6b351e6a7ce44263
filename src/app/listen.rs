//! Listens on an address.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::error::AppError;
use crate::proxy;

/// Connections that the system keeps until they are accepted. A client that finds the queue full retries a second
/// later, then after two. The system caps it: on Linux at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Listens on the address that `flag` sets; an error names the flag.
pub(super) fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    bind(address).map_err(|cause| AppError::Bind { flag, address, cause })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart takes the port at once, also while connections of the previous process are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    proxy::set_options(&socket);
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
