//! Metric names: which ones the shipped files use, and which ones an exposition has.

use super::files;
use std::collections::{BTreeMap, BTreeSet};

const PREFIX: &str = "ollama_proxy_";

/// Metrics that the shipped files and documents use and this exposition (text format 0.0.4) does not have:
/// `file: name`, a line each.
pub(super) fn names_unknown_to(exposition: &str) -> Vec<String> {
    let known = names_of(exposition);
    let places = ["prometheus", "grafana/dashboards", "grafana/provisioning", "grafana/README.md", "README.md", "docs"];
    let mut unknown = Vec::new();
    for file in files::shipped(&places, &["json", "yml", "md"]) {
        let used: BTreeSet<_> = used_in(&file.text).collect();
        unknown.extend(
            used.into_iter().filter(|name| !is_known(name, &known)).map(|name| format!("{}: {name}", file.name)),
        );
    }
    unknown
}

/// A recorded name, with its operation after a colon, leaves out the `_total` of the counter that it is made from.
fn is_known(name: &str, known: &BTreeSet<String>) -> bool {
    match name.strip_suffix(':') {
        Some(stem) => known.contains(stem) || known.contains(&format!("{stem}_total")),
        None => known.contains(name),
    }
}

/// Families of this exposition that have another type or other labels than in the catalogue, another exposition.
/// What only one of them has is no difference: a family without samples is not exposed at all.
pub(super) fn differences(exposition: &str, catalogue: &str) -> Vec<String> {
    let (have, want) = (shapes_of(exposition), shapes_of(catalogue));
    let shared = have.iter().filter_map(|(name, have)| Some((name, have, want.get(name)?)));
    shared
        .filter(|(_, have, want)| have != want)
        .map(|(name, have, want)| format!("{name}: the catalogue says {want:?}, the exposition {have:?}"))
        .collect()
}

/// Every name of the prefix in a text, a recorded one with its colon; a stem such as `ollama_proxy_gpu_*` is
/// no name.
fn used_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(PREFIX).filter_map(|(start, _)| {
        let rest = &text[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let recorded = text[..start].ends_with(':') && rest[end..].starts_with(':');
        let name = &rest[..end + usize::from(recorded)];
        (!name.ends_with('_')).then_some(name)
    })
}

/// Every name that can be asked for; for a histogram also those of its parts.
fn names_of(exposition: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (name, (kind, _)) in shapes_of(exposition) {
        if kind == "histogram" {
            names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")));
        }
        names.insert(name);
    }
    names
}

/// Type and labels of every family; `le` is no label of a histogram's own.
fn shapes_of(exposition: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut shapes: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut family = String::new();
    for line in exposition.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            family = name.to_owned();
            shapes.insert(family.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') && !line.is_empty() {
            let labels = &mut shapes.get_mut(&family).unwrap_or_else(|| panic!("no TYPE before {line}")).1;
            labels.extend(label_names(line).into_iter().filter(|label| label != "le"));
        }
    }
    shapes
}

/// The label names of one sample. Values may hold anything, escaped quotes included.
fn label_names(sample: &str) -> Vec<String> {
    let Some((_, inside)) = sample.split_once('{') else { return Vec::new() };
    let (mut names, mut name, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in inside.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '}' => break,
            '=' => names.push(std::mem::take(&mut name)),
            ',' => name.clear(),
            c => name.push(c),
        }
    }
    names
}
