//! A dashboard: rows of panels on the grid of 24 columns, and everything that all dashboards share.
//!
//! Promises: panels fill each row from the left without gaps; variables, links, annotations and the time range are
//! the same on every dashboard; a variable that none of its queries uses is hidden, and kept for the links to the others.
//! Left out: repeated panels.

use super::panel::{Panel, datasource};
use serde_json::{Value, json};

const COLUMNS: u64 = 24;
/// A tile's title and one line of digits.
const TILE_HEIGHT: u64 = 3;
/// Grafana's number for a variable that is neither shown nor named.
const HIDDEN: u8 = 2;

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

    /// Adds a variable that nobody chooses: a text that links are made with.
    pub(crate) fn constant(mut self, name: &str, value: &str) -> Self {
        let variables = self.json["templating"]["list"].as_array_mut().expect("it is made with a list");
        variables
            .push(json!({ "type": "constant", "name": name, "query": value, "hide": HIDDEN, "skipUrlSync": true }));
        self
    }

    /// Adds tiles of equal width, as many in a line as leave room for their titles.
    pub(crate) fn tiles(self, tiles: Vec<Panel>) -> Self {
        let width = if tiles.len().is_multiple_of(6) { 4 } else { 6 };
        self.line(TILE_HEIGHT, tiles.into_iter().map(|tile| tile.wide(width)).collect())
    }

    /// Adds panels without a heading, all of the same height; they go on in a new line when a line is full.
    pub(crate) fn line(mut self, height: u64, panels: Vec<Panel>) -> Self {
        let laid = laid_out(self.y, height, panels);
        self.y = laid.1;
        self.panels.extend(laid.0);
        self
    }

    /// Adds a heading.
    pub(crate) fn heading(mut self, title: &str) -> Self {
        self.panels.push(row(title, self.y, Vec::new()));
        self.y += 1;
        self
    }

    /// Adds a row that starts collapsed, for what is not looked at every day or has nothing to show on many machines.
    pub(crate) fn folded(mut self, title: &str, lines: Vec<(u64, Vec<Panel>)>) -> Self {
        let (mut inside, mut y) = (Vec::new(), self.y + 1);
        for (height, panels) in lines {
            let laid = laid_out(y, height, panels);
            inside.extend(laid.0);
            y = laid.1;
        }
        self.panels.push(row(title, self.y, inside));
        self.y += 1;
        self
    }

    /// The JSON.
    pub(crate) fn build(mut self) -> Value {
        let text = Value::Array(self.panels.clone()).to_string();
        for variable in self.json["templating"]["list"].as_array_mut().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap_or_default();
            let used = variable["type"] == "datasource" || text.contains(&format!(r#"=~\"${name}\""#));
            variable["hide"] = json!(if used { 0 } else { HIDDEN });
        }
        self.json["panels"] = Value::Array(self.panels);
        self.json
    }
}

/// Panels of one height from this line of the grid on, and the first line below them.
fn laid_out(mut y: u64, height: u64, panels: Vec<Panel>) -> (Vec<Value>, u64) {
    let (mut all, mut x) = (Vec::new(), 0);
    for panel in panels {
        if x + panel.width > COLUMNS {
            x = 0;
            y += height;
        }
        let width = panel.width;
        all.push(panel.at(x, y, height));
        x += width;
    }
    (all, y + height)
}

/// A heading, with the panels that it hides while it is collapsed.
fn row(title: &str, y: u64, inside: Vec<Value>) -> Value {
    let place = json!({ "x": 0, "y": y, "w": COLUMNS, "h": 1 });
    json!({ "type": "row", "title": title, "collapsed": !inside.is_empty(), "gridPos": place, "panels": inside })
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
        variable("gpu", "GPU", r#"label_values(ollama_proxy_gpu_up{job=~"$job", instance=~"$instance"}, gpu)"#),
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
