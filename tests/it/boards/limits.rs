//! Where a tile's colour stands for an alert, it changes at the alert's limit.

use super::{lint, rules, shipped_dashboards};

/// Board, tile, the value at which its colour changes, the alert, and how its expression states the limit.
const LIMITS: &[(&str, &str, f64, &str, &str)] = &[
    ("overview", "Errors", 0.05, "InferometerErrorRate", "> 0.05"),
    ("overview", "First token p95", 10.0, "InferometerSlowFirstToken", "> 10"),
    ("overview", "Waiting", 4.0, "InferometerRequestsWaiting", ">= 4"),
    ("overview", "GPU memory", 0.95, "InferometerGpuMemoryNearlyFull", "> 0.95"),
    ("model", "Cancelled", 0.5, "InferometerCancellations", "> 0.5"),
    ("model", "Cold starts", 0.2, "InferometerColdStarts", "> 0.2"),
    ("proxy", "Overhead p99", 0.02, "InferometerHighOverhead", "> 0.02"),
    ("proxy", "Label sets refused", 1.0, "InferometerSeriesDropped", "> 0"),
    ("gpu", "Fullest memory", 0.95, "InferometerGpuMemoryNearlyFull", "> 0.95"),
    ("gpu", "Memory errors", 1.0, "InferometerGpuEccUncorrected", "> 0"),
    ("gpu", "XIDs", 1.0, "InferometerGpuXidCritical", "> 0"),
    ("host", "Memory in use", 0.95, "InferometerMemoryNearlyFull", "> 0.95"),
    ("host", "CPU temperature", 90.0, "InferometerProcessorHot", "> 90"),
    ("host", "Fullest disk", 0.95, "InferometerDiskNearlyFull", "< 0.05"),
];

#[test]
fn tiles_change_their_colour_where_the_alerts_stand() {
    let (dashboards, alerts) = (shipped_dashboards(), rules::alerts());
    let mut complaints = Vec::new();
    for (board, title, limit, name, stated) in LIMITS {
        let uid = format!("inferometer-{board}");
        let dashboard = dashboards.iter().find(|it| it["uid"] == *uid).expect(board);
        let tile = lint::panels(dashboard).find(|panel| panel["title"] == *title).expect(title);
        let steps = tile["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().expect("a tile has thresholds");
        if !steps.iter().any(|step| step["value"] == *limit) {
            complaints.push(format!("{board}, {title}: no colour changes at {limit}"));
        }
        let alert = alerts.iter().find(|alert| alert.name == *name).expect(name);
        if !alert.expr.trim_end().contains(stated) {
            complaints.push(format!("{name} does not say {stated}: {}", alert.expr));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
