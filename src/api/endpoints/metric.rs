//! The metrics of which there are series: sums of exchanges, percentiles of their measures, and means of the machine.

use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::api::error::ApiError;
use crate::api::parameters::invalid;
use crate::exchange::outcome::Outcome;
use crate::history::machine::{Fact, Facts};
use crate::history::rollup::{Measure, Sums};

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Metric {
    Sum(Sum),
    Percentile(Measure, Statistic),
    Machine(Fact),
    /// Of GPUs and processors, in joules; of one of both where the other is not measured.
    Energy,
    /// The same for each token that was generated.
    EnergyPerToken,
}

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    Requests,
    RequestRate,
    Failed,
    FailedPercent,
    Cancelled,
    CancelledPercent,
    Active,
    PromptTokens,
    GeneratedTokens,
    CachedTokens,
    CachedPercent,
    ReasoningTokens,
    WastedTokens,
    GeneratedRate,
    RequestBytes,
    ResponseBytes,
    ColdStarts,
    Stalls,
    Cost,
}

impl Sum {
    const ALL: [(Self, &'static str, &'static str); 19] = [
        (Self::Requests, "requests", "count"),
        (Self::RequestRate, "request_rate", "count/s"),
        (Self::Failed, "failed", "count"),
        (Self::FailedPercent, "failed_percent", "percent"),
        (Self::Cancelled, "cancelled", "count"),
        (Self::CancelledPercent, "cancelled_percent", "percent"),
        (Self::Active, "active", "count"),
        (Self::PromptTokens, "prompt_tokens", "count"),
        (Self::GeneratedTokens, "generated_tokens", "count"),
        (Self::CachedTokens, "cached_tokens", "count"),
        (Self::CachedPercent, "cached_percent", "percent"),
        (Self::ReasoningTokens, "reasoning_tokens", "count"),
        (Self::WastedTokens, "wasted_tokens", "count"),
        (Self::GeneratedRate, "generated_rate", "tokens/s"),
        (Self::RequestBytes, "request_bytes", "bytes"),
        (Self::ResponseBytes, "response_bytes", "bytes"),
        (Self::ColdStarts, "cold_starts", "count"),
        (Self::Stalls, "stalls", "count"),
        (Self::Cost, "cost", "cost"),
    ];

    fn of(self, sums: &Sums, seconds: f64) -> Option<f64> {
        let count = |outcome: Outcome| sums.by_outcome[outcome as usize];
        let requests = sums.requests;
        let cancelled = count(Outcome::ClientCancelled);
        let failed = sums.failed();
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64 * 100.0);
        match self {
            Self::Requests => Some(requests as f64),
            Self::RequestRate => Some(requests as f64 / seconds),
            Self::Failed => Some(failed as f64),
            Self::FailedPercent => share(failed, requests),
            Self::Cancelled => Some(cancelled as f64),
            Self::CancelledPercent => share(cancelled, requests),
            Self::Active => Some(sums.busy_us as f64 / 1e6 / seconds),
            Self::PromptTokens => sums.prompt.map(|tokens| tokens as f64),
            Self::GeneratedTokens => sums.generated.map(|tokens| tokens as f64),
            Self::CachedTokens => sums.cached.map(|tokens| tokens as f64),
            Self::CachedPercent => sums.cached.zip(sums.cached_of).and_then(|(cached, prompt)| share(cached, prompt)),
            Self::ReasoningTokens => sums.reasoning.map(|tokens| tokens as f64),
            Self::WastedTokens => Some(sums.wasted as f64),
            Self::GeneratedRate => sums.generated.map(|tokens| tokens as f64 / seconds),
            Self::RequestBytes => Some(sums.bytes_in as f64),
            Self::ResponseBytes => Some(sums.bytes_out as f64),
            Self::ColdStarts => Some(sums.cold as f64),
            Self::Stalls => Some(sums.stalls as f64),
            Self::Cost => sums.cost.map(|nano| nano as f64 / 1e9),
        }
    }
}

const fn named(fact: Fact) -> (&'static str, &'static str, f64) {
    match fact {
        Fact::Cpu => ("cpu_percent", "percent", 100.0),
        Fact::Memory => ("memory_used", "bytes", 1.0),
        Fact::Pressure => ("memory_pressure_percent", "percent", 100.0),
        Fact::DiskRead => ("disk_read", "bytes/s", 1.0),
        Fact::DiskWritten => ("disk_written", "bytes/s", 1.0),
        Fact::NetReceived => ("network_received", "bytes/s", 1.0),
        Fact::NetSent => ("network_sent", "bytes/s", 1.0),
        Fact::Gpu => ("gpu_percent", "percent", 100.0),
        Fact::GpuMemory => ("gpu_memory_used", "bytes", 1.0),
        Fact::GpuWatts => ("gpu_watts", "watts", 1.0),
        Fact::GpuCelsius => ("gpu_celsius", "celsius", 1.0),
        Fact::CpuWatts => ("cpu_watts", "watts", 1.0),
        Fact::CpuCelsius => ("cpu_celsius", "celsius", 1.0),
    }
}

/// The watts of GPUs and processors together; of what is measured of both.
fn watts(facts: &Facts) -> Option<f64> {
    match [Fact::GpuWatts, Fact::CpuWatts].map(|fact| facts[fact as usize]) {
        [None, None] => None,
        [gpus, processors] => Some(gpus.unwrap_or(0.0) + processors.unwrap_or(0.0)),
    }
}

/// What is taken of the values of a measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistic {
    Mean,
    Quantile(f64),
}

const STATISTICS: [(Statistic, &str); 5] = [
    (Statistic::Mean, "mean"),
    (Statistic::Quantile(0.5), "p50"),
    (Statistic::Quantile(0.9), "p90"),
    (Statistic::Quantile(0.95), "p95"),
    (Statistic::Quantile(0.99), "p99"),
];

/// Most metrics of one answer.
const MAX_METRICS: usize = 20;

/// The schema of a parameter that [`Metric::parse_list`] reads.
pub(super) enum Names {}

impl PartialSchema for Names {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Metric::all().map(Metric::name)));
        ArrayBuilder::new().items(name).min_items(Some(1)).max_items(Some(MAX_METRICS)).into()
    }
}

impl ToSchema for Names {}

impl Metric {
    fn all() -> impl Iterator<Item = Self> {
        let percentile = |measure| STATISTICS.map(|(statistic, _)| Self::Percentile(measure, statistic));
        let sums = Sum::ALL.into_iter().map(|(sum, ..)| Self::Sum(sum));
        let machine = Fact::ALL.into_iter().map(Self::Machine).chain([Self::Energy, Self::EnergyPerToken]);
        sums.chain(Measure::ALL.into_iter().flat_map(percentile)).chain(machine)
    }

    /// Whether it is one of the machine, which no filter divides.
    pub(super) const fn is_of_machine(self) -> bool {
        matches!(self, Self::Machine(_) | Self::Energy | Self::EnergyPerToken)
    }

    /// Names with commas between them.
    pub(super) fn parse_list(names: &str) -> Result<Vec<Self>, ApiError> {
        let unknown = |name: &str| {
            let all: Vec<_> = Self::all().map(Self::name).collect();
            invalid("metrics", &format!("there is no metric {name:?}"), &json!(all))
        };
        let parse = |name: &str| Self::all().find(|metric| metric.name() == name).ok_or_else(|| unknown(name));
        let metrics: Vec<_> = names.split(',').map(parse).collect::<Result<_, _>>()?;
        if metrics.len() > MAX_METRICS {
            return Err(invalid("metrics", "these are too many", &json!({"maximum": MAX_METRICS})));
        }
        Ok(metrics)
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Sum(sum) => Self::row(sum).1.to_owned(),
            Self::Percentile(measure, statistic) => {
                let found = STATISTICS.iter().find(|(known, _)| *known == statistic);
                format!("{}_{}", measure.as_str(), found.map_or("", |(_, name)| name))
            }
            Self::Machine(fact) => named(fact).0.to_owned(),
            Self::Energy => "energy".to_owned(),
            Self::EnergyPerToken => "energy_per_token".to_owned(),
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Sum(sum) => Self::row(sum).2,
            Self::Percentile(Measure::Rate, _) => "tokens/s",
            Self::Percentile(..) => "ms",
            Self::Machine(fact) => named(fact).1,
            Self::Energy | Self::EnergyPerToken => "joules",
        }
    }

    fn row(sum: Sum) -> (Sum, &'static str, &'static str) {
        Sum::ALL.into_iter().find(|(known, ..)| *known == sum).expect("every sum has a row")
    }

    /// Its value in an interval; `None` where the program did not run, or nothing of the kind was measured. `seconds` is how
    /// long the interval is, or has been going on; `facts` are the means of the machine in it.
    pub(super) fn of(self, sums: Option<&Sums>, facts: Option<&Facts>, seconds: f64) -> Option<f64> {
        match self {
            Self::Sum(sum) => sum.of(sums?, seconds),
            Self::Machine(fact) => facts?[fact as usize].map(|value| value * named(fact).2),
            Self::Energy => watts(facts?).map(|watts| watts * seconds),
            Self::EnergyPerToken => {
                let tokens = sums?.generated.filter(|tokens| *tokens > 0)?;
                watts(facts?).map(|watts| watts * seconds / tokens as f64)
            }
            Self::Percentile(measure, statistic) => {
                let sketch = sums?.sketch(measure);
                let value = match statistic {
                    Statistic::Mean if sketch.count() == 0 => None,
                    Statistic::Mean => sketch.sum().map(|sum| sum / sketch.count() as f64),
                    Statistic::Quantile(share) => sketch.quantile(share),
                };
                // Measures are kept in seconds.
                value.map(|value| if measure == Measure::Rate { value } else { value * 1e3 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own_and_is_found_by_it() {
        let names: Vec<_> = Metric::all().map(Metric::name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for metric in Metric::all() {
            assert_eq!(Metric::parse_list(&metric.name()), Ok(vec![metric]));
        }
        assert_eq!(Metric::parse_list("ttft_p95").map(|metrics| metrics[0].unit()), Ok("ms"));
        for wrong in ["", "nonsense", "requests,", "ttft_p42", &names.join(",")] {
            assert_eq!(
                Metric::parse_list(wrong).expect_err("it is refused").details["parameter"],
                "metrics",
                "{wrong}"
            );
        }
    }

    #[test]
    fn of_nothing_counts_are_zero_and_shares_are_unknown() {
        let of = |name: &str| Metric::parse_list(name).expect("a metric")[0].of(Some(&Sums::default()), None, 60.0);
        for zero in ["requests", "request_rate", "failed", "active", "wasted_tokens", "cold_starts"] {
            assert_eq!(of(zero), Some(0.0), "{zero}");
        }
        for unknown in ["failed_percent", "prompt_tokens", "cached_percent", "cost", "ttft_mean", "ttft_p95", "tps_p50"]
        {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn energy_is_that_of_what_is_measured_and_a_token_has_its_part() {
        let mut facts: Facts = [None; Fact::ALL.len()];
        let sums = Sums { generated: Some(60), ..Sums::default() };
        let of = |name: &str, facts: &Facts, sums: &Sums| {
            Metric::parse_list(name).expect("a metric")[0].of(Some(sums), Some(facts), 60.0)
        };
        assert_eq!((of("energy", &facts, &sums), of("energy_per_token", &facts, &sums)), (None, None));
        facts[Fact::GpuWatts as usize] = Some(200.0);
        assert_eq!((of("energy", &facts, &sums), of("energy_per_token", &facts, &sums)), (Some(12e3), Some(200.0)));
        facts[Fact::CpuWatts as usize] = Some(50.0);
        facts[Fact::Cpu as usize] = Some(0.5);
        assert_eq!((of("energy", &facts, &sums), of("cpu_percent", &facts, &sums)), (Some(15e3), Some(50.0)));
        assert_eq!(of("energy_per_token", &facts, &Sums::default()), None, "nothing was generated");
    }
}
