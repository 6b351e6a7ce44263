//! Chooses the backend of an exchange, as soon as enough of the request is known.

use std::sync::Arc;
use std::time::Instant;

use super::target::Target;
use super::{Forward, placement};
use crate::exchange::outcome::Origin;
use crate::fleet::{Ask, Lease, Member, Unserved};
use crate::proxy::answer::Answer;
use crate::proxy::everywhere::{Errand, Everywhere};
use crate::proxy::hold::TooLong;
use crate::proxy::worker::Worker;

impl Forward {
    /// Chooses the backend if none is chosen yet and the body has named what decides, or `is_over`. Returns whether one is
    /// chosen. A body that may name an earlier answer is waited for to its end: official clients write it after the model.
    ///
    /// # Errors
    /// The answer for the client where no backend may be asked.
    pub(in crate::proxy) fn place_once_known(
        &mut self,
        worker: &Worker,
        is_over: bool,
        now: Instant,
    ) -> Result<bool, Answer> {
        if self.tap.lease().is_some() {
            return Ok(true);
        }
        if self.target == Target::Model(None) {
            if let Some(lease) = self.choose_holder(worker, now) {
                self.target = Target::Holder;
                self.place(lease, now);
                return Ok(true);
            }
            let model = self.tap.model(is_over);
            if !is_over && (model.is_none() || self.request.route.may_continue()) {
                return Ok(false);
            }
            self.target = Target::Model(model.map(Into::into));
        }
        if let Target::All(errand) = self.target {
            return if is_over { self.place_everywhere(errand, worker, now) } else { Ok(false) };
        }
        let lease = self.choose(worker, now).map_err(|why| self.target.refusal(why))?;
        self.place(lease, now);
        Ok(true)
    }

    /// Finds the backends that an errand is for, or the one that has all that the request names.
    fn place_everywhere(&mut self, errand: Errand, worker: &Worker, now: Instant) -> Result<bool, Answer> {
        if let Some(lease) = self.choose_aborted(worker, now) {
            self.target = Target::Holder;
            self.place(lease, now);
            return Ok(true);
        }
        let (members, lease) = worker.thread.with_fleet(|fleet| {
            let members = if errand == Errand::Abort { fleet.all() } else { fleet.managed(self.tap.model(true)) };
            let lease = members.first().map(|first| fleet.choose_all(first));
            (members, lease.ok_or_else(|| fleet.unserved(self.tap.model(true))))
        });
        let lease = lease.map_err(|why| {
            // The body is not read a second time.
            self.target = Target::Nowhere(why);
            self.target.refusal(why)
        })?;
        // What is coded could not be put together.
        self.head.withhold("accept-encoding");
        if errand != Errand::Abort {
            self.tap.changes_models();
        }
        self.everywhere = Some(Box::new(Everywhere { errand, members }));
        self.place(lease, now);
        Ok(true)
    }

    /// The backend that has every request that the body asks to abort.
    fn choose_aborted(&self, worker: &Worker, now: Instant) -> Option<Lease> {
        let named = self.tap.ids()?.to_abort()?;
        worker.thread.with_fleet(|fleet| {
            let mut holders = named.map(|id| Some((id, fleet.holder(id, now)?)));
            let (id, first) = holders.next()??;
            holders
                .all(|other| other.is_some_and(|(_, other)| other.is_same(first)))
                .then(|| fleet.choose_holder([id], now))?
        })
    }

    /// Chooses another backend where no connection to the one before could be opened. The whole request is still here.
    /// Returns whether there is one.
    pub(in crate::proxy) fn place_elsewhere(&mut self, worker: &Worker, failed: &Answer, now: Instant) -> bool {
        if failed.why.origin() != Origin::Upstream || !self.target.has_others() {
            return false;
        }
        self.tap.backend_failed(failed.why);
        self.tried.push(self.member().clone());
        let lease = self.choose(worker, now).ok();
        let lease = lease.filter(|lease| !self.tried.iter().any(|tried| tried.is_same(lease.member())));
        lease.map(|lease| self.place(lease, now)).is_some()
    }

    /// Chooses the backend that has the earlier answer that the body names.
    fn choose_holder(&self, worker: &Worker, now: Instant) -> Option<Lease> {
        let earlier = self.tap.ids()?.earlier().iter().map(|id| &**id);
        worker.thread.with_fleet(|fleet| fleet.choose_holder(earlier, now))
    }

    fn choose(&self, worker: &Worker, now: Instant) -> Result<Lease, Unserved> {
        let route = self.request.route;
        worker.thread.with_fleet(|fleet| {
            let lease = match &self.target {
                Target::Any | Target::All(_) | Target::Holder | Target::Model(None) => fleet.choose(),
                Target::Answer(id) => fleet.choose_holder([&**id], now).or_else(|| fleet.choose()),
                Target::Working => fleet.choose_working(now),
                Target::Named(name) => fleet.choose_named(name),
                Target::Nowhere(why) => return Err(*why),
                Target::Model(Some(model)) => {
                    let (works, random) = (route.operation.infers(), worker.random(self.id));
                    return fleet.choose_for(&Ask { model, dialect: route.dialect, works, random }, now);
                }
            };
            lease.ok_or(Unserved::Draining)
        })
    }

    /// The only backend that has answered a listing gets it from now on, so that the client gets that one's own answer.
    pub(in crate::proxy) fn move_to(&mut self, member: &Arc<Member>, worker: &Worker, now: Instant) {
        if !member.is_same(self.member()) {
            let lease = worker.thread.with_fleet(|fleet| fleet.choose_answering(member));
            self.place(lease, now);
        }
    }

    fn place(&mut self, lease: Lease, now: Instant) {
        let mut placement = placement(&lease, u32::try_from(self.tried.len() + 1).unwrap_or(u32::MAX));
        let waited = self.tried.is_empty() && matches!(self.target, Target::Model(_) | Target::Holder | Target::All(_));
        placement.held = waited.then(|| now.saturating_duration_since(self.begun));
        self.tap.observe(|observation| observation.placed(placement, now));
        self.tap.hold(lease);
        if let Some(id) = &self.given_id {
            self.tap.learn_answer(id);
        }
    }

    /// Whether more of the body may be read while no backend is chosen.
    pub(in crate::proxy) fn may_hold(&mut self, worker: &Worker) -> bool {
        self.head.may_hold(&worker.held_bodies, &worker.settings.hold)
    }

    /// Counts bytes of the body that are about to be held while no backend is chosen. A body that is too long is placed
    /// without its model.
    ///
    /// # Errors
    /// The answer for the client where no backend may be asked.
    pub(in crate::proxy) fn hold(&mut self, bytes: usize, worker: &Worker, now: Instant) -> Result<(), Answer> {
        match self.head.hold(bytes, &worker.held_bodies, &worker.settings.hold) {
            Ok(()) => Ok(()),
            Err(TooLong) => {
                if matches!(self.target, Target::All(_)) {
                    self.target = Target::Any;
                }
                self.place_once_known(worker, true, now).map(drop)
            }
        }
    }
}
