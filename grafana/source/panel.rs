//! Panels in the shape Grafana stores them.
//!
//! Promises: one look for each kind of panel, so that a dashboard states only what differs. Left out: kinds and
//! options that no dashboard here uses.

use serde_json::{Value, json};

/// The Grafana whose options these are; without it Grafana migrates them as if they were of version 6.
const PLUGIN_VERSION: &str = "11.6.0";

/// Units as Grafana names them.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Durations; Grafana picks ms, s or min.
    Seconds,
    /// A share of 1, shown in percent.
    Share,
    /// Requests (or errors) per second.
    RequestsPerSecond,
    /// Tokens per second.
    TokensPerSecond,
    /// A count.
    Count,
    /// Bytes; Grafana picks KiB, MiB and so on.
    Bytes,
    /// A moment, in milliseconds since 1970, shown as what lies between it and now.
    FromNow,
    /// Bytes per second.
    BytesPerSecond,
    /// Reads and writes per second.
    OperationsPerSecond,
    /// Watts.
    Watts,
    /// Degrees Celsius.
    Celsius,
    /// Hertz; Grafana picks MHz or GHz.
    Hertz,
    /// Joules.
    Joules,
    /// Joules for each token.
    JoulesPerToken,
    /// Tokens for each joule.
    TokensPerJoule,
    /// Money in whatever currency was configured.
    Money,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Share => "percentunit",
            Self::RequestsPerSecond => "reqps",
            Self::TokensPerSecond => "suffix: tok/s",
            Self::Count => "short",
            Self::Bytes => "bytes",
            Self::FromNow => "dateTimeFromNow",
            Self::BytesPerSecond => "Bps",
            Self::OperationsPerSecond => "iops",
            Self::Watts => "watt",
            Self::Celsius => "celsius",
            Self::Hertz => "hertz",
            Self::Joules => "joule",
            Self::JoulesPerToken => "suffix: J/tok",
            Self::TokensPerJoule => "suffix: tok/J",
            Self::Money => "short",
        }
    }
}

/// Colours of the quantiles, everywhere the same: calm, attention, worst.
const QUANTILES: &[(f64, &str, &str)] = &[(0.5, "p50", "#73BF69"), (0.95, "p95", "#FF9830"), (0.99, "p99", "#F2495C")];

/// A panel on the way to its JSON.
pub(crate) struct Panel {
    json: Value,
    /// In columns of 24.
    pub(crate) width: u64,
}

impl Panel {
    /// Lines over time, a third of the width.
    pub(crate) fn series(title: &str, description: &str, unit: Unit) -> Self {
        let mut panel = Self::new("timeseries", title, description, unit, 8);
        panel.json["fieldConfig"]["defaults"]["min"] = json!(0);
        panel.json["fieldConfig"]["defaults"]["color"] = json!({ "mode": "palette-classic-by-name" });
        panel.json["fieldConfig"]["defaults"]["custom"] = json!({
            "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 2, "fillOpacity": 10,
            "gradientMode": "opacity", "showPoints": "never", "spanNulls": false, "axisSoftMin": 0,
            "stacking": { "group": "A", "mode": "none" }, "thresholdsStyle": { "mode": "off" },
        });
        panel.json["options"] = json!({
            "legend": {
                "displayMode": "table", "placement": "bottom", "showLegend": true,
                "calcs": ["mean", "max", "lastNotNull"], "sortBy": "Max", "sortDesc": true,
            },
            "tooltip": { "mode": "multi", "sort": "desc" },
        });
        panel
    }

    /// One number with a spark line, an eighth of the width.
    pub(crate) fn stat(title: &str, description: &str, unit: Unit) -> Self {
        let mut panel = Self::new("stat", title, description, unit, 3);
        panel.json["fieldConfig"]["defaults"]["color"] = json!({ "mode": "thresholds" });
        panel.json["fieldConfig"]["defaults"]["noValue"] = json!("–");
        panel.json["options"] = json!({
            "colorMode": "value", "graphMode": "area", "justifyMode": "center", "orientation": "auto",
            "textMode": "value", "wideLayout": true,
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
        });
        panel
    }

    /// States over time as coloured bands.
    pub(crate) fn timeline(title: &str, description: &str) -> Self {
        let mut panel = Self::new("state-timeline", title, description, Unit::Count, 8);
        panel.json["fieldConfig"]["defaults"]["color"] = json!({ "mode": "thresholds" });
        panel.json["fieldConfig"]["defaults"]["custom"] = json!({ "fillOpacity": 80, "lineWidth": 0 });
        panel.json["options"] = json!({
            "alignValue": "left", "mergeValues": true, "rowHeight": 0.8, "showValue": "auto",
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": [] },
            "tooltip": { "mode": "single", "sort": "none" },
        });
        panel
    }

    /// The distribution of a histogram over time.
    pub(crate) fn heatmap(title: &str, description: &str, unit: Unit) -> Self {
        let mut panel = Self::new("heatmap", title, description, Unit::Count, 12);
        panel.json["options"] = json!({
            "calculate": false, "cellGap": 1, "filterValues": { "le": 1e-9 },
            "color": { "mode": "scheme", "scheme": "Turbo", "steps": 64, "exponent": 0.5, "scale": "exponential",
                "fill": "dark-orange", "reverse": false },
            "rowsFrame": { "layout": "auto" }, "showValue": "never",
            "yAxis": { "axisPlacement": "left", "unit": unit.as_str() },
            "legend": { "show": true }, "tooltip": { "mode": "single", "yHistogram": true },
        });
        panel
    }

    /// One row a label value, one column a query, over the whole width.
    pub(crate) fn table(title: &str, description: &str) -> Self {
        let mut panel = Self::new("table", title, description, Unit::Count, 24);
        panel.json["fieldConfig"]["defaults"]["noValue"] = json!("–");
        panel.json["fieldConfig"]["defaults"]["custom"] =
            json!({ "align": "auto", "cellOptions": { "type": "auto" }, "filterable": false });
        panel.json["options"] = json!({ "cellHeight": "sm", "showHeader": true });
        panel.json["transformations"] = json!([
            { "id": "merge", "options": {} },
            { "id": "organize", "options": { "excludeByName": { "Time": true }, "renameByName": {}, "indexByName": {} } },
        ]);
        panel
    }

    /// Another width than that of its kind, in columns of 24.
    pub(crate) fn wide(self, width: u64) -> Self {
        Self { width, ..self }
    }

    /// Adds a query and how its series are called.
    pub(crate) fn query(mut self, expr: &str, legend: &str) -> Self {
        let format = if self.json["type"] == "heatmap" { "heatmap" } else { "time_series" };
        self.push(json!({ "expr": expr, "legendFormat": legend, "range": true, "format": format }));
        self
    }

    /// Adds one query a quantile, in its colour. `expr` makes the query from the quantile.
    pub(crate) fn quantiles(self, expr: impl Fn(f64) -> String) -> Self {
        let panel =
            QUANTILES.iter().fold(self, |panel, (q, name, colour)| panel.query(&expr(*q), name).colour(name, colour));
        panel.with_exemplars()
    }

    /// Shows single exchanges beside the lines, where the histogram of the last query has kept some.
    fn with_exemplars(mut self) -> Self {
        let targets = self.json["targets"].as_array_mut().expect("a panel is made with a list of targets");
        targets.last_mut().expect("a query was added")["exemplar"] = json!(true);
        self
    }

    /// Adds a column to a table: the value of an instant query, with further field properties.
    pub(crate) fn column(mut self, title: &str, expr: &str, unit: Unit, properties: Value) -> Self {
        let id = self.push(json!({ "expr": expr, "instant": true, "range": false, "format": "table" }));
        self.name_column(&format!("Value #{id}"), title);
        let mut all = vec![json!({ "id": "unit", "value": unit.as_str() })];
        all.extend(properties.as_array().cloned().unwrap_or_default());
        self.override_by_name(title, Value::Array(all));
        self
    }

    /// Names the column of a label in a table and sets its properties.
    pub(crate) fn label_column(mut self, label: &str, title: &str, properties: Value) -> Self {
        self.name_column(label, title);
        self.override_by_name(title, properties);
        self
    }

    /// The next column from the left; Grafana would sort labels by name.
    fn name_column(&mut self, field: &str, title: &str) {
        let options = &mut self.json["transformations"][1]["options"];
        options["renameByName"][field] = json!(title);
        let next = options["indexByName"].as_object().map_or(0, serde_json::Map::len);
        options["indexByName"][field] = json!(next);
    }

    /// Rows of a table sorted by this column, the largest first.
    pub(crate) fn sorted_by(mut self, title: &str) -> Self {
        self.json["options"]["sortBy"] = json!([{ "displayName": title, "desc": true }]);
        self
    }

    /// Areas on top of one another instead of lines.
    pub(crate) fn stacked(mut self) -> Self {
        let custom = &mut self.json["fieldConfig"]["defaults"]["custom"];
        custom["stacking"]["mode"] = json!("normal");
        custom["fillOpacity"] = json!(55);
        custom["lineWidth"] = json!(1);
        custom["gradientMode"] = json!("none");
        self
    }

    /// Bars instead of lines, for things that happen now and then.
    pub(crate) fn bars(self) -> Self {
        let mut panel = self.stacked();
        panel.json["fieldConfig"]["defaults"]["custom"]["drawStyle"] = json!("bars");
        panel
    }

    /// The colour of one series.
    pub(crate) fn colour(mut self, series: &str, colour: &str) -> Self {
        let fixed = json!([{ "id": "color", "value": { "mode": "fixed", "fixedColor": colour } }]);
        self.override_by_name(series, fixed);
        self
    }

    /// Colours from a value on; the first colour holds below all of them.
    pub(crate) fn thresholds(mut self, base: &str, steps: &[(f64, &str)]) -> Self {
        let mut all = vec![json!({ "color": base, "value": null })];
        all.extend(steps.iter().map(|(from, colour)| json!({ "color": colour, "value": from })));
        let defaults = &mut self.json["fieldConfig"]["defaults"];
        defaults["thresholds"] = json!({ "mode": "absolute", "steps": all });
        if self.json["type"] == "timeseries" {
            // Lines have colours of their own: there a limit is a line too.
            self.json["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] = json!("dashed");
        }
        self
    }

    /// Words instead of numbers.
    pub(crate) fn words(mut self, words: &[(&str, &str, &str)]) -> Self {
        let options: serde_json::Map<_, _> = words
            .iter()
            .enumerate()
            .map(|(index, (value, text, colour))| {
                ((*value).to_owned(), json!({ "text": text, "color": colour, "index": index }))
            })
            .collect();
        self.json["fieldConfig"]["defaults"]["mappings"] = json!([{ "type": "value", "options": options }]);
        self
    }

    /// A stat that is all colour, without a spark line: for states.
    pub(crate) fn filled(mut self) -> Self {
        self.json["options"]["colorMode"] = json!("background");
        self.json["options"]["graphMode"] = json!("none");
        self
    }

    /// The JSON of the panel at its place in the grid.
    pub(crate) fn at(mut self, x: u64, y: u64, height: u64) -> Value {
        self.json["gridPos"] = json!({ "x": x, "y": y, "w": self.width, "h": height });
        self.json
    }

    fn new(kind: &str, title: &str, description: &str, unit: Unit, width: u64) -> Self {
        let json = json!({
            "type": kind, "pluginVersion": PLUGIN_VERSION, "title": title, "description": description, "datasource": datasource(), "targets": [],
            "fieldConfig": {
                "defaults": {
                    "unit": unit.as_str(), "mappings": [],
                    "thresholds": { "mode": "absolute", "steps": [{ "color": "green", "value": null }] },
                },
                "overrides": [],
            },
            "options": {},
        });
        Self { json, width }
    }

    /// Adds a target and gives its letter.
    fn push(&mut self, mut target: Value) -> char {
        let targets = self.json["targets"].as_array_mut().expect("a panel is made with a list of targets");
        let id = ('A'..='Z').nth(targets.len()).expect("no panel has more than 26 queries");
        target["refId"] = json!(id.to_string());
        target["datasource"] = datasource();
        target["editorMode"] = json!("code");
        targets.push(target);
        id
    }

    fn override_by_name(&mut self, name: &str, properties: Value) {
        let overrides = self.json["fieldConfig"]["overrides"].as_array_mut().expect("a panel is made with overrides");
        overrides.push(json!({ "matcher": { "id": "byName", "options": name }, "properties": properties }));
    }
}

/// The data source that the dashboard's variable names.
pub(crate) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}
