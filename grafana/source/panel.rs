//! Panels in the shape Grafana stores them.
//!
//! Promises: one look for each kind of panel, so that a dashboard states only what differs. Left out: kinds and
//! options that no dashboard here uses.

use super::query::NO_MODEL;
use serde_json::{Value, json};

/// The Grafana whose options these are; without it Grafana migrates them as if they were of version 6.
const PLUGIN_VERSION: &str = "11.6.0";

/// Step of what is counted by events, unless the time range shown wants a longer one: several scrapes, and bars that can
/// be told apart.
const EVENTS_INTERVAL: &str = "1m";
/// What a tile looks back on, unless the time range shown has longer steps: more than one request, and still now.
const TILE_INTERVAL: &str = "1m";
/// Least width of a table's column, in pixels; Grafana's own is 150, with which half of them do not fit.
const COLUMN_WIDTH: u16 = 80;
/// Height of a panel of lines or bars whose legend has three rows.
pub(crate) const GRAPH: u64 = 9;

/// Units as Grafana names them.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Unit {
    /// Durations; Grafana picks ms, s or min.
    Seconds,
    /// A share of 1, shown in percent.
    Share,
    /// Requests per second.
    RequestsPerSecond,
    /// Tokens per second.
    TokensPerSecond,
    /// A count, in full.
    Count,
    /// A large count; Grafana picks K, Mil and so on.
    Large,
    /// A mean of counts.
    Mean,
    /// Cores in use.
    Cores,
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
    /// Watt-hours; Grafana picks Wh or kWh.
    WattHours,
    /// Joules for each token.
    JoulesPerToken,
    /// Money; the currency is in the series' names.
    Money,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Share => "percentunit",
            Self::RequestsPerSecond => "reqps",
            Self::TokensPerSecond => "suffix: tok/s",
            Self::Count => "locale",
            Self::Large | Self::Mean | Self::Money => "short",
            Self::Cores => "suffix: cores",
            Self::Bytes => "bytes",
            Self::FromNow => "dateTimeFromNow",
            Self::BytesPerSecond => "Bps",
            Self::OperationsPerSecond => "iops",
            Self::Watts => "watt",
            Self::Celsius => "celsius",
            Self::Hertz => "hertz",
            Self::WattHours => "watth",
            Self::JoulesPerToken => "suffix: J/tok",
        }
    }

    /// What a field of this unit is set to beside it.
    fn bounds(self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Share => vec![("min", json!(0)), ("max", json!(1))],
            Self::Count => vec![("decimals", json!(0))],
            _ => Vec::new(),
        }
    }

    /// How far the axis goes at least, so that a line at 0 lies on a scale of its unit. Without it Grafana takes 100.
    const fn least_top(self) -> Option<f64> {
        match self {
            Self::Count => Some(4.0),
            Self::Large | Self::Mean | Self::Cores => Some(1.0),
            Self::RequestsPerSecond | Self::TokensPerSecond | Self::OperationsPerSecond | Self::Watts => Some(1.0),
            Self::Bytes | Self::BytesPerSecond => Some(1024.0),
            Self::Money | Self::JoulesPerToken => Some(0.1),
            _ => None,
        }
    }
}

/// Colours that can be told apart, also with the common kinds of colour blindness, on dark and on light ground.
pub(crate) mod colour {
    pub(crate) const GREEN: &str = "#34996A";
    pub(crate) const BLUE: &str = "#3274D9";
    pub(crate) const SKY: &str = "#5BB5EC";
    pub(crate) const YELLOW: &str = "#DCB01E";
    pub(crate) const ORANGE: &str = "#DB7417";
    pub(crate) const RED: &str = "#BF0021";
    pub(crate) const PURPLE: &str = "#A867C0";
    pub(crate) const BROWN: &str = "#95613B";
    /// Limits, and what is neither good nor bad.
    pub(crate) const GREY: &str = "#8E8E8E";
}

/// The quantiles, everywhere the same: calm, attention, worst.
const QUANTILES: &[(f64, &str, &str)] =
    &[(0.5, "p50", colour::SKY), (0.95, "p95", colour::ORANGE), (0.99, "p99", colour::RED)];

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
        let defaults = &mut panel.json["fieldConfig"]["defaults"];
        defaults["min"] = json!(0);
        defaults["color"] = json!({ "mode": "palette-classic" });
        defaults["custom"] = json!({
            "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 2, "fillOpacity": 10,
            "gradientMode": "opacity", "showPoints": "auto", "pointSize": 4, "spanNulls": false, "axisSoftMin": 0,
            "stacking": { "group": "A", "mode": "none" }, "thresholdsStyle": { "mode": "off" },
        });
        if let Some(top) = unit.least_top() {
            defaults["custom"]["axisSoftMax"] = json!(top);
        }
        // No last value: of a series that is over, Grafana would show the last there was as if it were now.
        panel.json["options"] = json!({
            "legend": {
                "displayMode": "table", "placement": "bottom", "showLegend": true,
                "calcs": ["mean", "max"], "sortBy": "Max", "sortDesc": true,
            },
            "tooltip": { "mode": "multi", "sort": "desc" },
        });
        panel
    }

    /// Bars of how often something happened in each step, with the sum over the time range shown.
    pub(crate) fn events(title: &str, description: &str) -> Self {
        let mut panel = Self::series(title, description, Unit::Count).stacked();
        panel.json["interval"] = json!(EVENTS_INTERVAL);
        panel.json["fieldConfig"]["defaults"]["custom"]["drawStyle"] = json!("bars");
        let legend = &mut panel.json["options"]["legend"];
        (legend["calcs"], legend["sortBy"]) = (json!(["sum"]), json!("Total"));
        panel.colour("none", colour::GREY)
    }

    /// One number that is asked for now: where there is nothing to say, it is a dash and never what was said before.
    pub(crate) fn tile(title: &str, description: &str, unit: Unit) -> Self {
        let mut panel = Self::new("stat", title, description, unit, 4);
        panel.json["interval"] = json!(TILE_INTERVAL);
        panel.json["fieldConfig"]["defaults"]["color"] = json!({ "mode": "thresholds" });
        panel.json["fieldConfig"]["defaults"]["noValue"] = json!("–");
        panel.json["options"] = json!({
            "colorMode": "value", "graphMode": "none", "justifyMode": "center", "orientation": "auto",
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
        panel.json["interval"] = json!(EVENTS_INTERVAL);
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
        let mut panel = Self::new("table", title, description, Unit::Large, 24);
        panel.json["fieldConfig"]["defaults"]["noValue"] = json!("–");
        panel.json["fieldConfig"]["defaults"]["custom"] = json!({ "align": "auto", "cellOptions": { "type": "auto" }, "filterable": false, "minWidth": COLUMN_WIDTH });
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
        let instant = self.json["type"] == "stat";
        self.push(json!({
            "expr": expr, "legendFormat": legend, "instant": instant, "range": !instant, "format": format,
        }));
        self
    }

    /// Adds one query a quantile, in its colour. `expr` makes the query from the quantile.
    pub(crate) fn quantiles(self, expr: impl Fn(f64) -> String) -> Self {
        let panel = self.logarithmic();
        let panel =
            QUANTILES.iter().fold(panel, |panel, (q, name, colour)| panel.query(&expr(*q), name).colour(name, colour));
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
        all.extend(unit.bounds().into_iter().map(|(id, value)| json!({ "id": id, "value": value })));
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

    /// A logarithmic axis, for what lies between milliseconds and minutes.
    pub(crate) fn logarithmic(mut self) -> Self {
        let defaults = &mut self.json["fieldConfig"]["defaults"];
        // KiB are round in powers of two.
        let base = if defaults["unit"] == Unit::Bytes.as_str() { 2 } else { 10 };
        defaults["custom"]["scaleDistribution"] = json!({ "type": "log", "log": base });
        // Neither 0 nor an area down to it is on such an axis.
        defaults["custom"]["fillOpacity"] = json!(0);
        for (place, key) in [("/custom", "axisSoftMin"), ("/custom", "axisSoftMax"), ("", "min")] {
            defaults.pointer_mut(place).and_then(Value::as_object_mut).map(|it| it.remove(key));
        }
        self
    }

    /// The colour of one series.
    pub(crate) fn colour(mut self, series: &str, colour: &str) -> Self {
        let fixed = json!([{ "id": "color", "value": { "mode": "fixed", "fixedColor": colour } }]);
        self.override_by_name(series, fixed);
        self
    }

    /// Grey for the series of requests without a model; models have the palette's colours.
    pub(crate) fn models(mut self) -> Self {
        let grey = json!([{ "id": "color", "value": { "mode": "fixed", "fixedColor": colour::GREY } }]);
        self.override_matching(&json!({ "id": "byRegexp", "options": format!("/^{NO_MODEL}/") }), grey);
        self
    }

    /// The colours of series that are known by name, the same on every board.
    pub(crate) fn family(self, members: &[(&str, &str)]) -> Self {
        members.iter().fold(self, |panel, (series, colour)| panel.colour(series, colour))
    }

    /// Makes a limit of the series whose names end in this: dashed, grey, and without an area below.
    pub(crate) fn limit(mut self, end: &str) -> Self {
        let properties = json!([
            { "id": "color", "value": { "mode": "fixed", "fixedColor": colour::GREY } },
            { "id": "custom.lineStyle", "value": { "fill": "dash", "dash": [8, 8] } },
            { "id": "custom.lineWidth", "value": 1 },
            { "id": "custom.fillOpacity", "value": 0 },
            { "id": "custom.stacking", "value": { "group": "limit", "mode": "none" } },
        ]);
        self.override_matching(&json!({ "id": "byRegexp", "options": format!("/{end}$/") }), properties);
        self
    }

    /// A limit that is no series: a dashed grey line at this value.
    pub(crate) fn limit_at(mut self, value: f64) -> Self {
        self.json["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] = json!("dashed");
        self.thresholds("transparent", &[(value, colour::GREY)])
    }

    /// Colours from a value on; the first colour holds below all of them.
    pub(crate) fn thresholds(mut self, base: &str, from: &[(f64, &str)]) -> Self {
        self.json["fieldConfig"]["defaults"]["thresholds"] = steps(base, from);
        self
    }

    /// One colour for every value: none is good or bad.
    pub(crate) fn neutral(self) -> Self {
        self.thresholds("blue", &[])
    }

    /// What stands in the panel where there is nothing to show.
    pub(crate) fn otherwise(mut self, text: &str) -> Self {
        self.json["fieldConfig"]["defaults"]["noValue"] = json!(text);
        self
    }

    /// The name of each series beside its value.
    pub(crate) fn named(mut self) -> Self {
        self.json["options"]["textMode"] = json!("value_and_name");
        self
    }

    /// Words instead of numbers.
    pub(crate) fn words(mut self, words: &[(&str, &str, &str)]) -> Self {
        self.json["fieldConfig"]["defaults"]["mappings"] = mappings(words);
        self
    }

    /// A tile that is all colour: for states.
    pub(crate) fn filled(mut self) -> Self {
        self.json["options"]["colorMode"] = json!("background");
        self
    }

    /// The JSON of the panel at its place in the grid.
    pub(crate) fn at(mut self, x: u64, y: u64, height: u64) -> Value {
        self.json["gridPos"] = json!({ "x": x, "y": y, "w": self.width, "h": height });
        self.json
    }

    fn new(kind: &str, title: &str, description: &str, unit: Unit, width: u64) -> Self {
        let mut json = json!({
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
        for (key, value) in unit.bounds() {
            json["fieldConfig"]["defaults"][key] = value;
        }
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
        self.override_matching(&json!({ "id": "byName", "options": name }), properties);
    }

    fn override_matching(&mut self, matcher: &Value, properties: Value) {
        let overrides = self.json["fieldConfig"]["overrides"].as_array_mut().expect("a panel is made with overrides");
        overrides.push(json!({ "matcher": matcher, "properties": properties }));
    }
}

/// Colours from a value on, over one that holds below all of them.
pub(crate) fn steps(base: &str, from: &[(f64, &str)]) -> Value {
    let mut all = vec![json!({ "color": base, "value": null })];
    all.extend(from.iter().map(|(value, colour)| json!({ "color": colour, "value": value })));
    json!({ "mode": "absolute", "steps": all })
}

/// Values, the words for them and their colours.
pub(crate) fn mappings(words: &[(&str, &str, &str)]) -> Value {
    let option = |(index, (value, text, colour)): (usize, &(&str, &str, &str))| {
        ((*value).to_owned(), json!({ "text": text, "color": colour, "index": index }))
    };
    let options: serde_json::Map<_, _> = words.iter().enumerate().map(option).collect();
    json!([{ "type": "value", "options": options }])
}

/// The data source that the dashboard's variable names.
pub(crate) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}
