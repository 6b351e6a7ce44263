//! A dashboard: rows of panels on the grid of 24 columns, and everything that all dashboards share.
//!
//! Promises: panels fill each row from the left without gaps; variables, links, annotations and the time range are
//! the same on every dashboard. Left out: collapsed rows, repeated panels.

use super::panel::{Panel, datasource};
use serde_json::{Value, json};

const COLUMNS: u64 = 24;

/// A dashboard that is being laid out, row by row.
pub(crate) struct Dashboard {
    json: Value,
    panels: Vec<Value>,
    y: u64,
}

impl Dashboard {
    /// An empty one. The uid is part of every link to it and never changes.
    pub(crate) fn new(uid: &str, title: &str, description: &str) -> Self {
        let json = json!({
            "uid": uid, "title": title, "description": description, "tags": ["inferometer"],
            "schemaVersion": 40, "version": 1, "editable": false, "graphTooltip": 1, "liveNow": false,
            "time": { "from": "now-30m", "to": "now" }, "refresh": "10s", "timezone": "browser",
            "timepicker": { "refresh_intervals": ["5s", "10s", "30s", "1m", "5m", "15m"] },
            "fiscalYearStartMonth": 0, "weekStart": "",
            "links": links(), "annotations": { "list": annotations() }, "templating": { "list": variables() },
        });
        Self { json, panels: Vec::new(), y: 0 }
    }

    /// Adds panels without a heading, all of the same height; they go on in a new line when a line is full.
    pub(crate) fn line(mut self, height: u64, panels: Vec<Panel>) -> Self {
        let mut x = 0;
        for panel in panels {
            if x + panel.width > COLUMNS {
                x = 0;
                self.y += height;
            }
            let width = panel.width;
            self.panels.push(panel.at(x, self.y, height));
            x += width;
        }
        self.y += height;
        self
    }

    /// Adds a heading.
    pub(crate) fn heading(mut self, title: &str) -> Self {
        let place = json!({ "x": 0, "y": self.y, "w": COLUMNS, "h": 1 });
        self.panels.push(json!({ "type": "row", "title": title, "collapsed": false, "gridPos": place, "panels": [] }));
        self.y += 1;
        self
    }

    /// The JSON.
    pub(crate) fn build(mut self) -> Value {
        self.json["panels"] = Value::Array(self.panels);
        self.json
    }
}

/// To the other dashboards of this project, with the same variables and time range.
fn links() -> Value {
    json!([{
        "type": "dashboards", "title": "Inferometer", "tags": ["inferometer"], "icon": "external link",
        "asDropdown": true, "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
    }])
}

fn annotations() -> Value {
    json!([
        {
            "name": "Alerts", "enable": true, "hide": false, "iconColor": "red", "datasource": datasource(),
            "expr": r#"ALERTS{alertname=~"Inferometer.+", alertstate="firing", job=~"$job", instance=~"$instance"}"#,
            "step": "30s", "titleFormat": "{{alertname}}", "textFormat": "{{backend}} {{model}}", "tagKeys": "severity",
        },
        {
            "name": "Proxy started", "enable": true, "hide": false, "iconColor": "blue", "datasource": datasource(),
            "expr": r#"ollama_proxy_start_time_seconds{job=~"$job", instance=~"$instance"} * 1000"#,
            "step": "60s", "titleFormat": "Proxy started", "textFormat": "{{instance}}", "useValueForTime": true,
        },
    ])
}

fn variables() -> Value {
    json!([
        {
            "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "options": [], "refresh": 1, "regex": "", "hide": 0, "includeAll": false, "multi": false,
        },
        variable("job", "Job", "label_values(ollama_proxy_build_info, job)"),
        variable("instance", "Instance", r#"label_values(ollama_proxy_build_info{job=~"$job"}, instance)"#),
        variable(
            "backend",
            "Backend",
            r#"label_values(ollama_proxy_backend_up{job=~"$job", instance=~"$instance"}, backend)"#,
        ),
        variable(
            "model",
            "Model",
            r#"label_values(ollama_proxy_requests_total{job=~"$job", instance=~"$instance", backend=~"$backend"}, model)"#,
        ),
    ])
}

/// A variable of several values. "All" is `.*`, which also matches requests without a model.
fn variable(name: &str, label: &str, query: &str) -> Value {
    json!({
        "type": "query", "name": name, "label": label, "datasource": datasource(), "definition": query,
        "query": { "qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery" },
        "includeAll": true, "multi": true, "allValue": ".*", "current": { "text": ["All"], "value": ["$__all"] },
        "options": [], "refresh": 2, "regex": "/.+/", "sort": 1, "hide": 0,
    })
}
