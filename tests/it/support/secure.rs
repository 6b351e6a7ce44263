//! The two ends of a TLS connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use super::PATIENCE;

/// A backend's end of one connection.
pub(crate) type Served = StreamOwned<ServerConnection, TcpStream>;

/// A backend that speaks TLS and runs a script a connection.
pub(crate) fn serve(config: Arc<ServerConfig>, script: impl Fn(&mut Served) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let (config, script) = (config.clone(), script.clone());
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).expect("a connection");
                script(&mut StreamOwned::new(connection, socket));
            });
        }
    });
    address
}

/// Reads a head; empty where the other side refuses to shake hands.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).expect("text")
}

/// A client's end of one connection.
pub(crate) type Asking = StreamOwned<ClientConnection, TcpStream>;

/// A client's end.
pub(crate) fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Asking {
    let socket = TcpStream::connect(address).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let name = "localhost".try_into().expect("a name");
    StreamOwned::new(ClientConnection::new(config, name).expect("a connection"), socket)
}

/// One request on a connection of its own. None where TLS failed, or ended without a farewell.
pub(crate) fn ask(address: SocketAddr, config: &Arc<ClientConfig>, request: &str) -> Option<String> {
    let mut stream = connect(address, config.clone());
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok().map(|_| answer)
}
