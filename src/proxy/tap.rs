//! Looks at the bytes of an exchange while they pass.
//!
//! Nothing here can change, delay or end traffic: the observation is called behind a barrier that catches panics, and
//! after one the bytes pass unobserved. How an exchange ended is reported exactly once: by whoever saw its end, or, where
//! nobody did, when it is dropped.

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
use crate::exchange::{CLIENT_CLOSED_REQUEST, Observation};
use crate::wire::budget::READ;
use crate::wire::event::Defect;

/// Passes what happens in one exchange to its observation, and what its request names to the proxy.
pub(super) struct Tap {
    observation: Option<Box<Observation>>,
    scan: RequestScan,
    worker: Rc<Worker>,
    polls: Rc<Polls>,
    polls_before: Duration,
    /// What was sent to the client.
    status: u16,
    uploaded: bool,
    ended: bool,
}

impl Tap {
    /// Starts with what `observe` makes; without an observation if that fails.
    pub(super) fn start(
        worker: &Rc<Worker>,
        polls: &Rc<Polls>,
        now: Instant,
        scan: RequestScan,
        observe: impl FnOnce() -> Box<Observation>,
    ) -> Self {
        polls.count(true);
        Self {
            observation: catch_unwind(AssertUnwindSafe(observe)).ok(),
            scan,
            worker: worker.clone(),
            polls: polls.clone(),
            polls_before: polls.total(now),
            status: CLIENT_CLOSED_REQUEST,
            uploaded: false,
            ended: false,
        }
    }

    /// Lets the observation see something. A panic in it takes its reader out; the exchange does not notice.
    pub(super) fn observe(&mut self, look: impl FnOnce(&mut Observation)) {
        let Some(observation) = self.observation.as_mut() else { return };
        if catch_unwind(AssertUnwindSafe(|| look(observation))).is_err()
            && catch_unwind(AssertUnwindSafe(|| observation.defect(Defect::Panic))).is_err()
        {
            // Beyond repair.
            let observation = self.observation.take();
            let _ = catch_unwind(AssertUnwindSafe(move || drop(observation)));
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

    /// The request's body was read to its end, or no more of it comes.
    pub(super) fn request_read(&mut self) {
        if let Some(scanner) = self.scan.finish() {
            self.observe(|observation| observation.requested(&scanner.facts()));
        }
    }

    /// How many of so many bytes are to be read at once, so that looking at them does not take all of the turn's work.
    pub(super) fn reads(&self, most: usize) -> usize {
        let observes = || self.observation.as_ref().is_some_and(|observation| observation.decodes());
        if self.scan.decodes() || observes() { most.min(READ) } else { most }
    }

    /// Looking at coded bodies has taken this turn's share of work. The task is woken to go on in its next turn: the
    /// others run, and the bytes wait no longer than that.
    pub(super) fn ends_turn(&self, cx: &Context<'_>) -> bool {
        let ends = self.worker.thread.decoding.is_spent();
        if ends {
            cx.waker().wake_by_ref();
        }
        ends
    }

    /// What is being shown had arrived before: it was left unread while the client took nothing.
    pub(super) fn held_back(&mut self) {
        self.observe(Observation::reading_held_back);
    }

    /// A part of the response's body. To be followed by [`Tap::frame_end`].
    pub(super) fn response(&mut self, part: Part<'_>, now: Instant) {
        if let Part::Data(data) = part {
            self.observe(|observation| observation.response_piece(data, now));
        }
    }

    /// All that could be read at one instant was shown.
    pub(super) fn frame_end(&mut self) {
        self.observe(Observation::response_frame_end);
    }

    /// The status of the head that is handed to the client now.
    pub(super) fn answer(&mut self, status: u16) {
        self.status = status;
    }

    /// The request's body was taken over by the backend's connection; only the first call after [`Tap::forwarded`] counts.
    pub(super) fn uploaded(&mut self) {
        if !std::mem::replace(&mut self.uploaded, true) {
            self.request_read();
            let now = self.polls.begun();
            self.observe(|observation| observation.request_uploaded(now));
        }
    }

    /// The exchange is over; only the first call counts.
    pub(super) fn end(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.request_read();
        let now = Instant::now();
        let overhead = self.polls.total(now).saturating_sub(self.polls_before);
        self.polls.count(false);
        if let Some(observation) = self.observation.take() {
            // A sink that fails has lost its own record, nothing else.
            drop(catch_unwind(AssertUnwindSafe(|| observation.finish(end, self.status, now, overhead))));
        }
    }

    /// How an exchange ended whose end nobody saw.
    pub(super) fn abandoned(&self) -> End {
        if std::thread::panicking() {
            End::Rejected(ErrorType::Internal)
        } else if self.worker.life() == Life::Killed {
            End::Rejected(ErrorType::Draining)
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
            let request = judge(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("proper");
            let _forward = Forward::begin(&worker, &Rc::default(), request, &mut &[][..]);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(failed.is_err());
        let record = records.last();
        assert_eq!((record.outcome, record.error, record.status), (Outcome::Rejected, Some(ErrorType::Internal), 500));
    }
}
