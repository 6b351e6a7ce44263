//! Which backend serves an exchange.
//!
//! A [`Fleet`] is an immutable snapshot. Each exchange reads the current one when it begins, so a reload also reaches
//! clients that keep their connection. The choice is a [`Lease`], which counts the exchange as in flight on its backend
//! until it is dropped. With one backend it is always that. With several, a request that
//! names a model goes to one that lists it, by the [`policy`]; any other to the first.
//!
//! It knows nothing of clients and bytes, and never dials.

pub mod health;
pub mod load;
mod member;
pub mod policy;

pub use member::{Lease, Member};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::catalogue::Catalogue;
use crate::exchange::placement::PlacementReason;
use crate::exchange::residency::Residency;
use crate::wire::route::Dialect;
use policy::{Candidate, Pick, Policy, Residence, Standing, take_turn};

/// How long a load is assumed to take.
const LOAD: Duration = Duration::from_secs(20);

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
    /// Uniform over all values.
    pub random: u64,
}

/// The backends that may serve, at least one.
#[derive(Debug)]
pub struct Fleet {
    members: Box<[Arc<Member>]>,
    policy: Policy,
    knowledge: Knowledge,
    /// The members' credits under [`Policy::RoundRobin`].
    credits: Arc<Mutex<Box<[f64]>>>,
}

impl Fleet {
    /// A fleet with this backend alone.
    #[must_use]
    pub fn of_one(member: Member) -> Self {
        Self::new(vec![member], Policy::ModelLoaded, Knowledge::default())
    }

    /// A fleet of these backends, of which the first is the home of requests for no particular model.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn new(members: Vec<Member>, policy: Policy, knowledge: Knowledge) -> Self {
        assert!(!members.is_empty(), "a fleet has a backend");
        let credits = Arc::new(Mutex::new(vec![0.0; members.len()].into()));
        Self { members: members.into_iter().map(Arc::new).collect(), policy, knowledge, credits }
    }

    /// The backends, in the order of the configuration.
    #[must_use]
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// Whether the model has a say in the choice.
    #[must_use]
    pub fn depends_on_model(&self) -> bool {
        self.members.len() > 1
    }

    /// Chooses the backend for an exchange that names no model, and counts the exchange on it.
    #[must_use]
    pub fn choose(&self) -> Lease {
        let Pick { backend, reason } = match self.members.len() {
            1 => policy::only(),
            _ => Pick { backend: 0, reason: PlacementReason::Home },
        };
        Lease::take(&self.members[backend], reason)
    }

    /// Chooses the backend for an exchange that names this model, and counts the exchange on it. Where no backend lists
    /// the model the first gets it, and answers as it does.
    #[must_use]
    pub fn choose_for(&self, ask: &Ask<'_>, now: Instant) -> Lease {
        if !self.depends_on_model() {
            return self.choose();
        }
        let mut credits = self.credits.lock().unwrap_or_else(PoisonError::into_inner);
        let holders = (0..self.members.len()).filter(|at| self.lists(*at, ask));
        let mut candidates: Vec<_> = holders.map(|at| self.candidate(at, ask.model, credits[at])).collect();
        let Some(pick) = policy::pick(self.policy, &candidates, now, ask.random) else { return self.choose() };
        if self.policy == Policy::RoundRobin {
            take_turn(&mut candidates, pick);
            candidates.iter().for_each(|candidate| credits[candidate.backend] = candidate.credit);
        }
        Lease::take(&self.members[pick.backend], pick.reason)
    }

    fn lists(&self, at: usize, ask: &Ask<'_>) -> bool {
        self.knowledge.catalogue.lists(&self.members[at].backend.name, ask.dialect, ask.model)
    }

    fn candidate(&self, backend: usize, model: &str, credit: f64) -> Candidate {
        let member = &self.members[backend];
        let is_resident = self.knowledge.residency.is_resident(&member.backend.name, model);
        Candidate {
            backend,
            weight: 1.0,
            credit,
            in_flight: member.in_flight(),
            slots: None,
            service: None,
            confidence: 0.0,
            penalty: Duration::ZERO,
            standing: Standing::Up,
            residence: if is_resident { Residence::Resident } else { Residence::Cold },
            load: LOAD,
        }
    }

    /// The same backends with other settings. Exchanges in flight stay counted.
    #[must_use]
    pub fn with(&self, settings: &crate::backend::Settings) -> Self {
        Self {
            members: self.members.iter().map(|member| Arc::new(member.with(settings.clone()))).collect(),
            policy: self.policy,
            knowledge: self.knowledge.clone(),
            credits: self.credits.clone(),
        }
    }
}
