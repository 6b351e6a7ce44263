//! The program that is asked, wherever it runs.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;

use crate::backend::address::Address;
use crate::backend::dial::Dialer;
use crate::backend::fetch::{FetchError, FetchLimits, send};
use crate::tls::client::{Settings, TlsClient};

/// For one answer.
const LIMITS: FetchLimits = FetchLimits { time: Duration::from_secs(5), body: 8 << 20 };

/// A second listener, with credentials where it wants some.
pub struct Target {
    dialer: Dialer,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum TargetError {
    /// It cannot be asked so.
    Settings(String),
    /// Nothing answers.
    Silent(&'static str),
    /// It answers, and does not show it.
    Refused(StatusCode, String),
}

impl fmt::Display for TargetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(why) => write!(out, "{why}"),
            Self::Silent(why) => write!(out, "no answer: {why}"),
            Self::Refused(status, why) if *status == StatusCode::UNAUTHORIZED => {
                write!(out, "it wants credentials ({why}): give an API key with --token-file")
            }
            Self::Refused(status, why) => write!(out, "{}: {why}", status.as_u16()),
        }
    }
}

impl std::error::Error for TargetError {}

impl Target {
    /// `token` is an API key or a token. A certificate is checked by the system's authorities where a name is asked; of this
    /// machine's own listener it is not, unless a token would be sent.
    ///
    /// # Errors
    /// When these cannot be used.
    pub fn new(address: Address, token: Option<&str>) -> Result<Self, TargetError> {
        let bad = |why: &dyn fmt::Display| TargetError::Settings(why.to_string());
        let tls = address.tls.then(|| {
            let is_here = address.ip().is_some_and(|ip| ip.is_loopback()) && token.is_none();
            if is_here {
                return Ok(TlsClient::accepting_any_certificate());
            }
            TlsClient::load_from("--url", &Settings::default(), &address.host)
        });
        let tls = tls.transpose().map_err(|error| bad(&error))?;
        let host = HeaderValue::from_str(&address.authority()).map_err(|error| bad(&error))?;
        let field = |token: &str| HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut authorization = token.map(field).transpose().map_err(|_| bad(&"the token cannot be sent"))?;
        authorization.iter_mut().for_each(|field| field.set_sensitive(true));
        Ok(Self { dialer: Dialer::new(address).with_tls(tls), host, authorization })
    }

    /// As a URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.dialer.address().to_string()
    }

    /// The JSON at a path.
    ///
    /// # Errors
    /// When there is none.
    pub async fn get(&self, path: &str) -> Result<Value, TargetError> {
        self.ask(Method::GET, path, "").await
    }

    /// The text at a path.
    ///
    /// # Errors
    /// When there is none.
    pub async fn text(&self, path: &str) -> Result<String, TargetError> {
        let (status, body) = self.send(Method::GET, path, "").await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() { Ok(text) } else { Err(TargetError::Refused(status, text.trim().to_owned())) }
    }

    /// Changes something.
    ///
    /// # Errors
    /// When it is not changed.
    pub async fn post(&self, path: &str) -> Result<Value, TargetError> {
        self.ask(Method::POST, path, "{}").await
    }

    async fn ask(&self, method: Method, path: &str, body: &'static str) -> Result<Value, TargetError> {
        let (status, body) = self.send(method, path, body).await?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        let why = value["error"]["message"].as_str().unwrap_or("no reason is given").to_owned();
        Err(TargetError::Refused(status, why))
    }

    async fn send(&self, method: Method, path: &str, body: &'static str) -> Result<(StatusCode, Bytes), TargetError> {
        let mut request = Request::new(Full::new(Bytes::from_static(body.as_bytes())));
        *request.method_mut() = method;
        if !body.is_empty() {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(field) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, field.clone());
        }
        let answer = send(&self.dialer, &self.host, request, path, LIMITS).await.map_err(|error| silent(&error))?;
        Ok((answer.status, answer.body))
    }
}

fn silent(error: &FetchError) -> TargetError {
    TargetError::Silent(match error {
        FetchError::Dial(_) => "nothing listens there, or it cannot be reached",
        FetchError::Timeout => "it took too long",
        FetchError::Protocol => "what answers there is not this program",
        FetchError::TooLarge => "the answer is too long",
    })
}
