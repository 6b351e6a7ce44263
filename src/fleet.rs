//! Which backend serves an exchange.
//!
//! A [`Fleet`] is an immutable snapshot. Each exchange reads the current one when it begins, so a reload also reaches
//! clients that keep their connection. The choice is a [`Lease`], which counts the exchange as in flight on its backend
//! until it is dropped, and takes back how the exchange ended. With one backend it is always that, and nothing is kept.
//!
//! With several, a request that names a model goes to one that lists it, by the [`policy`]. Any other goes to the home:
//! the first, or the one that is configured. What is known of the backends (load, health, loads in progress) survives a
//! change of their settings.
//!
//! It knows nothing of clients and bytes, and never dials.

mod answers;
mod balance;
mod condition;
pub mod health;
mod lease;
mod lists;
pub mod load;
mod loads;
mod member;
mod pace;
pub mod policy;
mod settings;
mod unlisted;

pub use lease::{Lease, LeaseEnd};
pub use lists::Listed;
pub use member::{BackendState, Member};
pub use settings::{Management, Pattern, Reach, Settings, Share, Slots};

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::backend::catalogue::Catalogue;
use crate::backend::inventory::Runtime;
use crate::exchange::placement::PlacementReason;
use crate::exchange::residency::Residency;
use crate::wire::route::Dialect;
use answers::Answers;
use loads::{LoadGuard, Loads};
use policy::{Candidate, Pick, Policy, Residence, Standing, take_turn};

/// Parts of a turn that credits are kept in.
const TURN: f64 = 1_048_576.0;

/// What is known of the backends' models.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// Which they list.
    pub catalogue: Arc<Catalogue>,
    /// Which they have in memory.
    pub residency: Arc<Residency>,
}

/// The model that a request names.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Its name as the request spells it.
    pub model: &'a str,
    /// The dialect of the request.
    pub dialect: Dialect,
    /// Whether the model has to work for it, and not only to be known.
    pub works: bool,
    /// Uniform over all values.
    pub random: u64,
}

/// Why no backend may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// Every backend that may serve it drains.
    Draining,
    /// No backend may be asked for the model, by configuration.
    NotAllowed,
}

/// What is known of backends to choose from, without an allocation where they are few.
type Candidates = SmallVec<[Candidate; 4]>;

/// The backends that may serve, at least one.
#[derive(Debug)]
pub struct Fleet {
    members: Box<[Arc<Member>]>,
    policy: Policy,
    /// The index of the backend of requests for no particular model.
    home: usize,
    merges: bool,
    everywhere: Vec<Management>,
    /// Where this program runs; `None` is unknown.
    zone: Option<String>,
    zone_penalty: Duration,
    knowledge: Knowledge,
    loads: Loads,
    answers: Arc<Answers>,
    /// The members' credits under [`Policy::RoundRobin`], in parts of a turn. Choices at the same moment may see the same
    /// credits; as each changes them by a sum of zero, that is made up for by the next.
    credits: Box<[AtomicI64]>,
}

impl Fleet {
    /// A fleet with this backend alone.
    #[must_use]
    pub fn of_one(member: Member) -> Self {
        Self::new(vec![member], &Settings::default(), Knowledge::default())
    }

    /// A fleet of these backends.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn new(members: Vec<Member>, settings: &Settings, knowledge: Knowledge) -> Self {
        assert!(!members.is_empty(), "a fleet has a backend");
        let is_home = |member: &Member| settings.home.as_ref() == Some(&member.backend.name);
        Self {
            policy: settings.policy,
            home: members.iter().position(is_home).unwrap_or(0),
            merges: settings.merge,
            everywhere: settings.everywhere(),
            zone: settings.zone.clone(),
            zone_penalty: settings.zone_penalty,
            credits: members.iter().map(|_| AtomicI64::new(0)).collect(),
            members: members.into_iter().map(Arc::new).collect(),
            knowledge,
            loads: Loads::default(),
            answers: Arc::new(Answers::new(Instant::now())),
        }
    }

    /// The fleet with what a previous one knew of the backends that are in both: those of the same name and address.
    #[must_use]
    pub fn succeeding(mut self, previous: &Self) -> Self {
        for member in &mut self.members {
            let same = previous.members.iter().find(|known| known.backend == member.backend);
            if let (Some(known), Some(member)) = (same, Arc::get_mut(member)) {
                member.succeed(known);
            }
        }
        (self.loads, self.answers) = (previous.loads.clone(), previous.answers.clone());
        self
    }

    /// The backends, in the order of the configuration.
    #[must_use]
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// The backend of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Arc<Member>> {
        self.members.iter().find(|member| *member.backend.name == *name)
    }

    /// The state of one of its backends.
    #[must_use]
    pub fn state(&self, member: &Member, now: Instant) -> BackendState {
        match member.state(now) {
            BackendState::Up | BackendState::Slow if self.loads.is_loading(&member.backend.name) => {
                BackendState::Loading
            }
            state => state,
        }
    }

    /// How evenly the exchanges in flight fall on the backends that are chosen, by their slots, or by their weights where
    /// those of one are unknown: Jain's index, from one part of their number to 1. `None` where fewer than two are chosen,
    /// or all are idle.
    #[must_use]
    pub fn balance(&self, now: Instant) -> Option<f64> {
        let chosen: Vec<_> = self.members.iter().filter(|member| self.state(member, now).is_chosen()).collect();
        let slots: Option<Vec<_>> =
            chosen.iter().map(|member| member.slots().filter(|slots| *slots < u32::MAX)).collect();
        let capacity = |at: usize| slots.as_ref().map_or_else(|| chosen[at].weight(now), |slots| f64::from(slots[at]));
        let used: Vec<_> =
            chosen.iter().enumerate().map(|(at, member)| member.in_flight() as f64 / capacity(at)).collect();
        balance::jain(&used)
    }

    /// Whether there is a choice.
    #[must_use]
    pub fn has_several(&self) -> bool {
        self.members.len() > 1
    }

    /// Whether listings are answered with what all backends list.
    #[must_use]
    pub fn merges(&self) -> bool {
        self.merges
    }

    /// Chooses the backend for an exchange that names no model, and counts the exchange on it. `None` where every
    /// backend drains.
    #[must_use]
    pub fn choose(&self) -> Option<Lease> {
        let reason = if self.has_several() { PlacementReason::Home } else { PlacementReason::Only };
        self.home_first().find(|member| !member.share.drains).map(|member| Lease::take(member, reason))
    }

    /// Chooses a backend that works, the home before the others; else one that accepts connections. Where none does it is
    /// the home. `None` where every backend drains.
    #[must_use]
    pub fn choose_working(&self, now: Instant) -> Option<Lease> {
        let serving = || self.home_first().filter(|member| !member.share.drains);
        let working = serving().find(|member| member.standing(now) == Standing::Up);
        let accepts = || serving().find(|member| member.standing(now) != Standing::Down);
        let chosen = working.or_else(accepts).or_else(|| serving().next());
        chosen.map(|member| Lease::take(member, PlacementReason::Home))
    }

    /// Chooses this backend, as it has answered what any may be asked.
    #[must_use]
    pub fn choose_answering(&self, member: &Arc<Member>) -> Lease {
        Lease::take(member, PlacementReason::Home)
    }

    /// Chooses the backend of this name, as a client asks. `None` where there is no such backend.
    #[must_use]
    pub fn choose_named(&self, name: &str) -> Option<Lease> {
        self.member(name).map(|member| Lease::take(member, PlacementReason::Header))
    }

    /// The backend has an answer, or a request in progress, with this id.
    pub fn learn_answer(&self, id: &[u8], backend: &str, now: Instant) {
        self.answers.learn(id, backend, now);
    }

    /// The backend that has the earlier answer with this id; `None` where that is unknown.
    #[must_use]
    pub fn holder(&self, id: &[u8], now: Instant) -> Option<&Arc<Member>> {
        let names = self.members.iter().map(|member| &*member.backend.name);
        self.member(self.answers.holder(id, names, now)?)
    }

    /// Chooses the backend that has the first of these earlier answers of which that is known. It is asked whether it
    /// drains or fails: no other has the answer.
    pub fn choose_holder<'a>(&self, ids: impl IntoIterator<Item = &'a [u8]>, now: Instant) -> Option<Lease> {
        let (id, holder) = ids.into_iter().find_map(|id| Some((id, self.holder(id, now)?)))?;
        self.learn_answer(id, &holder.backend.name, now);
        Some(Lease::take(holder, PlacementReason::ResponseId))
    }

    /// Whether this is done on every backend, and not only on the home.
    #[must_use]
    pub fn is_everywhere(&self, management: Management) -> bool {
        self.has_several() && self.everywhere.contains(&management)
    }

    /// The backends that a change of their models is for: those like Ollama that may be asked for the model, the home
    /// before the others.
    #[must_use]
    pub fn managed(&self, model: Option<&str>) -> Vec<Arc<Member>> {
        let is_managed = |member: &&Arc<Member>| {
            let runtime = self.knowledge.catalogue.runtime(&member.backend.name);
            matches!(runtime, Runtime::Ollama | Runtime::Unknown)
                && !member.share.drains
                && model.is_none_or(|model| member.share.admits(model))
        };
        self.home_first().filter(is_managed).cloned().collect()
    }

    /// Every backend, the home before the others.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Member>> {
        self.home_first().cloned().collect()
    }

    /// Counts an exchange that is for several backends on one of them.
    #[must_use]
    pub fn choose_all(&self, first: &Arc<Member>) -> Lease {
        Lease::take(first, PlacementReason::All)
    }

    /// Chooses the backend for an exchange that names this model, and counts the exchange on it. Where no backend lists
    /// the model the home gets it, and answers as it does; where that accepts no connection, another one.
    ///
    /// # Errors
    /// Why no backend may be asked.
    pub fn choose_for(&self, ask: &Ask<'_>, now: Instant) -> Result<Lease, Unserved> {
        if !self.has_several() {
            return self.choose().ok_or(Unserved::Draining);
        }
        let mut candidates = self.candidates(ask, now);
        let Some((pick, load)) = self.pick(&mut candidates, ask, now) else {
            return self.choose_unlisted(ask, now);
        };
        let lease = Lease::take(&self.members[pick.backend], pick.reason);
        Ok(lease.works_since(ask.works.then_some(now)).waits_for(load))
    }

    /// The backends, the home before the others.
    fn home_first(&self) -> impl Iterator<Item = &Arc<Member>> {
        let others = self.members.iter().enumerate().filter(|(at, _)| *at != self.home).map(|(_, member)| member);
        std::iter::once(&self.members[self.home]).chain(others)
    }

    /// The backends that list the model, of the lowest tier in which one works.
    fn candidates(&self, ask: &Ask<'_>, now: Instant) -> Candidates {
        let holders = self.knowledge.catalogue.holders(ask.dialect, ask.model);
        let members = self.members.iter().enumerate().filter(|(_, member)| {
            let Member { share, backend, .. } = &***member;
            !share.drains && share.admits(ask.model) && holders.has(&backend.name)
        });
        // The other policies do not look at it.
        let residents = (self.policy == Policy::ModelLoaded).then(|| self.knowledge.residency.residents(ask.model));
        let candidates = members.map(|(at, member)| {
            let is_resident = residents.as_ref().is_some_and(|residents| residents.has(&member.backend.name));
            self.candidate(at, member, if is_resident { Residence::Resident } else { Residence::Cold }, now)
        });
        let mut candidates: Candidates = candidates.collect();
        let works = |candidate: &&Candidate| matches!(candidate.standing, Standing::Up | Standing::Trial);
        let tier = |candidate: &Candidate| self.members[candidate.backend].share.tier;
        if let Some(lowest) = candidates.iter().filter(works).map(tier).min() {
            candidates.retain(|candidate| tier(candidate) <= lowest);
        }
        candidates
    }

    fn candidate(&self, backend: usize, member: &Member, residence: Residence, now: Instant) -> Candidate {
        let (load, health) = (member.condition.load(), member.condition.health());
        Candidate {
            backend,
            weight: member.weight(now),
            credit: 0.0,
            in_flight: member.in_flight(),
            slots: member.slots(),
            service: load.service(),
            silence: load.silence(now),
            penalty: load.penalty(now),
            slowness: member.condition.slowness(now),
            detour: self.detour(member),
            standing: health.standing(now),
            residence,
            load: Duration::ZERO,
        }
    }

    /// The time that an exchange on the backend takes longer as it is in another zone. Zero where a zone is unknown.
    fn detour(&self, member: &Member) -> Duration {
        let is_far = self.zone.is_some() && member.share.zone.is_some() && self.zone != member.share.zone;
        if is_far { self.zone_penalty } else { Duration::ZERO }
    }

    /// Picks a candidate, and notes what the choice changes. `None` where there are no candidates.
    fn pick(&self, candidates: &mut [Candidate], ask: &Ask<'_>, now: Instant) -> Option<(Pick, Option<LoadGuard>)> {
        match self.policy {
            Policy::RoundRobin => {
                let credit = |candidate: &Candidate| &self.credits[candidate.backend];
                for candidate in candidates.iter_mut() {
                    candidate.credit = credit(candidate).load(Ordering::Relaxed) as f64 / TURN;
                }
                let pick = self.pick_once(candidates, ask, now)?;
                let before: SmallVec<[f64; 16]> = candidates.iter().map(|candidate| candidate.credit).collect();
                take_turn(candidates, pick);
                for (candidate, before) in candidates.iter().zip(before) {
                    let change = ((candidate.credit - before) * TURN).round() as i64;
                    credit(candidate).fetch_add(change, Ordering::Relaxed);
                }
                Some((pick, None))
            }
            Policy::ModelLoaded if ask.works && policy::may_load(candidates) => {
                let mut loads = self.loads.lock();
                let of_model = loads.of(ask.model);
                for candidate in candidates.iter_mut().filter(|it| it.residence == Residence::Cold) {
                    let backend = &self.members[candidate.backend].backend.name;
                    candidate.load = of_model.duration(backend);
                    candidate.residence = of_model.until(backend).map_or(Residence::Cold, Residence::Loading);
                }
                let pick = self.pick_once(candidates, ask, now)?;
                let chosen = candidates.iter().find(|candidate| candidate.backend == pick.backend)?;
                let waits = chosen.residence != Residence::Resident;
                let until = now + chosen.load;
                let load = waits.then(|| loads.join(&self.members[pick.backend].backend.name, ask.model, until));
                Some((pick, load))
            }
            Policy::LeastBusy | Policy::ModelLoaded => Some((self.pick_once(candidates, ask, now)?, None)),
        }
    }

    /// Picks a candidate. Of several exchanges that would try a backend one does; the others treat it as taken out.
    fn pick_once(&self, candidates: &mut [Candidate], ask: &Ask<'_>, now: Instant) -> Option<Pick> {
        loop {
            let pick = policy::pick(self.policy, candidates, now, ask.random)?;
            let condition = &self.members[pick.backend].condition;
            if pick.reason != PlacementReason::Trial || condition.update(|_, health| health.begin_trial(now)) {
                return Some(pick);
            }
            let chosen = candidates.iter_mut().find(|candidate| candidate.backend == pick.backend)?;
            chosen.standing = Standing::Ejected;
        }
    }
}

#[cfg(test)]
mod tests;
