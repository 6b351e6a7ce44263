//! The parts that others share: built first, then handed to each.

use std::io;
use std::sync::Arc;

use super::material::Material;
use super::process::Process;
use super::{history, metrics, monitor};
use crate::admin::ready::Readiness;
use crate::backend::catalogue::Catalogue;
use crate::backend::monitor::Monitor;
use crate::config::Config;
use crate::exchange::residency::Residency;
use crate::history::History;
use crate::history::in_flight::InFlight;
use crate::history::readers::Readers;
use crate::history::replica::ReplicaThread;
use crate::logs::access::AccessLog;
use crate::metrics::Metrics;

pub(super) struct Components {
    pub(super) monitors: Vec<Arc<Monitor>>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) residency: Arc<Residency>,
    pub(super) in_flight: InFlight,
    pub(super) history: History,
    /// `None` where nothing is kept.
    pub(super) readers: Option<Readers>,
    /// `None` where nothing is copied.
    pub(super) copy: Option<ReplicaThread>,
    pub(super) access_log: AccessLog,
    pub(super) readiness: Arc<Readiness>,
}

impl Components {
    pub(super) fn build(config: &Config, material: &Material, process: &Process) -> io::Result<Self> {
        let catalogue = Arc::new(Catalogue::new(config.max_models));
        let (metrics, history) =
            (metrics::build(config, catalogue.clone()), history::start(config, catalogue.clone())?);
        metrics.watch_history(history.state());
        super::history::keep_log(&history, &process.log_lines);
        Ok(Self {
            monitors: config.backends.iter().map(|backend| monitor::build(config, backend, material)).collect(),
            metrics,
            residency: Arc::default(),
            in_flight: InFlight::default(),
            readers: history::readers(config)?,
            copy: history::copy(config, &history)?,
            history,
            access_log: AccessLog::new(config.access_log),
            readiness: Arc::default(),
            catalogue,
        })
    }
}
