//! Who asks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::keys::KeyDigest;
use super::request::Asker;
use super::scope::{Scope, Scopes};
use super::tokens::KeyPrint;

/// Who asks, how that is known, and what is permitted.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) name: Option<Arc<str>>,
    pub(super) scopes: Scopes,
    pub(super) proof: Proof,
    /// Where a request comes from, beyond proxies that are trusted.
    pub(super) client: IpAddr,
    /// When it ends by itself: a key or token expires, a session is over.
    pub(super) expires: Option<SystemTime>,
    /// The digest of the session that it was found by.
    pub(super) session: Option<[u8; 32]>,
    /// Whether its session's cookie is one that is kept without TLS.
    pub(super) has_plain_cookie: bool,
}

/// How it is known who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Means {
    /// Anyone is answered.
    Open,
    /// A certificate that an authority of ours has signed.
    Certificate,
    /// A user's password.
    Password,
    /// An API key.
    ApiKey,
    /// A signed token.
    Token,
}

impl Means {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "none",
            Self::Certificate => "certificate",
            Self::Password => "password",
            Self::ApiKey => "api_key",
            Self::Token => "jwt",
        }
    }
}

/// What was checked. It is checked again for each request of a session, so that one ends with its password, key or
/// signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Open,
    Certificate,
    /// The hash that the password was compared with.
    Password(Arc<str>),
    ApiKey(KeyDigest),
    Token(KeyPrint, SystemTime),
}

/// Whose requests or connections are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Without credentials: all from this address, or from this /64 network.
    Address(IpAddr),
    /// With credentials: all of this user, key or subject.
    Named(Means, Arc<str>),
}

impl Identity {
    /// Without credentials, and permitted nothing.
    pub(super) fn stranger(asker: &Asker<'_>, client: IpAddr) -> Self {
        Self {
            name: None,
            scopes: Scopes::default(),
            proof: Proof::Open,
            client,
            expires: None,
            session: None,
            has_plain_cookie: asker.has_plain_cookie(),
        }
    }

    /// Whether it has no credentials where they are asked for.
    #[must_use]
    pub fn is_stranger(&self) -> bool {
        self.name.is_none() && self.scopes == Scopes::default()
    }

    /// How long until it ends by itself; `None` never does.
    pub(super) fn left(&self, now: SystemTime) -> Option<Duration> {
        self.expires.map(|end| end.duration_since(now).unwrap_or_default())
    }

    /// The user, the name of the key, or the subject of the token; `None` where anyone is answered.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// How it is known.
    #[must_use]
    pub const fn means(&self) -> Means {
        match self.proof {
            Proof::Open => Means::Open,
            Proof::Certificate => Means::Certificate,
            Proof::Password(_) => Means::Password,
            Proof::ApiKey(_) => Means::ApiKey,
            Proof::Token(..) => Means::Token,
        }
    }

    /// What was given.
    #[must_use]
    pub const fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// Whether it may do what this scope permits.
    #[must_use]
    pub const fn may(&self, scope: Scope) -> bool {
        self.scopes.permit(scope)
    }

    /// Whether it was found by a session's cookie.
    #[must_use]
    pub const fn is_session(&self) -> bool {
        self.session.is_some()
    }

    /// When it ends by itself; `None` never does.
    #[must_use]
    pub const fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// The address of the client; not kept, and not shown.
    #[must_use]
    pub const fn client(&self) -> IpAddr {
        self.client
    }

    /// Whose requests are counted with its own.
    #[must_use]
    pub fn holder(&self) -> Holder {
        match &self.name {
            Some(name) => Holder::Named(self.means(), name.clone()),
            None => Holder::Address(super::network::of_client(self.client)),
        }
    }
}
