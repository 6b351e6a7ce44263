//! The parts that others share: built first, then handed to each.

use std::io;
use std::sync::Arc;

use super::material::Material;
use super::process::Process;
use super::{history, metrics, monitor};
use crate::admin::ready::Readiness;
use crate::alert::board::Board;
use crate::api::machines::Machines;
use crate::api::peers::Peers;
use crate::backend::catalogue::Catalogue;
use crate::backend::monitor::Monitors;
use crate::config::Config;
use crate::exchange::residency::Residency;
use crate::history::History;
use crate::history::in_flight::InFlight;
use crate::history::readers::Readers;
use crate::history::recent::Recent;
use crate::history::replica::ReplicaThread;
use crate::logs::access::AccessLog;
use crate::metrics::Metrics;
use crate::proxy::HeldBodies;

pub(super) struct Components {
    pub(super) monitors: Monitors,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) residency: Arc<Residency>,
    pub(super) in_flight: InFlight,
    pub(super) recent: Recent,
    /// What is known of alerts.
    pub(super) alerts: Board,
    /// What other programs of this kind have said.
    pub(super) peers: Peers,
    /// What Prometheus says of other machines.
    pub(super) machines: Machines,
    pub(super) history: History,
    /// `None` where nothing is kept.
    pub(super) readers: Option<Readers>,
    /// `None` where nothing is copied.
    pub(super) copy: Option<ReplicaThread>,
    pub(super) access_log: AccessLog,
    pub(super) readiness: Arc<Readiness>,
    /// Bytes of bodies whose backend is not chosen yet.
    pub(super) held: HeldBodies,
}

impl Components {
    pub(super) fn build(config: &Config, material: &Material, process: &Process) -> io::Result<Self> {
        let catalogue = Arc::new(Catalogue::new(config.max_models));
        let (metrics, history) =
            (metrics::build(config, catalogue.clone()), history::start(config, catalogue.clone())?);
        metrics.watch_history(history.state());
        super::history::keep_log(&history, &process.log_lines);
        Ok(Self {
            monitors: Monitors::new(config.members().iter().map(|member| monitor::build(member, material)).collect()),
            metrics,
            residency: Arc::default(),
            in_flight: InFlight::default(),
            recent: Recent::default(),
            alerts: Board::default(),
            peers: Peers::default(),
            machines: Machines::default(),
            readers: history::readers(config)?,
            copy: history::copy(config, &history)?,
            history,
            access_log: AccessLog::new(config.access_log),
            readiness: Arc::default(),
            held: HeldBodies::default(),
            catalogue,
        })
    }
}
