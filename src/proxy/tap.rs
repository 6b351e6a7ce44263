//! Observes the bytes of an exchange as they pass.
//!
//! Nothing here can change, delay or end traffic: panics of the observation are caught, and after one the bytes pass
//! unobserved. The end of an exchange is reported exactly once: by whoever saw it, or else on drop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Context;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::admission::Life;
use super::chunks::Part;
use super::named_model::RequestScan;
use super::polls::Polls;
use super::worker::Worker;
use crate::exchange::outcome::{End, ErrorType};
use crate::exchange::placement::PlacementReason;
use crate::exchange::{CLIENT_CLOSED_REQUEST, Observation};
use crate::fleet::{Fleet, Lease, LeaseEnd};
use crate::wire::answer_ids::AnswerIds;
use crate::wire::budget::{DecodeBudget, READ};
use crate::wire::event::Defect;
use crate::wire::request::NamedIds;

/// Passes the events of one exchange to its observation, and its request's body to the model scan.
pub(super) struct Tap {
    observation: Option<Box<Observation>>,
    scan: RequestScan,
    worker: Rc<Worker>,
    polls: Rc<Polls>,
    polls_before: Duration,
    /// The status that was sent to the client.
    status: u16,
    /// The backend that serves the exchange; `None` while none is chosen.
    lease: Option<Lease>,
    /// A model works for the exchange: its end says whether models work on the backend.
    runs_model: bool,
    /// The head of the backend's response has come.
    responded: bool,
    /// How long the response asks to stay away.
    retry_after: Option<Duration>,
    /// The backend no longer has the model that it listed.
    lacks_model: bool,
    /// What several backends list will have changed.
    changes_models: bool,
    /// Reads the ids of the answer; `None` where they are of no use, or known.
    answer_ids: Option<Box<AnswerIds>>,
    uploaded: bool,
    ended: bool,
}

impl Tap {
    /// Starts the observation that `observe` makes. If that panics, the exchange is not observed.
    pub(super) fn start(
        worker: &Rc<Worker>,
        polls: &Rc<Polls>,
        (id, now): (u64, Instant),
        (scan, runs_model): (RequestScan, bool),
        observe: impl FnOnce() -> Box<Observation>,
    ) -> Self {
        polls.count_for(id);
        Self {
            observation: catch_unwind(AssertUnwindSafe(observe)).ok(),
            scan,
            worker: worker.clone(),
            polls: polls.clone(),
            polls_before: polls.total(now),
            status: CLIENT_CLOSED_REQUEST,
            lease: None,
            runs_model,
            responded: false,
            retry_after: None,
            lacks_model: false,
            changes_models: false,
            answer_ids: None,
            uploaded: false,
            ended: false,
        }
    }

    /// Calls the observation. After a panic in it, the observation is dropped and the exchange continues.
    pub(super) fn observe(&mut self, look: impl FnOnce(&mut Observation)) {
        let Some(observation) = self.observation.as_mut() else { return };
        if catch_unwind(AssertUnwindSafe(|| look(observation))).is_err()
            && catch_unwind(AssertUnwindSafe(|| observation.defect(Defect::Panic))).is_err()
        {
            // Its drop may panic too.
            let observation = self.observation.take();
            let _ = catch_unwind(AssertUnwindSafe(move || drop(observation)));
        }
    }

    /// The backend that serves the exchange, from now on. It counts the exchange as in flight until this is dropped.
    pub(super) fn hold(&mut self, lease: Lease) {
        self.lease = Some(lease);
    }

    /// The backend that serves the exchange; `None` while none is chosen.
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// The head of the final response has come. `retry_after` is how long it asks to stay away.
    pub(super) fn responded(&mut self, retry_after: Option<Duration>) {
        (self.responded, self.retry_after) = (true, retry_after);
    }

    /// The backend answered that it lacks the model for which it was chosen: it gets less until the models are listed again,
    /// which is asked for. Its answer came fast, and must not make it look idle.
    pub(super) fn lacks_model(&mut self) {
        if self.lease.as_ref().is_some_and(|lease| lease.reason() != PlacementReason::Home) {
            self.lacks_model = true;
            self.worker.thread.with_fleet(Fleet::relist);
        }
    }

    /// Once the exchange has ended the models of all backends are listed again.
    pub(super) fn changes_models(&mut self) {
        self.changes_models = true;
    }

    /// The backend failed before it had the request, which another one may get.
    pub(super) fn backend_failed(&mut self, why: ErrorType) {
        self.report(End::BackendFailed(why), self.polls.begun());
    }

    /// Tells the fleet what the end says of the backend.
    fn report(&mut self, end: End, now: Instant) {
        let Some(lease) = &mut self.lease else { return };
        let failed = if self.runs_model { LeaseEnd::Failed } else { LeaseEnd::Unknown };
        let said = match end {
            End::Complete if self.lacks_model => LeaseEnd::Busy(None),
            End::Complete => match self.status {
                429 | 503 => LeaseEnd::Busy(self.retry_after),
                _ if !self.runs_model => LeaseEnd::Answered,
                500.. => failed,
                400.. => LeaseEnd::Answered,
                _ => LeaseEnd::Succeeded,
            },
            End::BackendFailed(ErrorType::FirstByteTimeout | ErrorType::Protocol) => failed,
            End::BackendFailed(_) if !self.responded => LeaseEnd::Unreachable,
            End::BackendFailed(_) => failed,
            End::ClientLeft | End::Rejected(_) => LeaseEnd::Unknown,
        };
        lease.report(said, || self.worker.fraction(), now);
        if std::mem::take(&mut self.changes_models) {
            self.worker.thread.with_fleet(Fleet::relist);
        }
    }

    /// The request's head is about to be sent to the backend.
    pub(super) fn forwarded(&mut self) {
        let now = self.polls.begun();
        self.uploaded = false;
        self.observe(|observation| observation.forwarded(now));
    }

    /// A connection to the backend was opened.
    pub(super) fn dialled(&mut self) {
        let now = self.polls.begun();
        self.observe(|observation| observation.dialled(now));
    }

    /// A part of the request's body.
    pub(super) fn request(&mut self, part: Part<'_>) {
        if let Part::Data(data) = part {
            self.scan.read(data);
            self.observe(|observation| observation.request_piece(data.len()));
        }
    }

    /// The model that the request's body has named so far; `is_over` says whether that is all of it. To be called before
    /// [`Tap::request_read`].
    pub(super) fn model(&self, is_over: bool) -> Option<&str> {
        self.scan.model(is_over)
    }

    /// The ids that the request's body has named so far; `None` where they decide nothing. To be called before
    /// [`Tap::request_read`].
    pub(super) fn ids(&self) -> Option<&NamedIds> {
        self.scan.ids()
    }

    /// The backend has, or will have, an answer with this id.
    pub(super) fn learn_answer(&self, id: &[u8]) {
        let Some(lease) = &self.lease else { return };
        let (backend, now) = (&*lease.member().backend.name, self.polls.begun());
        self.worker.thread.with_fleet(|fleet| fleet.learn_answer(id, backend, now));
    }

    /// Reads the ids of the answer as they pass, where there are several backends.
    pub(super) fn expect_ids(&mut self, scanner: impl FnOnce(&Rc<DecodeBudget>) -> Option<AnswerIds>) {
        if self.lease.as_ref().is_some_and(|lease| lease.reason() != PlacementReason::Only) {
            self.answer_ids = scanner(&self.worker.thread.decoding.responses).map(Box::new);
        }
    }

    /// After a panic nothing more is read of them, and the response goes on.
    fn read_ids(&mut self, data: &[u8]) {
        let Some(mut ids) = self.answer_ids.take() else { return };
        let read = catch_unwind(AssertUnwindSafe(|| ids.read(data, &mut |id| self.learn_answer(id))));
        self.answer_ids = read.is_ok_and(|expects_more| expects_more).then_some(ids);
    }

    /// The request's body has been read to its end, or no more of it will come.
    pub(super) fn request_read(&mut self) {
        let Some((scanner, names_model)) = self.scan.finish() else { return };
        if let Some(ids) = scanner.ids() {
            ids.own().iter().for_each(|id| self.learn_answer(id));
        }
        if names_model {
            self.observe(|observation| observation.requested(&scanner.facts()));
        }
    }

    /// How many of `most` bytes to read at once, so that scanning them does not use up the turn's budget.
    pub(super) fn reads(&self, most: usize) -> usize {
        let observes = || self.observation.as_ref().is_some_and(|observation| observation.decodes());
        if self.scan.decodes() || observes() { most.min(READ) } else { most }
    }

    /// Whether decoding has used up this turn's budget. If so, wakes the task to continue in its next turn: other tasks
    /// run in between, and the bytes wait no longer than that.
    pub(super) fn ends_turn(&self, cx: &Context<'_>) -> bool {
        let ends = self.worker.thread.decoding.is_spent();
        if ends {
            cx.waker().wake_by_ref();
        }
        ends
    }

    /// The bytes observed next had arrived earlier: they were left unread while the client took nothing.
    pub(super) fn held_back(&mut self) {
        self.observe(Observation::reading_held_back);
    }

    /// A part of the response's body. To be followed by [`Tap::frame_end`].
    pub(super) fn response(&mut self, part: Part<'_>, now: Instant) {
        if let Part::Data(data) = part {
            self.lease.iter().for_each(|lease| lease.heard(now));
            self.read_ids(data);
            self.observe(|observation| observation.response_piece(data, now));
        }
    }

    /// Every byte of one read was passed.
    pub(super) fn frame_end(&mut self) {
        self.observe(Observation::response_frame_end);
    }

    /// The status of the head that is now sent to the client.
    pub(super) fn answer(&mut self, status: u16) {
        self.status = status;
    }

    /// The backend's connection has taken the whole request. Only the first call after [`Tap::forwarded`] counts.
    pub(super) fn uploaded(&mut self) {
        if !std::mem::replace(&mut self.uploaded, true) {
            self.request_read();
            let now = self.polls.begun();
            self.observe(|observation| observation.request_uploaded(now));
        }
    }

    /// Ends the exchange. Only the first call counts.
    pub(super) fn end(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.request_read();
        let now = Instant::now();
        let overhead = self.polls.total(now).saturating_sub(self.polls_before);
        self.polls.count_no_more();
        self.report(end, now);
        if let Some(observation) = self.observation.take() {
            // A sink that panics loses only its own record.
            let finished = catch_unwind(AssertUnwindSafe(|| observation.finish(end, self.status, now, overhead)));
            if let (Ok(learnt), Some(lease)) = (finished, &self.lease) {
                learnt.load.into_iter().for_each(|load| lease.loaded(load));
                learnt.pace.into_iter().for_each(|(model, per_token)| lease.paced(&model, per_token, now));
            }
        }
    }

    /// How an exchange ended that was dropped before its end.
    pub(super) fn abandoned(&self) -> End {
        if std::thread::panicking() {
            End::Rejected(ErrorType::Internal)
        } else if self.worker.life() == Life::Killed {
            End::Rejected(ErrorType::Draining)
        } else if self.polls.is_stopped() {
            End::Rejected(ErrorType::Stopped)
        } else {
            End::ClientLeft
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if std::thread::panicking() && self.status == CLIENT_CLOSED_REQUEST {
            self.status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
        }
        self.end(self.abandoned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::outcome::Outcome;
    use crate::proxy::forward::Forward;
    use crate::proxy::guard::judge;
    use crate::proxy::stage::{self, Records};

    #[test]
    fn a_panic_of_ours_is_neither_the_clients_nor_the_backends_fault() {
        let records = Records::default();
        let worker = stage::worker(([127, 0, 0, 1], 9).into(), &records);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let mut request = judge(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("proper");
            let _forward = Forward::begin(&worker, &Rc::default(), &mut request, &mut &[][..]);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(failed.is_err());
        let record = records.last();
        assert_eq!((record.outcome, record.error, record.status), (Outcome::Rejected, Some(ErrorType::Internal), 500));
    }
}
