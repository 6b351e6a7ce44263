//! One backend of a fleet, and the lease that an exchange holds on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::dial::Dialer;
use crate::backend::{Backend, Settings};
use crate::exchange::placement::PlacementReason;

/// A backend with everything that an exchange needs of it.
#[derive(Debug)]
pub struct Member {
    /// Its name and address.
    pub backend: Backend,
    /// The settings for requests to it.
    pub settings: Settings,
    /// Opens connections to it.
    pub dialer: Arc<Dialer>,
    /// Host and port in the form of a `Host` field.
    pub authority: Box<str>,
    /// Exchanges in flight on it. Shared by the members that a change of settings creates.
    in_flight: Arc<AtomicU64>,
}

impl Member {
    /// A member with no exchange in flight.
    #[must_use]
    pub fn new(backend: Backend, settings: Settings, dialer: Arc<Dialer>) -> Self {
        let authority = backend.address.authority().into();
        Self { backend, settings, dialer, authority, in_flight: Arc::default() }
    }

    pub(super) fn with(&self, settings: Settings) -> Self {
        Self {
            backend: self.backend.clone(),
            settings,
            dialer: self.dialer.clone(),
            authority: self.authority.clone(),
            in_flight: self.in_flight.clone(),
        }
    }

    /// Exchanges placed on it that have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether both are the same backend, regardless of settings.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.in_flight, &other.in_flight)
    }
}

/// Counts one exchange as in flight on a backend until it is dropped.
#[derive(Debug)]
pub struct Lease {
    member: Arc<Member>,
    reason: PlacementReason,
}

impl Lease {
    pub(super) fn take(member: &Arc<Member>, reason: PlacementReason) -> Self {
        member.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { member: member.clone(), reason }
    }

    /// The backend.
    #[must_use]
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Why it was chosen.
    #[must_use]
    pub fn reason(&self) -> PlacementReason {
        self.reason
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fleet;
    use super::*;
    use crate::backend::HostHeader;

    fn fleet() -> Fleet {
        let address: crate::backend::address::Address = "127.0.0.1:9".parse().expect("an address");
        let dialer = Arc::new(Dialer::new(address.clone()));
        Fleet::of_one(Member::new(Backend { name: "one".into(), address }, Settings::default(), dialer))
    }

    #[test]
    fn a_lease_counts_until_it_is_dropped_also_over_a_change_of_the_settings() {
        let before = fleet();
        let leases = [before.choose(), before.choose()];
        let after = before.with(&Settings { host_header: HostHeader::Upstream, ..Settings::default() });
        let other = after.choose();
        assert_eq!(other.member().settings.host_header, HostHeader::Upstream);
        assert_eq!(leases[0].member().settings.host_header, HostHeader::Preserve, "what is in flight keeps its own");
        assert_eq!((before.members()[0].in_flight(), after.members()[0].in_flight()), (3, 3));
        assert!(leases[0].member().is_same(other.member()) && !fleet().members()[0].is_same(other.member()));
        drop((leases, other));
        assert_eq!(after.members()[0].in_flight(), 0);
    }
}
