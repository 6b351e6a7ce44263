//! Other services that this program asks or tells something: a webhook, Prometheus, Alertmanager, another inferometer.
//!
//! Promises: only addresses of the configuration; no redirect is followed; 5 s and 8 MiB at most; a connection for each
//! request, closed afterwards; a token never reaches a log. Left out: retries, which are the caller's.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;

use crate::backend::address::Address;
use crate::backend::dial::Dialer;
use crate::backend::fetch::{FetchError, FetchLimits, FetchedResponse, send};
use crate::tls::client::TlsClient;

/// The limits of each request.
pub const LIMITS: FetchLimits = FetchLimits { time: Duration::from_secs(5), body: 8 << 20 };

/// A service.
#[derive(Debug)]
pub struct Remote {
    dialer: Dialer,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
}

/// What a service wants to know of who asks.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// A bearer token.
    Bearer(&'a str),
    /// A user and a password, with a colon between them.
    Basic(&'a str),
}

/// Why there is no answer. Its text names no address and no token.
#[derive(Debug)]
pub enum RemoteError {
    /// No connection, or no whole response.
    Fetch(FetchError),
    /// Another status than a success.
    Status(StatusCode),
}

impl fmt::Display for RemoteError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(FetchError::Dial(error)) => error.fmt(out),
            Self::Fetch(FetchError::Timeout) => out.write_str("it did not answer in time"),
            Self::Fetch(FetchError::Protocol) => out.write_str("it did not answer as HTTP wants it"),
            Self::Fetch(FetchError::TooLarge) => out.write_str("its answer is too large"),
            Self::Status(status) => write!(out, "it answered {status}"),
        }
    }
}

impl std::error::Error for RemoteError {}

impl RemoteError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Fetch(_) => true,
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
        }
    }
}

impl Remote {
    /// At this address, with TLS where it is `https://`.
    ///
    /// # Errors
    /// When the token has other characters than a token.
    pub fn new(
        address: Address,
        tls: Option<TlsClient>,
        credentials: Option<&Credentials<'_>>,
    ) -> Result<Self, InvalidToken> {
        let host = HeaderValue::try_from(address.authority()).map_err(|_| InvalidToken)?;
        let authorization = credentials.map(|credentials| {
            let text = match credentials {
                Credentials::Bearer(token) => format!("Bearer {token}"),
                Credentials::Basic(pair) => format!("Basic {}", STANDARD.encode(pair)),
            };
            let mut value = HeaderValue::try_from(text).map_err(|_| InvalidToken)?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self { dialer: Dialer::new(address).with_tls(tls), host, authorization: authorization.transpose()? })
    }

    /// The body of a 200.
    ///
    /// # Errors
    /// When there is none.
    pub async fn get(&self, target: &str) -> Result<Bytes, RemoteError> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::GET;
        self.send(request, target).await.map(|response| response.body)
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// When it was not accepted.
    pub async fn post(&self, target: &str, body: Bytes) -> Result<(), RemoteError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.send(request, target).await.map(|_| ())
    }

    async fn send(&self, mut request: Request<Full<Bytes>>, target: &str) -> Result<FetchedResponse, RemoteError> {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        let response = send(&self.dialer, &self.host, request, target, LIMITS).await.map_err(RemoteError::Fetch)?;
        if response.status.is_success() { Ok(response) } else { Err(RemoteError::Status(response.status)) }
    }
}

/// A token with other characters than a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken;

impl fmt::Display for InvalidToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("has other characters than a token")
    }
}

impl std::error::Error for InvalidToken {}
