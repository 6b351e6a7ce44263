//! The model of an exchange: which is requested, which answers, and what that shows about the backend's memory.

use super::Observation;
use super::names::NamedModel;
use super::residency::ModelUse;
use crate::wire::event::FinishReason;
use crate::wire::route::{Operation, Route};
use crate::wire::spelling;

impl Observation {
    pub(super) fn report_requested(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.requested(self.requested_model.as_ref());
        }
    }

    /// Counts the exchange as in flight on its model, once the backend has the request or the exchange is over.
    pub(super) fn enter_model(&mut self) {
        let model = self.requested_model.as_deref().filter(|_| uses_model(self.start.route));
        if let (None, Some(model), Some(placement)) = (&self.model_use, model, &self.placement) {
            let model_use = self.context.residency.enter(&placement.backend, model, self.load_options);
            let is_remote = model_use.is_remote();
            self.model_use = Some(model_use);
            if is_remote {
                self.report_elsewhere();
            }
        }
    }

    pub(super) fn report_elsewhere(&mut self) {
        if let Some(watch) = self.watch.as_mut().filter(|_| !self.elsewhere_reported) {
            self.elsewhere_reported = true;
            watch.elsewhere();
        }
    }

    pub(super) fn report_answered_model(&mut self) {
        if self.answered_model_reported || !self.names_answer() {
            return;
        }
        let Some(spelled) = self.answer.model.take() else { return };
        self.answered_model_reported = true;
        let model = self.cloud_model(&spelled).or_else(|| self.listed_name(&spelled)).unwrap_or(spelled);
        let model = &*self.answer.model.insert(model);
        if let Some(watch) = &mut self.watch {
            watch.answered(model);
        }
        self.mark_in_memory();
    }

    /// The name under which the backend lists the model that its answer names; `None` where it lists no such model. Mostly
    /// that is the requested name, which was looked up on the first backend.
    fn listed_name(&self, answered: &str) -> Option<NamedModel> {
        let placement = self.placement.as_ref()?;
        let requested = self.requested_model.as_ref().filter(|name| name.as_listed().is_some() && ***name == *answered);
        match requested.filter(|_| placement.attempt == 1) {
            Some(requested) => Some(requested.clone()),
            None => self.context.names.answered(&placement.backend, self.start.route.dialect, answered),
        }
    }

    /// The requested model, if it runs in Ollama's cloud: the cloud's answer names it without the suffix, which may be the
    /// name of a local model.
    fn cloud_model(&self, answered: &str) -> Option<NamedModel> {
        self.model_use.as_ref().filter(|it| it.is_remote())?;
        let requested = self.requested_model.as_ref()?;
        let is_same = spelling::cloud_base(&spelling::folded(requested))
            .is_some_and(|base| spelling::folded(base) == spelling::folded(answered));
        is_same.then(|| requested.clone())
    }

    /// Notes that the model is in memory, unless the answer says that it was unloaded or is remote.
    pub(super) fn mark_in_memory(&mut self) {
        if self.answer.finish == Some(FinishReason::Unload) || self.answer.is_remote {
            return;
        }
        if self.model_use.as_mut().is_some_and(ModelUse::mark_answered) {
            self.report_memory_change();
        }
    }

    /// The models in the backend's memory have probably changed.
    pub(super) fn report_memory_change(&self) {
        self.backend().into_iter().for_each(|backend| self.context.residency.report_change(backend));
    }

    /// Whether a model name in the answer is that of the model which computed it.
    pub(super) fn names_answer(&self) -> bool {
        uses_model(self.start.route) && self.answered_status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Whether the exchange makes a model compute.
fn uses_model(route: Route) -> bool {
    route.operation.generates() || route.operation == Operation::Embeddings
}
