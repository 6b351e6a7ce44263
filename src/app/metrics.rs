//! Builds the registry of metrics from the configuration.

use std::sync::Arc;
use std::time::SystemTime;

use crate::backend::catalogue::Catalogue;
use crate::cli::{REVISION, VERSION};
use crate::config::{self, Config};
use crate::metrics::{self, Metrics};

pub(super) fn build(config: &Config, catalogue: Arc<Catalogue>) -> Arc<Metrics> {
    let settings = metrics::Settings {
        build: metrics::Build {
            version: VERSION,
            revision: REVISION.unwrap_or_default(),
            rustc: env!("INFEROMETER_RUSTC"),
        },
        started: SystemTime::now(),
        max_histograms: metrics::DEFAULT_MAX_HISTOGRAMS,
        max_series: metrics::DEFAULT_MAX_SERIES,
    };
    let backends: Vec<Arc<str>> = config.members().into_iter().map(|member| member.backend.name).collect();
    let metrics = Metrics::with_buckets(settings, &buckets(&config.buckets), &backends, catalogue);
    metrics.config_loaded(true, SystemTime::now());
    metrics
}

fn buckets(configured: &config::Buckets) -> metrics::Buckets {
    let own = |bounds: &Option<config::Bounds>| bounds.as_ref().map(|bounds| bounds.as_slice().to_vec());
    metrics::Buckets {
        duration: own(&configured.duration),
        first_token: own(&configured.first_token),
        token: own(&configured.token),
        load: own(&configured.load),
        rate: own(&configured.rate),
        overhead: own(&configured.overhead),
        size: own(&configured.size),
        context: own(&configured.context),
    }
}
