//! A client of bare bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;

/// A connection to whatever is under test.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("it listens"))
    }

    /// From another address of this machine, 127.0.0.`host`.
    pub(crate) fn connect_from(host: u8, address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).expect("a free port");
        socket.connect(&address.into()).expect("it listens");
        Self::of(socket.into())
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("it reads");
        self
    }

    /// Everything until the other side closes. A reset gives what came before, and true.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let reset = self.stream.read_to_end(&mut bytes).is_err();
        (bytes, reset)
    }

    /// Reads until the bytes end like this.
    pub(crate) fn until(&mut self, end: impl AsRef<[u8]>) -> Vec<u8> {
        let (mut bytes, mut byte) = (Vec::new(), [0]);
        while !bytes.ends_with(end.as_ref()) {
            match self.stream.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
        bytes
    }

    /// Whether anything lies unread, the end included.
    pub(crate) fn has_unread(&self) -> bool {
        self.stream.set_nonblocking(true).expect("it can be changed");
        let unread = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).expect("it can be changed");
        unread
    }

    pub(crate) fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Leaves with a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("linger");
    }
}

/// Sends one request on a connection of its own and gives all that comes back, as text.
pub(crate) fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut client = Client::connect(address);
    client.send(request);
    String::from_utf8_lossy(&client.rest().0).into_owned()
}
