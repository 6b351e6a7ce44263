//! Number, duration and size of requests, and the time that the proxy itself took.

use std::time::SystemTime;

use prometheus::IntCounter;

use super::declare::{Registrar, families};
use super::family::Family;
use super::handle_cache::EndHandles;
use super::histogram::Histogram;
use super::per_model::Series;
use super::traced::TracedHistogram;
use super::{labels, number};
use crate::exchange::outcome::{Malformed, Outcome, Phase};
use crate::exchange::record::{Record, Start};
use crate::exchange::vocabulary::Operation;

families! {
    /// Families that each exchange feeds, at its start or its end.
    pub(super) struct Requests {
        total: Family<IntCounter> = "ollama_proxy_requests_total" ["model", "method", "endpoint", "status", "backend", "outcome"]
            "Requests, each counted once at its end.";
        started: Family<IntCounter> = "ollama_proxy_requests_started_total" ["backend", "endpoint"]
            "Requests whose head was accepted.";
        duration: Family<TracedHistogram> = "ollama_proxy_request_duration_seconds" ["model", "method", "endpoint", "backend"] buckets Duration
            "Time from the request's head to the last byte handed on.";
        request_size: Family<Histogram> = "ollama_proxy_request_size_bytes" ["endpoint", "backend"] buckets Size
            "Bytes of request bodies.";
        response_size: Family<Histogram> = "ollama_proxy_response_size_bytes" ["endpoint", "backend"] buckets Size
            "Bytes of response bodies.";
        overhead: Histogram = "ollama_proxy_overhead_seconds" [] buckets Overhead
            "Time that the proxy itself worked on an exchange.";
        malformed: Family<IntCounter> = "ollama_proxy_http_malformed_total" ["kind"]
            "Heads refused before they became a request.";
        progress: Family<IntCounter> = "ollama_proxy_progress_bytes_total" ["backend", "operation"]
            "Bytes of model files that backends report as moved, counted while they move.";
    }
}

impl Requests {
    /// Refused heads start at 0 for each kind.
    pub(super) fn new(registrar: &Registrar<'_>) -> Self {
        let requests = Self::register(registrar);
        Malformed::ALL.iter().for_each(|kind| drop(requests.malformed.child(&[kind.as_str()])));
        requests
    }

    pub(super) fn started(&self, start: &Start, series: &Series) {
        let (backend, endpoint) = (series.backend(), start.route.endpoint);
        let count = |started: &IntCounter| {
            let is_first = started.get() == 0;
            started.inc();
            is_first
        };
        let handles = series.handles();
        let is_first = handles.with_started(endpoint, |handle| handle.with(&self.started, &[backend, endpoint], count));
        if is_first && start.route.operation.generates() {
            // Of models beyond the cap.
            self.create_completed(start, labels::OTHER, backend);
        } else if is_first && !start.route.names_model {
            self.create_completed(start, labels::NONE, backend);
        }
    }

    /// Creates the series of completed requests like this one on a model at 0.
    pub(super) fn create_completed(&self, Start { method, route, .. }: &Start, model: &str, backend: &str) {
        let completed = Outcome::Completed.as_str();
        drop(self.total.child(&[model, method.as_str(), route.endpoint, "200", backend, completed]));
    }

    /// How many exchanges this backend was chosen for.
    pub(super) fn started_on(&self, backend: &str) -> u64 {
        self.started.sum_by_first_label(backend)
    }

    pub(super) fn refused(&self, why: Malformed) {
        self.malformed.with(&[why.as_str()], IntCounter::inc);
    }

    /// The counter of the bytes that transfers like this one move.
    pub(super) fn progress(&self, operation: Operation, backend: &str) -> IntCounter {
        self.progress.child(&[backend, operation.as_str()])
    }

    pub(super) fn finished(&self, model: &str, end: &EndHandles, record: &Record, now: SystemTime) {
        let Start { method, route, trace, .. } = &record.start;
        let backend = record.backend();
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

    /// The body of a request that the proxy rejected may not have been read, and before the backend's head there is no
    /// response: those sizes are not observed.
    fn sizes(&self, end: &EndHandles, record: &Record) {
        let labels = [record.start.route.endpoint, record.backend()];
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
