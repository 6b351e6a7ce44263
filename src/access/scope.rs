//! What an identity may do.

use std::fmt;

/// A permission. The names are those of API keys and of a token's `scope` claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Look at everything that the second listener shows.
    DashboardRead,
    /// Change something through it, such as ending an exchange. Includes [`Scope::DashboardRead`].
    DashboardAdmin,
    /// Use the backends.
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

    /// The scope of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether they permit what this scope does.
    #[must_use]
    pub const fn permit(self, scope: Scope) -> bool {
        let is_admin = self.0 & Scope::DashboardAdmin.bit() != 0;
        self.0 & scope.bit() != 0 || (is_admin && matches!(scope, Scope::DashboardRead))
    }

    /// The scopes that were given.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_scope_includes_reading_and_no_other_scope_includes_one() {
        for given in Scope::ALL {
            for asked in Scope::ALL {
                let permitted = given == asked || (given, asked) == (Scope::DashboardAdmin, Scope::DashboardRead);
                assert_eq!(Scopes::from_iter([given]).permit(asked), permitted, "{given} {asked}");
            }
            assert!(!Scopes::default().permit(given));
            assert_eq!(Scope::parse(given.as_str()), Some(given));
        }
        assert_eq!(Scope::parse("dashboard"), None);
        assert_eq!(Scopes::from_iter(Scope::ALL).iter().collect::<Vec<_>>(), Scope::ALL);
    }
}
