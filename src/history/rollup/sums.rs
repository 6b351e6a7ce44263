//! What is summed of the exchanges of one interval.
//!
//! Pure. Sums of parts, merged, are those of the whole.

use crate::exchange::outcome::{Outcome, Phase};
use crate::history::row::Row;
use crate::history::sketch::Sketch;

/// The measures of which percentiles are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// From the request's head to the last byte, in seconds. Of exchanges that were not answered with an error status.
    Duration,
    /// Time to first token, in seconds.
    FirstToken,
    /// Time to first token of exchanges whose model was in memory, in seconds.
    FirstTokenWarm,
    /// Time per output token, in seconds.
    PerToken,
    /// Tokens per second.
    Rate,
    /// The wait for a slot on a backend, in seconds.
    Queue,
    /// Loads of cold models, in seconds.
    Load,
}

impl Measure {
    /// Every measure, in the order in which they are stored.
    pub const ALL: [Self; 7] =
        [Self::Duration, Self::FirstToken, Self::FirstTokenWarm, Self::PerToken, Self::Rate, Self::Queue, Self::Load];

    /// Its column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::FirstToken => "ttft",
            Self::FirstTokenWarm => "ttft_warm",
            Self::PerToken => "tpot",
            Self::Rate => "tps",
            Self::Queue => "queue",
            Self::Load => "load",
        }
    }
}

/// The sums of one interval. `None` is unknown: no exchange in it reported a value.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Exchanges that ended in it.
    pub requests: u64,
    /// Exchanges that ended in it by outcome, in the order of [`Outcome::ALL`].
    pub by_outcome: [u64; Outcome::ALL.len()],
    /// Exchanges that started in it, of those that have ended.
    pub started: u64,
    /// Prompt tokens.
    pub prompt: Option<u64>,
    /// Generated tokens. Where no count is stated, the pieces that came: a lower bound.
    pub generated: Option<u64>,
    /// Prompt tokens read from a cache.
    pub cached: Option<u64>,
    /// Prompt tokens of the exchanges that report how many of them were read from a cache.
    pub cached_of: Option<u64>,
    /// Generated tokens that were thinking.
    pub reasoning: Option<u64>,
    /// Those of them that were generated for clients that left.
    pub wasted: u64,
    /// The time that exchanges spent in it, added up, in microseconds.
    pub busy_us: u64,
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of responses.
    pub bytes_out: u64,
    /// Exchanges that waited for a load.
    pub cold: u64,
    /// Gaps above the stall threshold.
    pub stalls: u64,
    /// Exchanges that a backend answered with a status of 400 to 499, which are no failures.
    pub client_errors: u64,
    /// Exchanges that were sent to another backend, as no connection to the first could be opened.
    pub retried: u64,
    /// Messages in the requests of chats.
    pub messages: Option<u64>,
    /// What it cost, in billionths of the currency's unit.
    pub cost: Option<i64>,
    /// Percentiles, in the order of [`Measure::ALL`].
    pub sketches: [Sketch; Measure::ALL.len()],
}

/// Adds to a sum that may be unknown.
fn add<T: Copy + Default + std::ops::Add<Output = T>>(sum: &mut Option<T>, more: Option<T>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or_default() + more);
    }
}

impl Sums {
    /// Adds everything of another one.
    pub fn merge(&mut self, other: &Self) {
        self.merge_of(other, |_| true);
    }

    /// Adds another one, of its measures those that are meant.
    pub(in crate::history) fn merge_of(&mut self, other: &Self, is_meant: impl Fn(Measure) -> bool) {
        self.requests += other.requests;
        self.by_outcome.iter_mut().zip(other.by_outcome).for_each(|(sum, more)| *sum += more);
        self.started += other.started;
        add(&mut self.prompt, other.prompt);
        add(&mut self.generated, other.generated);
        add(&mut self.cached, other.cached);
        add(&mut self.cached_of, other.cached_of);
        add(&mut self.reasoning, other.reasoning);
        self.wasted += other.wasted;
        self.busy_us += other.busy_us;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.cold += other.cold;
        self.stalls += other.stalls;
        self.client_errors += other.client_errors;
        self.retried += other.retried;
        add(&mut self.messages, other.messages);
        add(&mut self.cost, other.cost);
        for measure in Measure::ALL.into_iter().filter(|measure| is_meant(*measure)) {
            self.sketches[measure as usize].merge(other.sketch(measure));
        }
    }

    /// Exchanges that failed: all but those that completed, were cancelled by their client, or were answered with a status of
    /// 400 to 499.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let count = |outcome: Outcome| self.by_outcome[outcome as usize];
        self.requests - count(Outcome::Completed) - count(Outcome::ClientCancelled) - self.client_errors
    }

    /// The percentiles of a measure.
    #[must_use]
    pub fn sketch(&self, measure: Measure) -> &Sketch {
        &self.sketches[measure as usize]
    }

    /// Adds an exchange that ended in this interval, counted `weight` times.
    pub(in crate::history) fn add_end(&mut self, row: &Row, weight: u64) {
        let times = |count: Option<u64>| count.map(|count| count.saturating_mul(weight));
        self.requests += weight;
        self.by_outcome[row.outcome as usize] += weight;
        add(&mut self.prompt, times(row.prompt.value()));
        add(&mut self.generated, times(row.generated.value()));
        add(&mut self.cached, times(row.cached.value()));
        add(&mut self.cached_of, times(row.cached.value().and(row.prompt.value())));
        add(&mut self.reasoning, times(row.reasoning.value()));
        if row.outcome == Outcome::ClientCancelled && row.phase == Phase::Decode {
            self.wasted += times(row.generated.value()).unwrap_or(0);
        }
        self.bytes_in += row.request_bytes.saturating_mul(weight);
        self.bytes_out += row.response_bytes.saturating_mul(weight);
        self.cold += if row.cold.is_some() { weight } else { 0 };
        self.stalls += times(row.stalls.value()).unwrap_or(0);
        self.client_errors += if row.outcome == Outcome::HttpError && row.error.is_none() { weight } else { 0 };
        self.retried += if row.attempts > 1 { weight } else { 0 };
        add(&mut self.messages, times(row.messages.value()));
        add(&mut self.cost, row.cost().map(|cost| cost.saturating_mul(i64::try_from(weight).unwrap_or(i64::MAX))));
        for measure in Measure::ALL {
            if let Some(value) = value(row, measure) {
                self.sketches[measure as usize].add(value, weight);
            }
        }
    }
}

/// The value of a measure for an exchange.
fn value(row: &Row, measure: Measure) -> Option<f64> {
    match measure {
        Measure::Duration => row.duration.seconds().filter(|_| row.status < 400),
        Measure::FirstToken => row.first_token.seconds(),
        Measure::FirstTokenWarm => row.first_token.seconds().filter(|_| row.cold.is_none()),
        Measure::PerToken => row.per_token.seconds(),
        Measure::Rate => Some(f64::from(row.rate)).filter(|rate| !rate.is_nan()),
        Measure::Queue => row.queued.seconds(),
        Measure::Load => row.load.seconds().filter(|_| row.cold.is_some()),
    }
}
