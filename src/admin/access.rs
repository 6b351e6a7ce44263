//! Who may ask the second listener, as its web configuration file says.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::watch;

use super::password::{Memory, Users, Verdict};
use super::web_config;
use crate::tls::FileError;
use crate::tls::server::TlsServer;

/// What anyone may ask: orchestrators probe without credentials. Compared with the raw path, so that every other spelling
/// is protected.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// TLS and credentials.
#[derive(Default)]
pub(super) struct Policy {
    pub(super) tls: Option<TlsServer>,
    pub(super) users: Option<Users>,
}

/// Whether a request may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It needs no password.
    Anyone,
    /// Its password is right.
    Known,
    No,
    /// Its password was not looked at; it may be after this time.
    Later(Duration),
}

/// TLS and credentials of the second listener. Its clones stay one: what [`Access::renew`] changes, all of them show.
#[derive(Clone)]
pub struct Access {
    policy: watch::Sender<Arc<Policy>>,
    memory: Arc<Memory>,
}

impl From<Policy> for Access {
    fn from(policy: Policy) -> Self {
        Self { policy: watch::Sender::new(Arc::new(policy)), memory: Arc::default() }
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

    /// Whether a request from this address for this path may be answered.
    pub(super) async fn admits(&self, ip: IpAddr, path: &str, headers: &HeaderMap) -> Admitted {
        let policy = self.policy();
        let Some(users) = &policy.users else { return Admitted::Anyone };
        if OPEN.contains(&path) {
            return Admitted::Anyone;
        }
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let verdict = match (given.next(), given.next()) {
            (Some(credentials), None) => self.memory.judge(users, credentials, ip).await,
            _ => Verdict::Wrong,
        };
        match verdict {
            Verdict::Right => Admitted::Known,
            Verdict::Wrong => Admitted::No,
            Verdict::TooMany(wait) => Admitted::Later(wait),
        }
    }
}
