//! The README's tables of metrics, the declared families and the golden expositions agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use inferometer::metrics::{self, Spec};

use crate::support::golden;

const PREFIX: &str = "ollama_proxy_";

/// Type and labels of a metric.
type Shape = (String, BTreeSet<String>);

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file")
}

/// The rows between the markers: `name`, `name` | type | labels.
fn documented() -> BTreeMap<String, Shape> {
    let readme = read("README.md");
    let tables: Vec<_> = readme
        .split("<!-- metrics:begin -->")
        .skip(1)
        .filter_map(|rest| rest.split("<!-- metrics:end -->").next())
        .collect();
    assert_eq!(tables.len(), 4, "the tables are marked");
    let mut shapes = BTreeMap::new();
    for row in tables.iter().flat_map(|table| table.lines()).filter(|row| row.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let labels: BTreeSet<_> = cells[3].split(',').map(str::trim).filter(|label| !label.is_empty()).collect();
        for name in cells[1].split('`').skip(1).step_by(2) {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            assert!(shapes.insert(name.to_owned(), (cells[2].to_owned(), labels)).is_none(), "{name} twice");
        }
    }
    shapes
}

/// What the golden expositions show: the metrics room's, those of two machines, of two cards and of energy.
fn exposed() -> BTreeMap<String, Shape> {
    let golden = [
        "tests/golden/exposition.txt",
        "tests/it/host/linux.prom",
        "tests/it/host/mac.prom",
        "tests/golden/gpu.txt",
        "tests/golden/energy.txt",
    ]
    .map(read)
    .concat();
    let mut shapes: BTreeMap<String, Shape> = BTreeMap::new();
    let mut family = String::new();
    for line in golden.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            family = name.trim_start_matches(PREFIX).to_owned();
            shapes.insert(family.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((_, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let labels = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
            shapes.get_mut(&family).expect("a type first").1.extend(labels.filter(|label| label != "le"));
        }
    }
    // Names of others are theirs to document.
    shapes.retain(|name, _| !name.starts_with("process_") && !name.starts_with("DCGM_"));
    shapes
}

/// What is declared, except names that others own.
fn declared() -> BTreeMap<String, Shape> {
    let shape = |spec: &Spec| (spec.kind.as_str().to_owned(), spec.labels.iter().map(ToString::to_string).collect());
    let own = metrics::families().filter(|spec| spec.is_own());
    own.map(|spec| (spec.name.trim_start_matches(PREFIX).to_owned(), shape(spec))).collect()
}

/// As the README's tables have it.
fn rows(shapes: &BTreeMap<String, Shape>) -> String {
    let row = |(name, (kind, labels)): (&String, &Shape)| {
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        format!("| `{name}` | {kind} | {} |\n", labels.join(", "))
    };
    shapes.iter().map(row).collect()
}

#[test]
fn what_cargo_installs_is_what_was_tested() {
    let readme = read("README.md");
    let installs: Vec<_> = readme.lines().filter(|line| line.contains("cargo install")).collect();
    assert!(installs.len() >= 2, "{installs:?}");
    assert!(installs.iter().all(|line| line.contains("cargo install --locked")), "{installs:?}");
}

#[test]
fn the_readme_lists_every_metric_with_its_type_and_labels() {
    if let Some(difference) = golden::difference(&rows(&documented()), &rows(&declared())) {
        panic!(
            "README.md's tables of metrics (-) are not what is declared (+), by type and labels:\n{difference}\n\
             Write the rows with + into the table of their kind, in any order of labels, and take out those with -."
        );
    }
}

#[test]
fn every_declared_metric_has_a_value_in_a_golden_exposition() {
    if let Some(difference) = golden::difference(&rows(&declared()), &rows(&exposed())) {
        panic!(
            "What is declared (-) is not what the golden expositions show (+):\n{difference}\n\
             Give a metric with - a value where the golden exposition of its kind is made, then `make golden`; list the \
             file that declares one with + in src/metrics/subjects.rs."
        );
    }
}
