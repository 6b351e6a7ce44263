//! Prometheus, promtool, Alertmanager and VictoriaMetrics: those on the `PATH`, else those that `make setup` unpacked.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How to have them.
const HOW_TO_HAVE_IT: &str = "`make setup` unpacks it on Debian and Ubuntu; elsewhere: https://prometheus.io/download/";

/// Prometheus, about to be run.
#[allow(dead_code, reason = "the unit tests, which share this file, run promtool only")]
pub(crate) fn prometheus() -> Command {
    Command::new(find("prometheus"))
}

/// promtool, about to be run.
pub(crate) fn promtool() -> Command {
    Command::new(find("promtool"))
}

/// Alertmanager, about to be run.
#[allow(dead_code, reason = "the unit tests, which share this file, run promtool only")]
pub(crate) fn alertmanager() -> Command {
    let mut command = Command::new(find("prometheus-alertmanager"));
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/alertmanager");
    if unpacked.is_dir() {
        // Its templates are below it.
        command.current_dir(unpacked);
    }
    command
}

/// VictoriaMetrics, about to be run.
#[allow(dead_code, reason = "the unit tests, which share this file, run promtool only")]
pub(crate) fn victoria_metrics() -> Command {
    Command::new(find("victoria-metrics"))
}

/// vmalert, about to be run: it evaluates rules for VictoriaMetrics, and comes with it.
#[allow(dead_code, reason = "the unit tests, which share this file, run promtool only")]
pub(crate) fn vmalert() -> Command {
    Command::new(find("vmalert"))
}

fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let unpacked = ["prometheus", "alertmanager", "victoria-metrics"].map(|folder| target.join(folder).join("usr/bin"));
    let places = std::env::split_paths(&path).chain(unpacked);
    let found = places.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{name} is not there: {HOW_TO_HAVE_IT}"))
}
