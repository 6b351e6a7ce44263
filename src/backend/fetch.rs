//! One small request to a backend, on a connection of its own.
//!
//! Promises: bounded in time and in memory; the connection is closed at the end. Left out: redirects, compression,
//! keep-alive.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::dial::{DialError, Dialer};
use crate::tls::{Fault, Stream};

/// What a backend's log shows beside our own requests.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("inferometer/", env!("CARGO_PKG_VERSION")));

/// How much one request may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// From the dial to the last byte.
    pub(super) time: Duration,
    /// Bytes of the body.
    pub(super) body: usize,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// What the server calls itself.
    pub(super) server: Option<HeaderValue>,
    pub(super) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum FetchError {
    /// No connection.
    Dial(DialError),
    /// Not in time.
    Timeout,
    /// Not HTTP, or cut.
    Protocol,
    /// A body above the budget.
    TooLarge,
}

/// Sends one request and reads the whole answer.
pub(super) async fn fetch(
    dialer: &Dialer,
    host: &HeaderValue,
    (method, path): (Method, &str),
    budget: Budget,
) -> Result<Answer, FetchError> {
    let deadline = Instant::now() + budget.time;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method;
    *request.uri_mut() = format!("{}{path}", dialer.address().prefix).parse().map_err(|_| FetchError::Protocol)?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, host.clone());
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let stream = dialer.dial(budget.time).await.map_err(FetchError::Dial)?;
    timeout_at(deadline, exchange(stream, request, budget.body)).await.unwrap_or(Err(FetchError::Timeout))
}

async fn exchange(stream: Stream, request: Request<Empty<Bytes>>, most: usize) -> Result<Answer, FetchError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| FetchError::Protocol)?;
    let mut answer = pin!(async move {
        let response = sender.send_request(request).await.map_err(|error| unanswered(&error))?;
        let status = response.status();
        let server = response.headers().get(header::SERVER).cloned();
        let body = Limited::new(response.into_body(), most).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() { FetchError::TooLarge } else { FetchError::Protocol }
        })?;
        Ok(Answer { status, server, body: body.to_bytes() })
    });
    let mut connection = pin!(connection);
    // The connection may end before its last frames have been taken out.
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

/// TLS may refuse us only once the handshake is over on our side.
fn unanswered(error: &hyper::Error) -> FetchError {
    Fault::find(error).map_or(FetchError::Protocol, |fault| FetchError::Dial(DialError::Tls(fault)))
}
