//! Follows one exchange through the families.
//!
//! Everything that needs a look-up happens when the exchange begins, names its model or ends; a frame of tokens costs a
//! few atomic operations on handles that are at hand.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use prometheus::IntCounter;

use super::energy::Draw;
use super::families::Families;
use super::per_model::Series;
use super::{labels, number};
use crate::exchange::outcome::Phase;
use crate::exchange::record::{Record, Start};
use crate::exchange::sink::{TokenFrame, Watch};

/// A place in the gauges of a model, given back exactly once: when it is dropped.
struct Held {
    series: Arc<Series>,
    generates: bool,
    phase: Phase,
}

impl Held {
    fn new(series: &Arc<Series>, generates: bool, phase: Phase) -> Self {
        series.active_requests().inc();
        series.in_phase(phase).inc();
        if generates {
            series.active_generations().inc();
        }
        Self { series: Arc::clone(series), generates, phase }
    }

    fn advance(&mut self, phase: Phase) {
        self.series.in_phase(phase).inc();
        self.series.in_phase(self.phase).dec();
        self.phase = phase;
    }

    fn generate(&mut self) {
        if !std::mem::replace(&mut self.generates, true) {
            self.series.active_generations().inc();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.series.active_requests().dec();
        self.series.in_phase(self.phase).dec();
        if self.generates {
            self.series.active_generations().dec();
        }
    }
}

/// See [`super::Metrics`].
pub struct ExchangeWatch {
    families: Arc<Families>,
    start: Start,
    /// The model as far as it is known.
    series: Arc<Series>,
    held: Held,
    draw: Option<Draw>,
    /// Where a transfer's bytes are counted, and how many were.
    progress: Option<(IntCounter, u64)>,
    /// The answer named a model of which it was not known what it is called.
    nameless: bool,
    /// The gauges have gone from `unknown` to the model.
    moved: bool,
}

impl ExchangeWatch {
    pub(super) fn new(families: Arc<Families>, start: &Start) -> Self {
        let label = if start.route.names_model { labels::UNKNOWN } else { labels::NONE };
        let series = families.per_model.series(label, &start.backend);
        families.requests.started(start);
        Self {
            held: Held::new(&series, false, Phase::Upload),
            families,
            start: start.clone(),
            series,
            draw: None,
            progress: None,
            nameless: false,
            moved: false,
        }
    }

    /// The model's label is known, or known better. Only the first time the gauges follow.
    fn is(&mut self, label: &str) {
        if self.moved && *label == **self.series.model() {
            return;
        }
        self.series = self.families.per_model.series(label, &self.start.backend);
        if self.series.meet() {
            self.families.failures.begin(label, &self.start.backend);
        }
        if !std::mem::replace(&mut self.moved, true) {
            self.held = Held::new(&self.series, self.held.generates, self.held.phase);
        }
        if let Some(draw) = &mut self.draw {
            draw.is(self.series.model());
        }
    }

    /// Durations that need no label besides the model's.
    fn durations(&self, record: &Record, now: SystemTime) {
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

impl Watch for ExchangeWatch {
    fn requested(&mut self, model: Option<&str>) {
        let Some(model) = model else { return };
        if let Some(label) = labels::requested(&self.families.catalogue, &self.start, model) {
            self.is(&label);
        }
    }

    fn forwarded(&mut self, now: Instant) {
        if self.start.route.operation.generates() {
            self.held.generate();
        }
        if self.draw.is_none() {
            let shares = self.families.shares.get();
            self.draw = shares.and_then(|shares| shares.begin(&self.start, self.series.model(), now));
        }
    }

    fn answered(&mut self, model: &str) {
        match labels::answered(&self.families.catalogue, &self.start, model) {
            Some(label) => self.is(&label),
            None => self.nameless = true,
        }
    }

    fn phase(&mut self, phase: Phase) {
        self.held.advance(phase);
    }

    fn tokens(&mut self, frame: TokenFrame) {
        self.series.stream_chunks().inc_by(u64::from(frame.events));
        let stalls = self.series.stream_stalls();
        if frame.stalled {
            stalls.inc();
        }
        if let Some(seconds) = frame.gap.and_then(number::seconds) {
            let tokens = frame.tokens.max(1);
            let latency = self.series.inter_token_latency();
            latency.observe_times(seconds / f64::from(tokens), u64::from(tokens));
        }
    }

    fn progress(&mut self, bytes: u64) {
        let Some(bytes) = number::whole(bytes, number::MAX_BYTES) else { return };
        let (counter, counted) = self.progress.get_or_insert_with(|| (self.families.requests.progress(&self.start), 0));
        // A layer that is begun again counts from where it had come to.
        counter.inc_by(bytes.saturating_sub(*counted));
        *counted = bytes.max(*counted);
    }

    fn finished(&mut self, record: &Record) {
        if let Some(model) = record.answered_model.as_deref().filter(|_| self.nameless) {
            self.answered(model);
        }
        let families = &self.families;
        // Exemplars carry the wall time of their end; read here, it follows a clock that was set or a machine that slept.
        let now = SystemTime::now();
        self.series.remembered().end(record, |end| {
            families.requests.finished(self.series.model(), end, record, now);
            families.failures.finished(&self.series, end, record);
        });
        families.tokens.finished(&self.series, record);
        self.durations(record, now);
        families.cold_starts.finished(&self.series, record);
    }
}
