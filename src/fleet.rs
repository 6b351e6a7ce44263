//! Which backend serves an exchange.
//!
//! A [`Fleet`] is an immutable snapshot. Each exchange reads the current one when it begins, so a reload also reaches
//! clients that keep their connection. The choice is a [`Lease`], which counts the exchange as in flight on its backend
//! until it is dropped. A fleet has one backend so far, and always chooses it: nothing uses the policies, and what they
//! are fed by [`load`] and [`health`], yet.
//!
//! It knows nothing of clients and bytes, and never dials.

pub mod health;
pub mod load;
mod member;
pub mod policy;

pub use member::{Lease, Member};

use std::sync::Arc;

/// The backends that may serve, at least one.
#[derive(Debug)]
pub struct Fleet {
    members: Box<[Arc<Member>]>,
}

impl Fleet {
    /// A fleet with this backend alone.
    #[must_use]
    pub fn of_one(member: Member) -> Self {
        Self { members: Box::new([Arc::new(member)]) }
    }

    /// The backends, in the order of the configuration.
    #[must_use]
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// Chooses the backend for one exchange, and counts the exchange on it.
    #[must_use]
    pub fn choose(&self) -> Lease {
        let policy::Pick { backend, reason } = policy::only();
        Lease::take(&self.members[backend], reason)
    }

    /// The same backends with other settings. Exchanges in flight stay counted.
    #[must_use]
    pub fn with(&self, settings: &crate::backend::Settings) -> Self {
        Self { members: self.members.iter().map(|member| Arc::new(member.with(settings.clone()))).collect() }
    }
}
