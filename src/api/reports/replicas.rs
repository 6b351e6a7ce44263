//! The replicas of this program that a Prometheus scrapes.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::alert::board::AlertSource;
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, Reason};
use crate::api::vector::samples;

/// How long an answer waits for Prometheus.
const PATIENCE: Duration = Duration::from_secs(1);

/// Replicas that are looked at.
const MOST: usize = 1_000;

/// What replicas do, as Prometheus has scraped it last.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OverviewReplicas)]
pub(super) struct Replicas {
    total: usize,
    /// Since each of them has started.
    requests: u64,
    in_flight: u64,
}

/// All of them; unknown where no Prometheus is configured, or none answers at once.
pub(super) async fn replicas(parts: &Parts) -> Maybe<Replicas> {
    let Some(ask) = &parts.replicas else { return Maybe::Unknown(Reason::NotConfigured) };
    let failed = Maybe::Unknown(Reason::CollectorFailed);
    // It was asked a moment ago: nobody waits for it again.
    if matches!(parts.alerts.view().source, AlertSource::Unreachable(_)) {
        return failed;
    }
    let Ok(Ok(body)) = tokio::time::timeout(PATIENCE, ask()).await else { return failed };
    parsed(&body).map_or(failed, Maybe::Known)
}

fn parsed(body: &[u8]) -> Option<Replicas> {
    let mut replicas = Replicas::default();
    for sample in samples(body, 3 * MOST)? {
        match sample.label("what") {
            Some("requests") => replicas.requests += sample.value as u64,
            Some("in_flight") => replicas.in_flight += sample.value as u64,
            Some("up") => replicas.total += 1,
            _ => {}
        }
    }
    Some(replicas)
}
