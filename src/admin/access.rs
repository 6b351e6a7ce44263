//! TLS and credentials of the second listener.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use super::policy::Policy;
use super::web_config::{self, WebConfig};
use crate::access::Rules;
use crate::access::settings::Settings;
use crate::tls::FileError;

/// Whether this web configuration file switches TLS on. Reads neither certificates nor keys.
///
/// # Errors
/// When the file is missing or malformed.
pub fn wants_tls(path: &Path) -> Result<bool, FileError> {
    web_config::wants_tls(path)
}

/// TLS and credentials of the second listener. Clones share them: [`Access::renew`] on one changes all.
#[derive(Clone)]
pub struct Access {
    policy: watch::Sender<Arc<Policy>>,
    rules: watch::Sender<Arc<Rules>>,
}

impl Access {
    /// Plain HTTP, for anyone on this machine.
    #[must_use]
    pub fn open() -> Self {
        Self { policy: watch::Sender::default(), rules: watch::Sender::default() }
    }

    /// Reads the web configuration file, if there is one, and the files that it and the settings name.
    ///
    /// # Errors
    /// When one is missing or malformed.
    pub fn load(path: Option<&Path>, settings: &Settings) -> Result<Self, FileError> {
        let WebConfig { policy, users, needs_certificate } =
            path.map(web_config::load).transpose()?.unwrap_or_default();
        let rules = Rules::load(settings, users, needs_certificate)?;
        Ok(Self { policy: watch::Sender::new(Arc::new(policy)), rules: watch::Sender::new(Arc::new(rules)) })
    }

    /// Takes over the TLS settings and the credentials of `other`, also where it has none. Open connections finish their
    /// answer and are closed.
    pub fn renew(&self, other: &Self) {
        self.rules.send_replace(other.rules.borrow().clone());
        self.policy.send_replace(other.policy.borrow().clone());
    }

    /// The credentials in force, and their changes.
    #[must_use]
    pub fn rules(&self) -> watch::Receiver<Arc<Rules>> {
        self.rules.subscribe()
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

    /// Whether anybody is shown the page of a listener at this address.
    #[must_use]
    pub fn shows_page(&self, own: SocketAddr) -> bool {
        own.ip().to_canonical().is_loopback() || !self.rules.borrow().is_closed_beyond_loopback()
    }

    /// Whether the listener speaks TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.policy.borrow().tls.is_some()
    }
}
