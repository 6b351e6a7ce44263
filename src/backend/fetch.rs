//! One small request to a backend, on a connection of its own.
//!
//! Promises: bounded in time and memory; the connection is closed afterwards. Left out: redirects, compression,
//! keep-alive.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::dial::{DialError, Dialer};
use super::times;
use crate::tls::{Fault, Stream};

/// Identifies the monitoring's requests in the backend's log.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("inferometer/", env!("CARGO_PKG_VERSION")));

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// From dialling to the last byte of the response.
    pub time: Duration,
    /// The size of the response's body in bytes.
    pub body: usize,
}

/// A complete response.
#[derive(Debug)]
pub struct FetchedResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its head.
    pub headers: HeaderMap,
    /// Its body, decoded from its framing alone.
    pub body: Bytes,
}

impl FetchedResponse {
    /// The backend's time, to the second; `None` where it sends none.
    #[must_use]
    pub fn date(&self) -> Option<SystemTime> {
        times::parse_http(self.headers.get(header::DATE)?.to_str().ok()?)
    }
}

/// Why there is no response.
#[derive(Debug)]
pub enum FetchError {
    /// No connection.
    Dial(DialError),
    /// Not in time.
    Timeout,
    /// Not HTTP, or cut short.
    Protocol,
    /// The body exceeds its limit.
    TooLarge,
}

/// Sends one request and reads the whole response.
pub async fn fetch(
    dialer: &Dialer,
    host: &HeaderValue,
    (method, path): (Method, &str),
    limits: FetchLimits,
) -> Result<FetchedResponse, FetchError> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = method;
    send(dialer, host, request, path, limits).await
}

/// Sends this request to a path and reads the whole response.
///
/// # Errors
/// When there is no whole response within the limits.
pub async fn send(
    dialer: &Dialer,
    host: &HeaderValue,
    mut request: Request<Full<Bytes>>,
    path: &str,
    limits: FetchLimits,
) -> Result<FetchedResponse, FetchError> {
    let deadline = Instant::now() + limits.time;
    let prefix = &dialer.address().prefix;
    let target = if prefix.is_empty() && path.is_empty() { "/".to_owned() } else { format!("{prefix}{path}") };
    *request.uri_mut() = target.parse().map_err(|_| FetchError::Protocol)?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, host.clone());
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let stream = dialer.dial(limits.time).await.map_err(FetchError::Dial)?;
    timeout_at(deadline, transfer(stream, request, limits.body)).await.unwrap_or(Err(FetchError::Timeout))
}

async fn transfer(
    stream: Stream,
    request: Request<Full<Bytes>>,
    max_body: usize,
) -> Result<FetchedResponse, FetchError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| FetchError::Protocol)?;
    let mut answer = pin!(async move {
        let response = sender.send_request(request).await.map_err(|error| send_error(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, max_body).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() { FetchError::TooLarge } else { FetchError::Protocol }
        })?;
        Ok(FetchedResponse { status: head.status, headers: head.headers, body: body.to_bytes() })
    });
    let mut connection = pin!(connection);
    // The connection may end before its last frames have been read.
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

/// With TLS 1.3 the server may reject the client after the handshake has ended on the client's side.
fn send_error(error: &hyper::Error) -> FetchError {
    Fault::find(error).map_or(FetchError::Protocol, |fault| FetchError::Dial(DialError::Tls(fault)))
}
