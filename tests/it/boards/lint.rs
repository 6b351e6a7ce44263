//! What every dashboard must hold, so that it can be provisioned, reads well and tells the truth.

use serde_json::Value;
use std::collections::BTreeSet;

const COLUMNS: u64 = 24;
/// The schema of Grafana 10.3 to 12.
const SCHEMA_VERSIONS: std::ops::RangeInclusive<u64> = 39..=41;
const DATASOURCE: &str = "${datasource}";
/// What the names of scraped metrics begin with.
const PREFIXES: &[&str] = &["ollama_proxy_", "process_", "DCGM_", "scrape_"];
const VARIABLES: &[&str] = &["job", "instance", "backend", "model"];

/// What is wrong with a dashboard, a line each.
pub(super) fn complaints(dashboard: &Value) -> Vec<String> {
    let title = dashboard["title"].as_str().unwrap_or("a dashboard without a title");
    let mut lines = of_the_whole(dashboard);
    lines.extend(of_variables(dashboard));
    lines.extend(of_the_grid(dashboard));
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
    let all = each(&dashboard["panels"]).chain([dashboard]);
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
            (refreshed, &format!("variable {name} is not asked anew, or elsewhere")),
        ]));
    }
    lines
}

fn of_the_grid(dashboard: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let mut taken = BTreeSet::new();
    for panel in each(&dashboard["panels"]) {
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap_or(0);
        let (x, y, w, h) = (side("x"), side("y"), side("w"), side("h"));
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
    let is_table = panel["type"] == "table";
    for target in each(&panel["targets"]) {
        lines.extend(of_query(text(&target["expr"]), is_table));
        if !is_table && text(&target["legendFormat"]).is_empty() {
            lines.push("has a query without a legend".to_owned());
        }
    }
    lines
}

fn of_query(expr: &str, is_table: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let windows = expr.match_indices('[').filter_map(|(start, _)| expr[start + 1..].split(']').next());
    for window in windows {
        if window != "$__rate_interval" && !(is_table && window == "$__range") {
            lines.push(format!("the window {window} is not $__rate_interval (in a table: $__range)"));
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

/// Panels with content, without headings.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    each(&dashboard["panels"]).filter(|panel| panel["type"] != "row")
}

fn each(list: &Value) -> impl Iterator<Item = &Value> + Clone {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
