//! The little HTTP the demo needs: a connection for each request, which a dropped answer closes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// The name of the demo itself.
pub(crate) const AGENT: &str = "inferometer-demo/1";

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Text of a page, if it is there.
pub(crate) async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let read = async {
        let response = send(address, path, None, AGENT).await?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        if status.is_success() {
            Ok(String::from_utf8_lossy(&body).into_owned())
        } else {
            Err(io::Error::other(format!("{path} is answered with {status}")))
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Sends a request of this client program, with a body by POST, without by GET.
pub(crate) async fn send(
    address: SocketAddr,
    path: &str,
    body: Option<&Value>,
    agent: &str,
) -> io::Result<Response<Incoming>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, agent)
        .body(Full::new(bytes))
        .map_err(io::Error::other)?;
    sender.send_request(request).await.map_err(io::Error::other)
}
