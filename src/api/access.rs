//! Who asks, and what they may do: the listener puts an [`Identity`] into each request, endpoints ask it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde_json::json;

use super::error::{ApiError, Code};

/// Something that an asker may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read everything that is shown.
    DashboardRead,
    /// Change something.
    DashboardAdmin,
    /// Read what concerns its own tenant.
    InferenceRead,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::DashboardRead, Self::DashboardAdmin, Self::InferenceRead];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DashboardRead => "dashboard:read",
            Self::DashboardAdmin => "dashboard:admin",
            Self::InferenceRead => "inference:read",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of [`Scope`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Those that are in it.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name that it has given proof of; `None` where it gave none.
    pub name: Option<Arc<str>>,
    /// What it may do.
    pub scopes: Scopes,
}

/// Whoever asks on loopback, where no credentials are configured: they may do everything.
impl Default for Identity {
    fn default() -> Self {
        Self { name: None, scopes: Scopes::all() }
    }
}

impl Identity {
    /// That it may do this.
    ///
    /// # Errors
    /// When it may not.
    pub fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        let has: Vec<_> = self.scopes.iter().map(Scope::as_str).collect();
        let details = json!({ "required_permission": scope.as_str(), "user_permissions": has });
        Err(ApiError::new(Code::InsufficientPermissions, "these credentials do not permit it").with(details))
    }
}

/// A request that came past the listener without an identity may do nothing.
impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let given = parts.extensions.get::<Self>().cloned();
        Ok(given.unwrap_or(Self { name: None, scopes: Scopes::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_apart_and_a_missing_one_is_named() {
        let read: Scopes = [Scope::DashboardRead].into_iter().collect();
        assert_eq!(read.iter().collect::<Vec<_>>(), [Scope::DashboardRead]);
        let reader = Identity { name: None, scopes: read };
        assert!(reader.require(Scope::DashboardRead).is_ok());
        let refusal = reader.require(Scope::DashboardAdmin).expect_err("it may only read");
        assert_eq!(refusal.code, Code::InsufficientPermissions);
        let details = json!({"required_permission": "dashboard:admin", "user_permissions": ["dashboard:read"]});
        assert_eq!(refusal.details, details);
        assert!(Identity::default().require(Scope::DashboardAdmin).is_ok());
    }
}
