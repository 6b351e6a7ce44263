//! What every dashboard must hold, so that it can be provisioned, reads well and tells the truth.

use serde_json::Value;
use std::collections::BTreeSet;

const COLUMNS: u64 = 24;
/// The schema of Grafana 10.3 to 12.
const SCHEMA_VERSIONS: std::ops::RangeInclusive<u64> = 39..=41;
const DATASOURCE: &str = "${datasource}";
/// What the names of scraped metrics begin with.
const PREFIXES: &[&str] = &["ollama_proxy_", "process_", "DCGM_", "scrape_"];
const VARIABLES: &[&str] = &["job", "instance", "backend", "model", "gpu"];
/// Lines of the grid on two screens of 1080 pixels, without Grafana's own bars; what lies below is collapsed.
const TWO_SCREENS: u64 = 52;
/// The narrowest window that titles fit into, in pixels; Grafana's own margins and a title's surroundings; width of a letter.
const WINDOW: f64 = 1264.0;
const AROUND_A_TITLE: f64 = 95.0;
const LETTER: f64 = 7.4;

/// What is wrong with a dashboard, a line each.
pub(super) fn complaints(dashboard: &Value) -> Vec<String> {
    let title = dashboard["title"].as_str().unwrap_or("a dashboard without a title");
    let mut lines = of_the_whole(dashboard);
    lines.extend(of_variables(dashboard));
    lines.extend(of_the_grid(&dashboard["panels"]));
    for row in each(&dashboard["panels"]) {
        lines.extend(of_the_grid(&row["panels"]));
    }
    for panel in panels(dashboard) {
        let name = text(&panel["title"]);
        lines.extend(of_panel(panel).into_iter().map(|line| format!("panel \"{name}\": {line}")));
    }
    lines.into_iter().map(|line| format!("{title}: {line}")).collect()
}

fn of_the_whole(dashboard: &Value) -> Vec<String> {
    let titles: Vec<_> = panels(dashboard).map(|panel| text(&panel["title"])).collect();
    let links = each(&dashboard["links"]).any(|link| link["tags"][0] == "inferometer" && link["includeVars"] == true);
    let noted = each(&dashboard["annotations"]["list"]).all(|it| it["datasource"]["uid"] == DATASOURCE);
    let all = panels(dashboard).chain([dashboard]);
    let open = each(&dashboard["panels"]).map(|panel| side(panel, "y") + side(panel, "h"));
    let collapsed = each(&dashboard["panels"]).filter(|panel| panel["collapsed"] == true).count() as u64;
    failed(&[
        (all.clone().all(|it| it["id"].is_null()), "has a numeric id"),
        (text(&dashboard["uid"]).starts_with("inferometer-"), "no stable uid that begins with inferometer-"),
        (
            dashboard["schemaVersion"].as_u64().is_some_and(|it| SCHEMA_VERSIONS.contains(&it)),
            "schemaVersion is not 39 to 41",
        ),
        (dashboard["editable"] == false, "is editable"),
        (!text(&dashboard["description"]).is_empty(), "has no description"),
        (dashboard["tags"][0] == "inferometer" && links, "no link to the dashboards with the tag inferometer"),
        (noted, "an annotation with a datasource of its own"),
        (open.max().unwrap_or(0) <= TWO_SCREENS + collapsed, "is longer than two screens: collapse a row"),
        (titles.len() == titles.iter().collect::<BTreeSet<_>>().len(), "a panel's title stands there twice"),
    ])
}

fn of_variables(dashboard: &Value) -> Vec<String> {
    let find = |name: &str| each(&dashboard["templating"]["list"]).find(|variable| variable["name"] == name);
    let mut lines = Vec::new();
    if !find("datasource").is_some_and(|it| it["type"] == "datasource" && it["query"] == "prometheus") {
        lines.push("no variable datasource for a Prometheus".to_owned());
    }
    for name in VARIABLES {
        let Some(variable) = find(name) else {
            lines.push(format!("no variable {name}"));
            continue;
        };
        let all = variable["includeAll"] == true && variable["multi"] == true && variable["allValue"] == ".*";
        let refreshed = variable["refresh"] == 2 && variable["datasource"]["uid"] == DATASOURCE;
        lines.extend(failed(&[
            (all, &format!("variable {name} is not one that includes all of several values")),
            (refreshed, &format!("variable {name} is not refreshed, or has another data source")),
            (
                uses(dashboard, name) == (variable["hide"] == 0),
                &format!("variable {name} is hidden and used, or shown and not used"),
            ),
        ]));
    }
    lines
}

/// Whether a query of a panel, collapsed ones among them, selects by this variable.
fn uses(dashboard: &Value, variable: &str) -> bool {
    let mut targets = panels(dashboard).flat_map(|panel| each(&panel["targets"]));
    targets.any(|target| text(&target["expr"]).contains(&format!(r#"=~"${variable}""#)))
}

/// Panels on one grid: those of a dashboard, or of a collapsed row.
fn of_the_grid(panels: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let mut taken = BTreeSet::new();
    for panel in each(panels) {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| side(panel, name));
        if w == 0 || h == 0 || x + w > COLUMNS {
            lines.push(format!("{} has no size or goes beyond the grid", panel["title"]));
        }
        let free = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))).all(|cell| taken.insert(cell));
        if !free {
            lines.push(format!("{} overlaps another panel", panel["title"]));
        }
    }
    lines
}

fn of_panel(panel: &Value) -> Vec<String> {
    let defaults = &panel["fieldConfig"]["defaults"];
    let letters: BTreeSet<_> = each(&panel["targets"]).map(|target| text(&target["refId"])).collect();
    let targets = each(&panel["targets"]).count();
    let one_datasource = each(&panel["targets"]).chain([panel]).all(|it| it["datasource"]["uid"] == DATASOURCE);
    let shown = panel["options"]["legend"]["showLegend"] == true && panel["options"]["tooltip"]["mode"] == "multi";
    let mut lines = failed(&[
        (!text(&panel["title"]).is_empty(), "has no title"),
        (text(&panel["description"]).ends_with('.'), "has no description that is a sentence"),
        (!text(&defaults["unit"]).is_empty(), "has no unit"),
        (
            each(&defaults["thresholds"]["steps"]).next().is_some_and(|step| step["value"].is_null()),
            "has no base threshold",
        ),
        (one_datasource, "asks a datasource other than the variable's"),
        (targets > 0 && letters.len() == targets, "has no queries, or two with one letter"),
        (panel["type"] != "timeseries" || shown, "is a time series without legend or shared tooltip"),
    ]);
    lines.extend(of_the_look(panel));
    let is_table = panel["type"] == "table";
    for target in each(&panel["targets"]) {
        lines.extend(of_query(text(&target["expr"]), text(&panel["type"])));
        if !is_table && text(&target["legendFormat"]).is_empty() {
            lines.push("has a query without a legend".to_owned());
        }
    }
    lines
}

/// What a panel must hold so that what it shows is true and can be read.
fn of_the_look(panel: &Value) -> Vec<String> {
    let (defaults, options) = (&panel["fieldConfig"]["defaults"], &panel["options"]);
    let kind = text(&panel["type"]);
    let overridden = each(&panel["fieldConfig"]["overrides"]).map(|it| properties(&it["properties"]));
    let mut settings = overridden.chain([defaults.clone()]);
    let bounded = settings.all(|it| it["unit"] != "percentunit" || (it["min"] == 0 && it["max"] == 1));
    let letters = text(&panel["title"]).chars().count() as f64;
    let room = (WINDOW * side(panel, "w") as f64 / 24.0 - AROUND_A_TITLE) / LETTER;
    let now = each(&panel["targets"]).all(|target| target["instant"] == true && target["range"] == false);
    let counted = each(&panel["targets"]).all(|target| {
        let expr = text(&target["expr"]);
        expr.contains("round(") && expr.contains("[$__rate_interval])) * $__interval_ms / 1000")
    });
    let bars = defaults["custom"]["drawStyle"] == "bars";
    let grows = each(&panel["targets"]).any(|target| text(&target["expr"]).contains("increase("));
    let logarithmic = defaults["custom"]["scaleDistribution"]["type"] == "log";
    failed(&[
        (letters <= room, "has a title that is cut"),
        (text(&panel["description"]).split(' ').count() >= 3, "has a description that says nothing"),
        (bounded, "has a share whose axis does not end at 100 %"),
        (kind != "stat" || now, "is a tile that is not asked for now alone"),
        (kind != "stat" || defaults["noValue"] == "–", "is a tile that has nothing to say it with"),
        (kind != "stat" || options["graphMode"] == "none", "is a tile with a line that has no room"),
        (kind == "stat" || !options.to_string().contains("lastNotNull"), "shows a last value that may be long ago"),
        (!bars && kind != "heatmap" || !text(&panel["interval"]).is_empty(), "counts events without a least interval"),
        (!bars && kind != "heatmap" || counted, "counts events more than once"),
        (!bars || options["legend"]["calcs"] == serde_json::json!(["sum"]), "counts events without their sum"),
        (!bars || defaults["decimals"] == 0, "counts parts of events"),
        (kind != "timeseries" || bars || !grows, "draws a count of events as a line"),
        (!logarithmic || defaults["min"].is_null(), "has a logarithmic axis from 0"),
    ])
}

/// The properties of an override, by their names.
fn properties(list: &Value) -> Value {
    each(list).map(|it| (text(&it["id"]).to_owned(), it["value"].clone())).collect::<serde_json::Map<_, _>>().into()
}

fn of_query(expr: &str, kind: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let windows = expr.match_indices('[').filter_map(|(start, _)| expr[start + 1..].split_once(']'));
    for (window, rest) in windows {
        let fits = match window {
            "$__rate_interval" => true,
            // A line over the range shown would look back further than what is shown.
            "$__range" => kind == "table" || kind == "stat" || rest.starts_with(" @ end()"),
            // Joules of the last seconds are those of single answers.
            "5m" => expr.contains("ollama_proxy_energy_joules_total"),
            _ => false,
        };
        if !fits {
            lines.push(format!(
                "the window {window} is not $__rate_interval (of a number of now: $__range). A fixed one is a rule in \
                 prometheus/rules/recording.yml, read with Metric::recorded"
            ));
        }
    }
    if matches_le(expr) {
        lines.push("matches `le` literally".to_owned());
    }
    let begins = |prefix| expr.match_indices(prefix).map(|(start, _)| expr.split_at(start));
    let own = PREFIXES.iter().flat_map(|prefix| begins(*prefix));
    for (before, selector) in own.filter(|(before, _)| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')) {
        let selector = selector.split_inclusive('}').next().unwrap_or(selector);
        lines.extend(of_selector(before, selector, expr));
    }
    lines
}

/// Whether a query names a bucket. Buckets can be configured, so nothing shipped may depend on one.
pub(super) fn matches_le(expr: &str) -> bool {
    let compact = expr.replace(' ', "");
    ["{le=", "{le!", ",le=", ",le!"].iter().any(|matcher| compact.contains(matcher))
}

fn of_selector(before: &str, selector: &str, expr: &str) -> Vec<String> {
    let name = selector.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or(selector);
    let counts = ["_total", "_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
    let inside = before.ends_with("rate(") || before.ends_with("increase(");
    let tokens = ["ollama_proxy_generated_tokens_total", "ollama_proxy_prompt_tokens_total"].contains(&name);
    let exact = selector.contains(r#"source!="chunks""#) || expr.contains("by (source");
    let selected = ["job", "instance"].iter().all(|label| selector.contains(&format!(r#"{label}=~"${label}""#)));
    failed(&[
        (!counts || inside, &format!("{name} is a counter outside rate or increase")),
        (!tokens || exact, &format!("{name} mixes counts of chunks into tokens")),
        (selected, &format!("{name} is not selected by job and instance")),
    ])
}

/// The texts whose condition does not hold.
fn failed(demands: &[(bool, &str)]) -> Vec<String> {
    demands.iter().filter(|(holds, _)| !holds).map(|(_, text)| (*text).to_owned()).collect()
}

/// Panels with content: without headings, and with those that are collapsed.
pub(super) fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> + Clone {
    each(&dashboard["panels"]).flat_map(with_collapsed).filter(|panel| panel["type"] != "row")
}

fn with_collapsed(panel: &Value) -> impl Iterator<Item = &Value> + Clone {
    [panel].into_iter().chain(each(&panel["panels"]))
}

/// A panel's place or size on the grid.
fn side(panel: &Value, name: &str) -> u64 {
    panel["gridPos"][name].as_u64().unwrap_or(0)
}

fn each(list: &Value) -> impl Iterator<Item = &Value> + Clone {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
