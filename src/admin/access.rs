//! Who may ask the second listener, as its web configuration file says.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::watch;

use super::credentials::{CredentialCheck, Verifier};
use super::policy::Policy;
use super::web_config;
use crate::tls::FileError;

/// Paths that need no password: orchestrators probe without credentials. Compared with the raw path, so that every
/// other spelling is protected.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// Whether this web configuration file switches TLS on. Reads neither certificates nor keys.
///
/// # Errors
/// When the file is missing or malformed.
pub fn wants_tls(path: &Path) -> Result<bool, FileError> {
    web_config::wants_tls(path)
}

/// Whether a request may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It needs no password.
    Open,
    /// Its password is right.
    Authenticated,
    Denied,
    /// Its password was not checked; the client may retry after this time.
    RetryAfter(Duration),
}

/// TLS and credentials of the second listener. Clones share them: [`Access::renew`] on one changes all.
#[derive(Clone)]
pub struct Access {
    policy: watch::Sender<Arc<Policy>>,
    verifier: Arc<Verifier>,
}

impl From<Policy> for Access {
    fn from(policy: Policy) -> Self {
        Self { policy: watch::Sender::new(Arc::new(policy)), verifier: Arc::default() }
    }
}

impl Access {
    /// Plain HTTP, for anyone.
    #[must_use]
    pub fn open() -> Self {
        Policy::default().into()
    }

    /// Reads the web configuration file and the files that it names.
    ///
    /// # Errors
    /// When one is missing or malformed.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        web_config::load(path).map(Self::from)
    }

    /// Takes over the TLS settings and the users of `other`, also where it has none. Open connections finish their
    /// answer and are closed.
    pub fn renew(&self, other: &Self) {
        self.policy.send_replace(other.policy());
    }

    /// The policy in force.
    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.borrow().clone()
    }

    /// The policy in force, and its changes.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Policy>> {
        self.policy.subscribe()
    }

    /// When its certificate ends; `None` where it has none.
    #[must_use]
    pub fn certificate_expires(&self) -> Option<SystemTime> {
        self.policy.borrow().tls.as_ref()?.expires()
    }

    /// The user whose password a request carries, where there is such a user.
    pub(super) fn user(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        self.policy().users.as_ref()?.named_in(headers.get(AUTHORIZATION)?)
    }

    /// Whether the listener speaks TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.policy.borrow().tls.is_some()
    }

    /// Whether a request from this address for this path may be answered. Charges an attempt for a wrong password.
    pub(super) async fn admit(&self, client: IpAddr, path: &str, headers: &HeaderMap) -> Admission {
        let policy = self.policy();
        let Some(users) = &policy.users else { return Admission::Open };
        if OPEN.contains(&path) {
            return Admission::Open;
        }
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let check = match (given.next(), given.next()) {
            (Some(credentials), None) => self.verifier.verify(users, credentials, client).await,
            _ => CredentialCheck::Wrong,
        };
        match check {
            CredentialCheck::Right => Admission::Authenticated,
            CredentialCheck::Wrong => Admission::Denied,
            CredentialCheck::TooMany(wait) => Admission::RetryAfter(wait),
        }
    }
}
