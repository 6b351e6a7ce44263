//! `/dashboard/infrastructure/resources/{id}`: one place in which inference processes run, and what it used in the last hour.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::common::{Metadata, of_now};
use super::resources::{self, Resource};
use crate::api::endpoints::machine::GIB;
use crate::api::error::{ApiError, Code};
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{LIST, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::machine::MachineSample;
use crate::history::timestamp::Timestamp;

/// One of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneResource {
    timestamp: String,
    #[serde(flatten)]
    resource: Resource,
    metrics: ResourceMetrics,
    metadata: Metadata,
    unknown: Unknown,
}

/// What it used in the last hour: a value every ten seconds, since it was first seen.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics {
    period: &'static str,
    interval: &'static str,
    /// When each value was read.
    timestamps: Maybe<Vec<String>>,
    /// Percent of one processor.
    cpu_history: Maybe<Vec<Maybe<f64>>>,
    /// GiB.
    ram_history: Maybe<Vec<Maybe<f64>>>,
}

/// One place in which inference processes run.
#[utoipa::path(
    get,
    path = "/dashboard/infrastructure/resources/{id}",
    params(("id" = String, Path, description = "The id of a resource."), NoParameters),
    responses(
        (status = 200, description = "One place in which inference processes run.", body = OneResource),
        (status = 404, description = "There is no such resource."),
        ApiError,
    )
)]
pub(crate) async fn resource(
    Path(id): Path<String>,
    _: Parameters<NoParameters>,
    State(parts): State<Arc<Parts>>,
) -> Result<Reply<OneResource>, ApiError> {
    let now = Instant::now();
    let found = match resources::all(parts.machine(now).as_ref(), &parts) {
        Maybe::Known(found) => found.into_iter().find(|it| it.id == id),
        Maybe::Unknown(_) => None,
    };
    let resource = found.ok_or_else(|| ApiError::new(Code::NotFound, "there is no such resource"))?;
    // The machine is read for the history.
    let metrics = match &parts.readers {
        Some(_) => ResourceMetrics::of(&resource.path, Maybe::Known(parts.recent_machine.samples())),
        None => ResourceMetrics::of(&resource.path, Maybe::Unknown(Reason::NotConfigured)),
    };
    let metadata = of_now(&parts, now);
    let body = OneResource { timestamp: parts.text(now), resource, metrics, metadata, unknown: Unknown::default() };
    Ok(Reply::of(&body, LIST))
}

impl ResourceMetrics {
    /// Of the place with this path. Where a reading did not find it, it did not run, and its use is unknown.
    fn of(path: &str, samples: Maybe<Vec<MachineSample>>) -> Self {
        let seen = samples.map(|mut samples| {
            let first = samples.iter().position(|sample| sample.places.contains_key(path)).unwrap_or(samples.len());
            samples.drain(..first);
            samples
        });
        let each = |of: &dyn Fn(&MachineSample) -> Maybe<f64>| {
            seen.as_ref().map(|samples| samples.iter().map(of).collect::<Vec<_>>())
        };
        Self {
            period: "1h",
            interval: "10s",
            timestamps: seen
                .as_ref()
                .map(|samples| samples.iter().map(|sample| Timestamp(sample.at).to_string()).collect()),
            cpu_history: each(&|sample| match sample.places.get(path) {
                Some(facts) => facts.cpu.map(|share| share * 100.0).or_unknown(Reason::NotYet),
                None => Maybe::Unknown(Reason::NoSamples),
            }),
            ram_history: each(&|sample| {
                sample.places.get(path).map(|facts| facts.memory_bytes as f64 / GIB).or_unknown(Reason::NoSamples)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::machine::PlaceFacts;

    fn sample(at: i64, places: &[(&str, Option<f64>, u64)]) -> MachineSample {
        let place = |(path, cpu, memory_bytes): &(&str, Option<f64>, u64)| {
            (Box::from(*path), PlaceFacts { cpu: *cpu, memory_bytes: *memory_bytes })
        };
        MachineSample { at, places: places.iter().map(place).collect(), ..MachineSample::default() }
    }

    #[test]
    fn a_history_begins_where_the_place_was_first_seen_and_has_gaps_where_it_was_not() {
        let samples = vec![
            sample(0, &[("b", Some(9.0), 9)]),
            sample(10_000, &[("a", None, 1 << 30), ("b", Some(9.0), 9)]),
            sample(20_000, &[("a", Some(1.5), 1 << 29)]),
            sample(30_000, &[]),
            sample(40_000, &[("a", Some(0.0), 0)]),
        ];
        let metrics = ResourceMetrics::of("a", Maybe::Known(samples));
        let (not_yet, gap) = (Maybe::Unknown(Reason::NotYet), Maybe::Unknown(Reason::NoSamples));
        assert_eq!(metrics.cpu_history, Maybe::Known(vec![not_yet, Maybe::Known(150.0), gap, Maybe::Known(0.0)]));
        assert_eq!(
            metrics.ram_history,
            Maybe::Known(vec![Maybe::Known(1.0), Maybe::Known(0.5), gap, Maybe::Known(0.0)])
        );
        let times = metrics.timestamps.known().expect("known").clone();
        assert_eq!((times.len(), &*times[0]), (4, "1970-01-01T00:00:10.000Z"));
        let off = ResourceMetrics::of("a", Maybe::Unknown(Reason::NotConfigured));
        assert_eq!(off.cpu_history, Maybe::Unknown(Reason::NotConfigured));
        assert_eq!(ResourceMetrics::of("c", Maybe::Known(vec![])).ram_history, Maybe::Known(vec![]));
    }
}
