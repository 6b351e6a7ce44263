//! Records one exchange.
//!
//! Series are looked up when the exchange begins, names its model or ends; a frame of tokens costs a few atomic operations
//! on handles that the watch keeps.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use prometheus::IntCounter;

use super::energy::ConsumerGuard;
use super::per_model::Series;
use super::subjects::Subjects;
use super::{labels, number};
use crate::exchange::names::NamedModel;
use crate::exchange::outcome::Phase;
use crate::exchange::placement::{Placement, PlacementReason};
use crate::exchange::record::{Record, Start};
use crate::exchange::sink::{TokenFrame, Watch};
use crate::exchange::vocabulary::Progress;

/// Counts an exchange in the gauges of its model until it is dropped.
struct InFlightGuard {
    series: Arc<Series>,
    generates: bool,
    phase: Phase,
}

impl InFlightGuard {
    fn new(series: &Arc<Series>, generates: bool, phase: Phase) -> Self {
        series.active_requests().inc();
        series.in_phase(phase).inc();
        if generates {
            series.active_generations().inc();
        }
        Self { series: Arc::clone(series), generates, phase }
    }

    fn enter(&mut self, phase: Phase) {
        self.series.in_phase(phase).inc();
        self.series.in_phase(self.phase).dec();
        self.phase = phase;
    }

    fn start_generation(&mut self) {
        if !std::mem::replace(&mut self.generates, true) {
            self.series.active_generations().inc();
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.series.active_requests().dec();
        self.series.in_phase(self.phase).dec();
        if self.generates {
            self.series.active_generations().dec();
        }
    }
}

/// Records the events of one exchange; dropping it ends the exchange's part in every gauge.
pub struct ExchangeWatch {
    subjects: Arc<Subjects>,
    start: Start,
    /// Nothing is recorded before a backend is chosen.
    placed: Option<PlacedExchange>,
    /// It waits for a load that others began.
    joins_load: bool,
}

/// An exchange on one backend.
struct PlacedExchange {
    backend: Arc<str>,
    /// Of the best label for the model so far.
    series: Arc<Series>,
    in_flight: InFlightGuard,
    energy: Option<ConsumerGuard>,
    /// The model runs on another host.
    is_elsewhere: bool,
    /// The counter of a transfer's bytes, and how many it has counted.
    progress: Option<(IntCounter, u64)>,
    /// Whether the answer named a model whose label was not known at that time.
    answer_unlabelled: bool,
    /// Whether the gauges have moved from `unknown` to the model.
    relabelled: bool,
}

impl PlacedExchange {
    fn new(subjects: &Subjects, start: &Start, backend: &Arc<str>) -> Self {
        let label = if start.route.names_model { labels::UNKNOWN } else { labels::NONE };
        let series = subjects.per_model.series(label, backend);
        subjects.requests.started(start, &series);
        Self {
            backend: Arc::clone(backend),
            in_flight: InFlightGuard::new(&series, false, Phase::Upload),
            series,
            energy: None,
            is_elsewhere: false,
            progress: None,
            answer_unlabelled: false,
            relabelled: false,
        }
    }

    /// Another backend is asked: the gauges follow.
    fn relocate(&mut self, subjects: &Subjects, backend: &Arc<str>) {
        self.backend = Arc::clone(backend);
        self.series = subjects.per_model.series(self.series.model(), backend);
        self.in_flight = InFlightGuard::new(&self.series, self.in_flight.generates, self.in_flight.phase);
        (self.energy, self.progress) = (None, None);
    }

    /// Records under a better label from now on. The gauges move only the first time.
    fn relabel(&mut self, subjects: &Subjects, start: &Start, label: &str) {
        if self.relabelled && *label == **self.series.model() {
            return;
        }
        self.series = subjects.per_model.series(label, &self.backend);
        if self.series.handles().is_first_naming_on(start.route.endpoint) {
            subjects.create_series(start, &self.series);
        }
        if !std::mem::replace(&mut self.relabelled, true) {
            self.in_flight = InFlightGuard::new(&self.series, self.in_flight.generates, self.in_flight.phase);
        }
        if let Some(consumer) = &mut self.energy {
            consumer.relabel(self.series.model());
        }
    }

    fn answered(&mut self, subjects: &Subjects, start: &Start, model: &NamedModel) {
        match labels::answered(&subjects.catalogue, &self.backend, start.route.dialect, model) {
            Some(label) => self.relabel(subjects, start, &label),
            None => self.answer_unlabelled = true,
        }
    }

    /// Records the durations and the rate that have no label besides model and backend.
    fn record_durations(&self, record: &Record, now: SystemTime) {
        let series = &self.series;
        let without_load = record.time_to_first_token.zip(record.load).and_then(|(ttft, load)| ttft.checked_sub(load));
        for (histogram, duration) in [
            (Series::time_to_first_byte as fn(&Series) -> &_, record.time_to_first_byte.filter(|_| !record.tunnel)),
            (Series::time_to_first_answer_token, record.time_to_first_answer),
            (Series::time_to_first_token_excluding_load, without_load),
            (Series::prefill_duration, record.prefill),
            (Series::decode_duration, record.decode),
        ] {
            if let Some(seconds) = duration.and_then(number::seconds) {
                histogram(series).observe(seconds);
            }
        }
        for (histogram, duration) in [
            (Series::time_to_first_token as fn(&Series) -> &_, record.time_to_first_token),
            (Series::time_per_output_token, record.time_per_output_token),
            (Series::model_load_duration, record.load.filter(|_| record.cold.is_some())),
        ] {
            if let Some(seconds) = duration.and_then(number::seconds) {
                histogram(series).observe(seconds, record.start.trace, now);
            }
        }
        if let Some(rate) = record.tokens_per_second.and_then(number::rate) {
            series.tokens_per_second().observe(rate);
        }
    }
}

impl ExchangeWatch {
    pub(super) fn new(subjects: Arc<Subjects>, start: &Start) -> Self {
        Self { subjects, start: start.clone(), placed: None, joins_load: false }
    }
}

impl Watch for ExchangeWatch {
    fn placed(&mut self, placement: &Placement) {
        if let Some(router) = self.subjects.router.get() {
            router.placed(placement);
            self.joins_load = placement.reason == PlacementReason::Join;
        }
        match &mut self.placed {
            Some(placed) => placed.relocate(&self.subjects, &placement.backend),
            None => self.placed = Some(PlacedExchange::new(&self.subjects, &self.start, &placement.backend)),
        }
    }

    fn requested(&mut self, model: Option<&NamedModel>) {
        let (Some(model), Some(placed)) = (model, &mut self.placed) else { return };
        let dialect = self.start.route.dialect;
        if let Some(label) = labels::requested(&self.subjects.catalogue, &placed.backend, dialect, model) {
            placed.relabel(&self.subjects, &self.start, &label);
        }
        if let Some(router) = self.subjects.router.get().filter(|_| std::mem::take(&mut self.joins_load)) {
            router.joined(placed.series.model());
        }
    }

    fn forwarded(&mut self) {
        if let Some(placed) = self.placed.as_mut().filter(|_| self.start.route.operation.generates()) {
            placed.in_flight.start_generation();
        }
    }

    fn uploaded(&mut self, now: Instant) {
        let Some(placed) = self.placed.as_mut().filter(|it| it.energy.is_none() && !it.is_elsewhere) else { return };
        if let Some(energy) = self.subjects.energy.get() {
            placed.energy = energy.begin(self.start.route.operation, &placed.backend, placed.series.model(), now);
        }
    }

    fn elsewhere(&mut self) {
        if let Some(placed) = &mut self.placed {
            placed.is_elsewhere = true;
            placed.energy.take().into_iter().for_each(ConsumerGuard::retract);
        }
    }

    fn answered(&mut self, model: &NamedModel) {
        if let Some(placed) = &mut self.placed {
            placed.answered(&self.subjects, &self.start, model);
        }
    }

    fn phase(&mut self, phase: Phase) {
        if let Some(placed) = &mut self.placed {
            placed.in_flight.enter(phase);
        }
    }

    fn tokens(&mut self, frame: TokenFrame) {
        let Some(PlacedExchange { series, .. }) = &self.placed else { return };
        series.stream_chunks().inc_by(u64::from(frame.events));
        let stalls = series.stream_stalls();
        if frame.stalled {
            stalls.inc();
        }
        if let Some(seconds) = frame.gap.and_then(number::seconds) {
            let tokens = frame.tokens.max(1);
            let latency = series.inter_token_latency();
            latency.observe_times(seconds / f64::from(tokens), u64::from(tokens));
        }
    }

    fn progress(&mut self, progress: Progress) {
        let bytes = progress.completed;
        let (Some(bytes), Some(placed)) = (number::whole(bytes, number::MAX_BYTES), &mut self.placed) else { return };
        let operation = self.start.route.operation;
        let new = || (self.subjects.requests.progress(operation, &placed.backend), 0);
        let (counter, counted) = placed.progress.get_or_insert_with(new);
        // A layer that starts again counts only the bytes beyond what it had reached.
        counter.inc_by(bytes.saturating_sub(*counted));
        *counted = bytes.max(*counted);
    }

    fn finished(&mut self, record: &Record) {
        let (subjects, start) = (&self.subjects, &self.start);
        // What was refused before a backend was chosen counts on none.
        let placed = self.placed.get_or_insert_with(|| PlacedExchange::new(subjects, start, &labels::NONE.into()));
        if let Some(model) = record.answered_model.as_ref().filter(|_| placed.answer_unlabelled) {
            placed.answered(subjects, start, model);
        }
        placed.energy.take().into_iter().for_each(|consumer| consumer.end(start.at + record.duration));
        // The wall time of exemplars is read here, not derived from the start, in case the clock was set meanwhile.
        let now = SystemTime::now();
        let series = &placed.series;
        series.handles().with_end(record, |end| {
            subjects.requests.finished(series.model(), end, record, now);
            subjects.failures.finished(series, end, record);
        });
        series.count_end(record.error.is_some());
        subjects.tokens.finished(series, record);
        placed.record_durations(record, now);
        subjects.cold_starts.finished(series, record);
    }
}
