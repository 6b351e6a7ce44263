//! Who may ask the second listener, as its web configuration file says.

use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::watch;

use super::password::Users;
use super::web_config;
use crate::tls::FileError;
use crate::tls::server::Server;

/// What anyone may ask: orchestrators probe without credentials. Compared with the raw path, so that every other spelling
/// is protected.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// TLS and credentials.
#[derive(Default)]
pub(super) struct Policy {
    pub(super) tls: Option<Server>,
    pub(super) users: Option<Users>,
}

/// TLS and credentials of the second listener. Its clones stay one: what [`Access::renew`] changes, all of them show.
#[derive(Clone)]
pub struct Access {
    policy: watch::Sender<Arc<Policy>>,
}

impl From<Policy> for Access {
    fn from(policy: Policy) -> Self {
        Self { policy: watch::Sender::new(Arc::new(policy)) }
    }
}

impl Access {
    /// Plain HTTP, for anyone.
    #[must_use]
    pub fn open() -> Self {
        Policy::default().into()
    }

    /// Reads the file and those that it names.
    ///
    /// # Errors
    /// When one is missing or holds something else.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        web_config::load(path).map(Self::from)
    }

    /// From now on, does what `other` does, TLS and users, on or off. Connections that are open finish what they are
    /// answering and are closed.
    pub fn renew(&self, other: &Self) {
        self.policy.send_replace(other.policy());
    }

    /// What holds now.
    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.borrow().clone()
    }

    /// What holds now, and later.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Policy>> {
        self.policy.subscribe()
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.policy.borrow().tls.is_some()
    }

    /// Whether a request for this path may be answered.
    pub(super) async fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        let policy = self.policy();
        let Some(users) = &policy.users else { return true };
        if OPEN.contains(&path) {
            return true;
        }
        let mut given = headers.get_all(AUTHORIZATION).iter();
        match (given.next(), given.next()) {
            (Some(credentials), None) => users.admit(credentials).await,
            _ => false,
        }
    }
}
