//! Which backend gets a request whose model no backend lists that may be asked.

use std::sync::Arc;
use std::time::Instant;

use super::policy::Standing;
use super::{Ask, Fleet, Lease, Member, Unserved};
use crate::exchange::placement::PlacementReason;

impl Fleet {
    /// What backends list may have changed: they are asked again soon.
    pub fn relist(&self) {
        self.knowledge.catalogue.request_listings();
    }

    /// The backend for a model that none lists but those that drain. The next listing may have it.
    pub(super) fn choose_unlisted(&self, ask: &Ask<'_>, now: Instant) -> Result<Lease, Unserved> {
        self.relist();
        let admitting = || self.home_first().filter(|member| member.share.admits(ask.model));
        let holders = self.knowledge.catalogue.holders(ask.dialect, ask.model);
        // Every backend that lists it drains. Only one that has not listed its models yet may have it as well.
        let is_held = admitting().any(|member| holders.has(&member.backend.name));
        let may_serve = |member: &Member| !member.share.drains && (!is_held || holders.may_have(&member.backend.name));
        let serving = || admitting().filter(|member| may_serve(member));
        let chosen = serving().find(|member| member.standing(now) != Standing::Down).or_else(|| serving().next());
        let lease = chosen.map(|member| Lease::take(member, PlacementReason::Home));
        lease.ok_or_else(|| self.unserved(Some(ask.model)))
    }

    /// Why no backend may be asked for this model, where it is known that none may.
    #[must_use]
    pub fn unserved(&self, model: Option<&str>) -> Unserved {
        let admits = |member: &Arc<Member>| model.is_none_or(|model| member.share.admits(model));
        if self.members.iter().any(admits) { Unserved::Draining } else { Unserved::NotAllowed }
    }
}
