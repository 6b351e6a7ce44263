//! How the program listens.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::proxy;

/// Connections that the system keeps until they are accepted. Where they do not fit, clients ask again a second later, and
/// then after two. The system caps it: on Linux at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Listens on this address.
///
/// # Errors
/// When it is taken, or not one of this machine.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart takes the port at once, and does not wait for connections that the last life has closed.
    socket.set_reuseaddr(true)?;
    proxy::set_options(&socket);
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
