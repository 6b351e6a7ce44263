//! A client that speaks HTTP/2. Its connection is driven by a thread of its own, so that a test may block.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::PATIENCE;

/// One connection.
pub(crate) struct Client {
    send: SendRequest<Bytes>,
    socket: TcpStream,
}

/// Waits for something that must come.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("in time") })
}

impl Client {
    /// By prior knowledge.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(address, |socket| async { socket })
    }

    /// Over what becomes of the socket.
    pub(crate) fn over<S, F>(
        address: SocketAddr,
        wrap: impl FnOnce(tokio::net::TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = S>,
    {
        let socket = TcpStream::connect(address).expect("it listens");
        socket.set_nodelay(true).expect("nodelay");
        let kept = socket.try_clone().expect("a duplicate");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                socket.set_nonblocking(true).expect("a socket");
                let socket = wrap(tokio::net::TcpStream::from_std(socket).expect("a socket")).await;
                let (send, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
                sender.send(send).expect("the test waits");
                let _ = connection.await;
            });
        });
        Self { send: receiver.recv_timeout(PATIENCE).expect("a connection"), socket: kept }
    }

    /// Sends a head; the body follows unless it is the end.
    pub(crate) fn send(&self, request: Request<()>, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut ready = wait(self.send.clone().ready()).expect("a connection");
        ready.send_request(request, end).expect("a request")
    }

    /// Sends a whole request and gives the whole response.
    pub(crate) fn ask(&self, request: Request<()>, body: &'static str) -> (Response<()>, String) {
        let (response, mut stream) = self.send(request, body.is_empty());
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body.as_bytes()), true).expect("a body");
        }
        let (head, body) = wait(response).expect("a response").into_parts();
        let body = rest(body).expect("a whole body");
        (Response::from_parts(head, ()), body)
    }

    /// Goes without a word.
    pub(crate) fn leave(self) {
        self.socket.shutdown(Shutdown::Both).expect("a socket");
    }
}

/// A request for `localhost`.
pub(crate) fn request(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://localhost{path}")).body(()).expect("a request")
}

/// The next piece of a body.
pub(crate) fn piece(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let piece = wait(body.data());
    if let Some(Ok(data)) = &piece {
        body.flow_control().release_capacity(data.len()).expect("a stream");
    }
    piece
}

/// A body to its end.
pub(crate) fn rest(mut body: RecvStream) -> Result<String, h2::Error> {
    let mut text = String::new();
    while let Some(piece) = piece(&mut body) {
        text += std::str::from_utf8(&piece?).expect("text");
    }
    Ok(text)
}
