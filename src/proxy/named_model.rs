//! Reads from a request's body, as it passes, what it says about the model.
//!
//! This is part of forwarding and not of the observation, which only receives the result: it does not depend on what
//! becomes of the observation. Memory is constant however long the body is; decoding a compressed body is limited by a
//! budget that responses do not share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::guard::NotedFields;
use crate::wire::budget::DecodeBudget;
use crate::wire::event::Defect;
use crate::wire::form::FormScanner;
use crate::wire::request::{ModelScanner, NamedIds};
use crate::wire::route::Route;

/// Scans one request's body.
pub(super) struct RequestScan {
    /// `None` where the body names no model, because of its route or because it is not JSON. Also `None` once the body
    /// is complete, which frees the memory while the response is awaited.
    scanner: Option<Box<ModelScanner>>,
    /// Of a form whose model decides on the backend.
    form: Option<Box<FormScanner>>,
    /// The body names a model, and not only ids.
    names_model: bool,
}

impl RequestScan {
    /// Prepares to scan the body of a request with this head. `decides` says whether it decides on the backend: by the
    /// model, or by an id of an earlier answer.
    pub(super) fn of(route: Route, facts: &NotedFields<'_>, budget: &Rc<DecodeBudget>, decides: bool) -> Self {
        let is_opaque = facts.content_type.is_some_and(|media_type| media_type.starts_with(b"multipart/"));
        let scanner = || {
            let scanner = match facts.content_encoding.or(facts.x_body_compressed) {
                Some(coding) => ModelScanner::coded(coding, budget),
                None => ModelScanner::default(),
            };
            Box::new(if decides { scanner.keeping_ids() } else { scanner })
        };
        let names = route.names_model || decides && (route.may_continue() || route.aborts());
        let form = facts.content_type.filter(|_| is_opaque && decides && facts.content_encoding.is_none());
        Self {
            scanner: (names && !is_opaque).then(scanner),
            form: form.and_then(FormScanner::of).map(Box::new),
            names_model: route.names_model,
        }
    }

    /// Scans the next piece of the body. After a panic nothing is known about the body, and the request continues.
    pub(super) fn read(&mut self, piece: &[u8]) {
        if let Some(form) = &mut self.form
            && catch_unwind(AssertUnwindSafe(|| form.read(piece))).is_err()
        {
            self.form = None;
        }
        let Some(scanner) = &mut self.scanner else { return };
        if catch_unwind(AssertUnwindSafe(|| scanner.read(piece))).is_err() {
            **scanner = ModelScanner::failed(Defect::Panic);
        }
    }

    /// The model named so far, as far as the rest of the body does not overrule it. `is_over`: there is no rest.
    pub(super) fn model(&self, is_over: bool) -> Option<&str> {
        let named = self.scanner.as_ref().and_then(|scanner| scanner.settled_model(is_over));
        named.or_else(|| self.form.as_ref().and_then(|form| form.model()))
    }

    /// The ids named so far; `None` where they decide nothing.
    pub(super) fn ids(&self) -> Option<&NamedIds> {
        self.scanner.as_ref()?.ids()
    }

    /// Whether the body is compressed and still being decoded.
    pub(super) fn decodes(&self) -> bool {
        self.scanner.as_ref().is_some_and(|scanner| scanner.decodes())
    }

    /// Returns what was read of the body, once, and whether it may name a model. To be called when the body is complete, or
    /// no more of it will come.
    pub(super) fn finish(&mut self) -> Option<(Box<ModelScanner>, bool)> {
        Some((self.scanner.take()?, self.names_model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::record::Record;
    use crate::proxy::chunks::Part;
    use crate::proxy::forward::Forward;
    use crate::proxy::guard::judge;
    use crate::proxy::stage::{self, Records};
    use crate::proxy::worker::Worker;

    const BODY: &[u8] = br#"{"model":"m","prompt":"12345"}"#;

    fn zstd(body: &[u8]) -> Vec<u8> {
        let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
        zstd_safe::compress(&mut coded, body, 1).expect("there is room");
        coded
    }

    /// The record of an exchange with this body, after `fault` was applied before the body came.
    fn record(
        worker: &Rc<Worker>,
        records: &Records,
        field: &str,
        body: &[u8],
        fault: impl FnOnce(&mut Forward),
    ) -> Record {
        let length = body.len();
        let head = format!("POST /api/generate HTTP/1.1\r\nHost: a\r\n{field}Content-Length: {length}\r\n\r\n");
        let mut request = judge(head.as_bytes()).expect("a proper head");
        let mut forward = Forward::begin(worker, &Rc::default(), &mut request, &mut &[][..]);
        fault(&mut forward);
        body.chunks(7).for_each(|piece| forward.tap.request(Part::Data(piece)));
        drop(forward);
        records.last()
    }

    #[test]
    fn what_becomes_of_the_observation_changes_nothing_about_the_named_model() {
        let records = Records::default();
        let worker = stage::worker(([127, 0, 0, 1], 9).into(), &records);
        let failed = record(&worker, &records, "", BODY, |forward| forward.tap.observe(|_| panic!("on purpose")));
        assert_eq!((failed.requested_model.as_deref(), failed.prompt_characters), (Some("m"), Some(5)));
        assert_eq!(failed.defects.iter().collect::<Vec<_>>(), [(Defect::Panic, 1)]);
    }

    #[test]
    fn responses_that_spend_their_budget_leave_that_of_requests_alone() {
        let records = Records::default();
        let worker = stage::worker(([127, 0, 0, 1], 9).into(), &records);
        let budget = worker.thread.decoding.responses.clone();
        let bomb = zstd(&vec![b' '; 4 << 20]);
        // Each is stopped by its own limit; together they spend a whole turn's budget.
        (0..100).for_each(|_| ModelScanner::coded(b"zstd", &budget).read(&bomb));
        assert!(budget.is_spent());
        let read = record(&worker, &records, "Content-Encoding: zstd\r\n", &zstd(BODY), |_| {});
        assert_eq!((read.requested_model.as_deref(), read.prompt_characters), (Some("m"), Some(5)));
        assert_eq!(read.defects.iter().count(), 0);
    }
}
