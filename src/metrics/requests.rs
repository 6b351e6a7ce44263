//! Exchanges as requests: how many, how long, how large, and what the proxy itself cost.

use std::time::SystemTime;

use prometheus::IntCounter;

use super::family::{Family, Register, Spec};
use super::histogram::Histogram;
use super::remembered::End;
use super::traced::TracedHistogram;
use super::{buckets, labels, number};
use crate::exchange::outcome::{Malformed, Outcome, Phase};
use crate::exchange::record::{Record, Start};

pub(super) struct Requests {
    total: Family<IntCounter>,
    started: Family<IntCounter>,
    duration: Family<TracedHistogram>,
    request_size: Family<Histogram>,
    response_size: Family<Histogram>,
    overhead: Histogram,
    malformed: Family<IntCounter>,
    progress: Family<IntCounter>,
}

impl Requests {
    pub(super) fn register(register: &Register<'_>) -> Self {
        let requests = Self {
            total: register.family(TOTAL),
            started: register.family(STARTED),
            duration: register.family(DURATION),
            request_size: register.family(REQUEST_SIZE),
            response_size: register.family(RESPONSE_SIZE),
            overhead: register.family(OVERHEAD).child(&[]),
            malformed: register.family(MALFORMED),
            progress: register.family(PROGRESS),
        };
        Malformed::ALL.iter().for_each(|kind| drop(requests.malformed.child(&[kind.as_str()])));
        requests
    }

    pub(super) fn started(&self, start: &Start) {
        let is_first = self.started.with(&[&start.backend, start.route.endpoint], |started| {
            let is_first = started.get() == 0;
            started.inc();
            is_first
        });
        if is_first && start.route.operation.generates() {
            self.expect_others(start);
        }
    }

    /// The row of models beyond the cap, at 0, so that the first of them shows in an increase.
    fn expect_others(&self, Start { method, route, backend, .. }: &Start) {
        let completed = Outcome::Completed.as_str();
        drop(self.total.child(&[labels::OTHER, method.as_str(), route.endpoint, "200", backend, completed]));
    }

    /// How many began on this backend.
    pub(super) fn begun(&self, backend: &str) -> u64 {
        self.started.sum_of(backend)
    }

    pub(super) fn refused(&self, why: Malformed) {
        self.malformed.with(&[why.as_str()], IntCounter::inc);
    }

    /// The counter of bytes that transfers move, which grows while they last.
    pub(super) fn progress(&self, start: &Start) -> IntCounter {
        self.progress.child(&[&start.backend, start.route.operation.as_str()])
    }

    pub(super) fn finished(&self, model: &str, end: &End, record: &Record, now: SystemTime) {
        let Start { method, route, backend, trace, .. } = &record.start;
        let mut status = itoa::Buffer::new();
        let (status, outcome) = (status.format(record.status), record.outcome.as_str());
        let labels = [model, method.as_str(), route.endpoint, status, backend, outcome];
        end.total.with(&self.total, &labels, IntCounter::inc);
        if record.tunnel {
            return;
        }
        if let Some(seconds) = number::seconds(record.duration) {
            let method = labels::duration_method(*method);
            let labels = [model, method, route.endpoint, backend];
            end.duration.with(&self.duration, &labels, |durations| durations.observe(seconds, *trace, now));
        }
        if let Some(seconds) = record.overhead.and_then(number::seconds) {
            self.overhead.observe(seconds);
        }
        self.sizes(end, record);
    }

    /// A request that we refused may not have been read; where no head came from the backend, no response did.
    fn sizes(&self, end: &End, record: &Record) {
        let labels = [record.start.route.endpoint, &*record.start.backend];
        let request = (record.outcome != Outcome::Rejected).then_some(record.request_bytes);
        let response = (record.phase >= Phase::Prefill).then_some(record.response_bytes);
        for (handle, family, bytes) in
            [(&end.request_size, &self.request_size, request), (&end.response_size, &self.response_size, response)]
        {
            if let Some(bytes) = bytes.and_then(|bytes| number::whole(bytes, number::MAX_BYTES)) {
                handle.with(family, &labels, |sizes| sizes.observe(bytes as f64));
            }
        }
    }
}

const TOTAL: Spec = Spec {
    name: "ollama_proxy_requests_total",
    help: "Requests, each counted once at its end.",
    labels: &["model", "method", "endpoint", "status", "backend", "outcome"],
    buckets: buckets::NONE,
};
const STARTED: Spec = Spec {
    name: "ollama_proxy_requests_started_total",
    help: "Requests whose head was accepted.",
    labels: &["backend", "endpoint"],
    buckets: buckets::NONE,
};
const DURATION: Spec = Spec {
    name: "ollama_proxy_request_duration_seconds",
    help: "Time from the request's head to the last byte handed on.",
    labels: &["model", "method", "endpoint", "backend"],
    buckets: buckets::DURATION,
};
const REQUEST_SIZE: Spec = Spec {
    name: "ollama_proxy_request_size_bytes",
    help: "Bytes of request bodies.",
    labels: &["endpoint", "backend"],
    buckets: buckets::SIZE,
};
const RESPONSE_SIZE: Spec = Spec {
    name: "ollama_proxy_response_size_bytes",
    help: "Bytes of response bodies.",
    labels: &["endpoint", "backend"],
    buckets: buckets::SIZE,
};
const OVERHEAD: Spec = Spec {
    name: "ollama_proxy_overhead_seconds",
    help: "Time that the proxy itself worked on an exchange.",
    labels: &[],
    buckets: buckets::OVERHEAD,
};
const MALFORMED: Spec = Spec {
    name: "ollama_proxy_http_malformed_total",
    help: "Heads refused before they became a request.",
    labels: &["kind"],
    buckets: buckets::NONE,
};
const PROGRESS: Spec = Spec {
    name: "ollama_proxy_progress_bytes_total",
    help: "Bytes of model files that backends report as moved, counted while they move.",
    labels: &["backend", "operation"],
    buckets: buckets::NONE,
};
