//! The credentials that are accepted, and what each permits.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::denial::Fault;
use super::identity::{Identity, Means, Proof};
use super::keys::ApiKeys;
use super::limits::Limits;
use super::network::Network;
use super::passwords::Users;
use super::scope::{Scope, Scopes};
use super::settings::Settings;
use super::tokens::{TokenFault, TokenVerifier};
use crate::tls::FileError;

/// What the files and settings say. A reload replaces the whole.
pub struct Rules {
    pub(super) users: Option<Users>,
    pub(super) keys: Option<ApiKeys>,
    pub(super) tokens: Option<TokenVerifier>,
    /// Whether a connection needs a certificate of the client's.
    pub(super) needs_certificate: bool,
    pub(super) admins: HashSet<String>,
    pub(super) open: bool,
    /// `Host` names that are answered without credentials beyond loopback, beside addresses and `localhost`.
    pub(super) names: Vec<String>,
    pub(super) limits: Limits,
    pub(super) trusted_proxies: Vec<Network>,
}

impl Rules {
    /// Reads the files that the settings name. `users` are those of the web configuration file.
    ///
    /// # Errors
    /// When a file is missing or malformed, or may be read by every user of the machine.
    pub fn load(settings: &Settings, users: Option<Users>, needs_certificate: bool) -> Result<Self, FileError> {
        let keys = settings.keys_file.as_deref().map(ApiKeys::load).transpose()?;
        let (issuer, audience) = (settings.issuer.as_deref(), settings.audience.as_deref());
        let tokens = match (&settings.jwks_file, issuer.zip(audience)) {
            (Some(path), Some((issuer, audience))) => Some(TokenVerifier::load(path, issuer, audience)?),
            _ => None,
        };
        Ok(Self {
            users,
            keys,
            tokens,
            needs_certificate,
            admins: settings.admins.iter().cloned().collect(),
            open: settings.open,
            names: settings.names.clone(),
            limits: settings.limits,
            trusted_proxies: settings.trusted_proxies.clone(),
        })
    }

    /// Whether a request can show who it is by something else than its connection.
    pub(super) const fn has_credentials(&self) -> bool {
        self.users.is_some() || self.keys.is_some() || self.tokens.is_some()
    }

    /// Whether a listener that other machines reach shows nobody more than metrics and health.
    #[must_use]
    pub const fn is_closed_beyond_loopback(&self) -> bool {
        !self.open && !self.needs_certificate && !self.has_credentials()
    }

    /// What a user may do whose password is right.
    fn scopes_of_user(&self, user: &str) -> Scopes {
        let admin = self.admins.contains(user).then_some(Scope::DashboardAdmin);
        [Scope::DashboardRead].into_iter().chain(admin).collect()
    }

    /// A user whose password is right.
    pub(super) fn user(&self, users: &Users, user: Arc<str>, identity: Identity) -> Identity {
        let proof = Proof::Password(users.hash_of(&user).unwrap_or_default().into());
        Identity { scopes: self.scopes_of_user(&user), name: Some(user), proof, ..identity }
    }

    /// Who an API key or a token stands for.
    pub(super) fn bearer(&self, token: &str, identity: Identity, now: SystemTime) -> Result<Identity, Fault> {
        if let Some(key) = self.keys.as_ref().and_then(|keys| keys.find(token)) {
            let (name, proof) = (Some(key.name.clone()), Proof::ApiKey(key.digest));
            let identity = Identity { name, scopes: key.scopes, proof, expires: key.expires, ..identity };
            return if key.is_expired(now) { Err(Fault::Expired) } else { Ok(identity) };
        }
        let Some(tokens) = self.tokens.as_ref().filter(|_| TokenVerifier::is_token(token)) else {
            return Err(Fault::Wrong);
        };
        match tokens.verify(token) {
            Ok(token) => {
                let (name, proof) = (Some(token.subject), Proof::Token(token.key, token.expires));
                Ok(Identity { name, scopes: token.scopes, proof, expires: Some(token.expires), ..identity })
            }
            Err(TokenFault::Expired) => Err(Fault::Expired),
            Err(TokenFault::Refused) => Err(Fault::Wrong),
        }
    }

    /// An identity that was accepted earlier, with what it may do now; `None` where it would not be accepted any more.
    pub(super) fn still(&self, identity: Identity, now: SystemTime) -> Option<Identity> {
        let (then, name) = (identity.scopes, identity.name.as_ref());
        let scopes = match &identity.proof {
            Proof::Open => (!self.has_credentials() && !self.needs_certificate).then_some(then),
            Proof::Certificate => (!self.has_credentials() && self.needs_certificate).then_some(then),
            Proof::Password(hash) => {
                let held = self.users.as_ref()?.hash_of(name?)?;
                (*held == **hash).then(|| self.scopes_of_user(name.expect("it was just there")))
            }
            Proof::ApiKey(digest) => {
                let key = self.keys.as_ref()?.with_digest(digest)?;
                (!key.is_expired(now)).then_some(key.scopes)
            }
            Proof::Token(key, expires) => (self.tokens.as_ref()?.has(*key) && *expires > now).then_some(then),
        };
        scopes.map(|scopes| Identity { scopes, ..identity })
    }

    /// The credentials that are accepted.
    pub(super) fn means(&self) -> Vec<Means> {
        let means = [
            (self.users.is_some(), Means::Password),
            (self.keys.is_some(), Means::ApiKey),
            (self.tokens.is_some(), Means::Token),
            (self.needs_certificate, Means::Certificate),
        ];
        means.into_iter().filter(|(is_accepted, _)| *is_accepted).map(|(_, means)| means).collect()
    }

    /// How many users, and keys that have not expired, there are, and how many scopes they have together.
    pub(super) fn given(&self, now: SystemTime) -> (usize, usize) {
        let users = self.users.iter().flat_map(Users::names).map(|user| self.scopes_of_user(user));
        let keys = self.keys.iter().flat_map(|keys| keys.scopes(now));
        let scopes = users.chain(keys).map(|scopes| scopes.iter().count());
        scopes.fold((0, 0), |(holders, permissions), scopes| (holders + 1, permissions + scopes))
    }
}

impl Default for Rules {
    /// Anyone is answered on loopback.
    fn default() -> Self {
        Self {
            users: None,
            keys: None,
            tokens: None,
            needs_certificate: false,
            admins: HashSet::new(),
            open: false,
            names: Vec::new(),
            limits: Limits::default(),
            trusted_proxies: Vec::new(),
        }
    }
}
