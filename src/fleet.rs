//! Which backend serves an exchange.
//!
//! A [`Fleet`] is a snapshot that never changes. Every exchange asks the current one when it begins, so a reload reaches
//! clients that keep their connection too. The answer is a [`Lease`]: it counts the exchange on its backend until it is
//! dropped. Today a fleet has one backend, and the choice is that one.
//!
//! It knows neither clients nor bytes, and never dials.

mod member;
mod policy;

pub use member::{Lease, Member};

use std::sync::Arc;

/// The backends that may serve, at least one.
#[derive(Debug)]
pub struct Fleet {
    members: Box<[Arc<Member>]>,
}

impl Fleet {
    /// A fleet of one backend.
    #[must_use]
    pub fn of_one(member: Member) -> Self {
        Self { members: Box::new([Arc::new(member)]) }
    }

    /// Its backends, in the order of the configuration.
    #[must_use]
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// Chooses the backend for one exchange, and counts the exchange on it.
    #[must_use]
    pub fn choose(&self) -> Lease {
        let (index, reason) = policy::only();
        Lease::take(&self.members[index], reason)
    }

    /// The same backends with other settings. What is in flight on each goes on being counted.
    #[must_use]
    pub fn with(&self, settings: &crate::backend::Settings) -> Self {
        Self { members: self.members.iter().map(|member| Arc::new(member.with(settings.clone()))).collect() }
    }
}
