//! The choice among several backends, without the proxy: a fleet whose backends list as many models as can have labels.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inferometer::backend::address::Address;
use inferometer::backend::dial::Dialer;
use inferometer::backend::inventory::Runtime;
use inferometer::backend::{self, Backend};
use inferometer::exchange::residency::LoadedModel;
use inferometer::fleet::policy::Policy;
use inferometer::fleet::{Ask, Fleet, Knowledge, LeaseEnd, Member, Settings, Share};
use inferometer::wire::route::Dialect;

use crate::script;

/// Backends to choose from.
pub const BACKENDS: usize = 16;

/// What a choice among them may take.
pub const MARK: Duration = Duration::from_micros(2);

/// Where the model is that requests ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the memory of every backend.
    Everywhere,
    /// In none's.
    Nowhere,
}

/// A kind of choice that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// The policy.
    pub policy: Policy,
    /// Where the model is.
    pub place: Place,
}

/// Every kind.
pub const CHOICES: [Choice; 4] = [
    Choice { name: "round_robin", policy: Policy::RoundRobin, place: Place::Everywhere },
    Choice { name: "least_busy", policy: Policy::LeastBusy, place: Place::Everywhere },
    Choice { name: "model_loaded", policy: Policy::ModelLoaded, place: Place::Everywhere },
    Choice { name: "model_loaded, cold", policy: Policy::ModelLoaded, place: Place::Nowhere },
];

impl Choice {
    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CHOICES.iter().find(|choice| choice.name == name)
    }

    /// Chooses a backend and ends the exchange on it, so many times. Every backend has ended exchanges before.
    #[must_use]
    pub fn run(&self, count: usize) -> Duration {
        let fleet = self.fleet();
        let mut at = 0_u64;
        let mut choose = |ends: bool| {
            at = at.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let ask = Ask { model: black_box("bench"), dialect: Dialect::Ollama, works: true, random: at };
            let mut lease = fleet.choose_for(&ask, Instant::now()).expect("a backend");
            if ends {
                lease.report(LeaseEnd::Succeeded, || 0.5, Instant::now());
            }
        };
        (0..64 * BACKENDS).for_each(|_| choose(true));
        let begun = Instant::now();
        (0..count).for_each(|_| choose(false));
        begun.elapsed()
    }

    fn fleet(&self) -> Fleet {
        let knowledge = Knowledge::default();
        let members = (0..BACKENDS).map(|at| {
            let name: Arc<str> = format!("backend-{at:02}").into();
            knowledge.catalogue.set_runtime(&name, Runtime::Ollama);
            let models: Vec<_> = script::models().collect();
            knowledge.catalogue.set_listed(&name, models.iter().map(String::as_str));
            if self.place == Place::Everywhere {
                knowledge.residency.begin_poll(&name);
                let loaded = LoadedModel { name: "bench:latest", context: None, expires: None };
                knowledge.residency.end_poll(&name, std::iter::once(loaded), None);
            }
            let address: Address = format!("http://127.0.0.1:{}", 10_000 + at).parse().expect("an address");
            let dialer = Arc::new(Dialer::new(address.clone()));
            let backend = Backend { name, address };
            Member::new(backend, backend::Settings::default(), Share::default(), dialer, Instant::now())
        });
        let members = members.collect();
        Fleet::new(members, &Settings { policy: self.policy, ..Settings::default() }, knowledge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_choice_is_made() {
        for choice in &CHOICES {
            assert!(choice.run(10) > Duration::ZERO);
            let fleet = choice.fleet();
            let ask = Ask { model: "bench", dialect: Dialect::Ollama, works: true, random: 1 };
            let lease = fleet.choose_for(&ask, Instant::now()).expect("a backend");
            let expected = choice.name.split(", ").last().expect("a word").replace("model_loaded", "resident");
            assert_eq!(lease.reason().as_str(), expected);
        }
    }
}
