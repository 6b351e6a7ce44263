//! The pages for people: their tables are what the code declares, their links lead somewhere.

mod commands;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use inferometer::metrics::{self, Spec};

use crate::support::golden;

const PREFIX: &str = "ollama_proxy_";

/// Type and labels of a metric.
type Shape = (String, BTreeSet<String>);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between two lines of a page.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    page.split_once(begin)?.1.split_once(end).map(|(inside, _)| inside)
}

/// Every page, relative to the root: Markdown in it, and in folders that are written by hand.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("a folder") {
            let path = folder.join(entry.expect("an entry").file_name());
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if root().join(&path).is_dir() {
                folders.extend(
                    (!name.starts_with('.') && !["target", "fixtures", "node_modules"].contains(&&*name))
                        .then_some(path),
                );
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

/// The rows between the markers: `name`, `name` | type | labels.
fn documented() -> BTreeMap<String, Shape> {
    let page = read("docs/metrics.md");
    let tables: Vec<_> = page
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

/// What the golden expositions show: the metrics room's, those of two machines, of two cards, of energy and of several backends.
fn exposed() -> BTreeMap<String, Shape> {
    let golden = [
        "tests/golden/exposition.txt",
        "tests/it/host/linux.prom",
        "tests/it/host/mac.prom",
        "tests/golden/gpu.txt",
        "tests/golden/energy.txt",
        "tests/golden/history.txt",
        "tests/golden/fleet.txt",
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

/// As the tables have it.
fn rows(shapes: &BTreeMap<String, Shape>) -> String {
    let row = |(name, (kind, labels)): (&String, &Shape)| {
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        format!("| `{name}` | {kind} | {} |\n", labels.join(", "))
    };
    shapes.iter().map(row).collect()
}

#[test]
fn what_cargo_installs_is_what_was_tested() {
    let pages: Vec<_> = pages().iter().map(read).collect();
    let lines = pages.iter().flat_map(|page| page.lines());
    let installs: Vec<_> = lines.filter(|line| line.starts_with("cargo install")).collect();
    assert!(installs.len() >= 2, "{installs:?}");
    assert!(installs.iter().all(|line| line.contains("cargo install --locked")), "{installs:?}");
}

#[test]
fn docs_metrics_lists_every_metric_with_its_type_and_labels() {
    if let Some(difference) = golden::difference(&rows(&documented()), &rows(&declared())) {
        panic!(
            "docs/metrics.md's tables (-) are not what is declared (+), by type and labels:\n{difference}\n\
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

/// The anchor that repository hosts make from a heading: lower case, without punctuation, hyphens for spaces.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The lines of a page outside its blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Where the links of a page lead, as they are written.
fn links(page: &str) -> Vec<&str> {
    prose(page).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next()).collect()
}

/// What is wrong with a link that stands on this page; nothing with one that leaves the repository.
fn fault(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { page.to_owned() } else { page.parent().unwrap_or(Path::new("")).join(path) };
    if !root().join(&target).exists() {
        return Some(format!("{}: {link} is not there", page.display()));
    }
    let is_heading = |line: &str| line.starts_with('#') && anchor(line.trim_start_matches('#')) == fragment;
    let is_there = fragment.is_empty() || prose(&read(&target)).any(is_heading);
    (!is_there).then(|| format!("{}: {link} has no such heading", page.display()))
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 20, "{pages:?}");
    let mut count = 0;
    let mut faults = Vec::new();
    for page in &pages {
        let text = read(page);
        for link in links(&text) {
            count += 1;
            faults.extend(fault(page, link));
        }
    }
    assert!(count > 100, "{count} links");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_link_to_what_is_not_there_is_found() {
    let page = Path::new("docs/metrics.md");
    let text = "[a](b.md)\n```\n[c](d.md)\n```\nsee [e](../README.md#three-commands), [f](#energy) and [g](#nothing)";
    let faults: Vec<_> = links(text).into_iter().filter_map(|link| fault(page, link)).collect();
    assert_eq!(faults, ["docs/metrics.md: b.md is not there", "docs/metrics.md: #nothing has no such heading"]);
    assert_eq!(anchor(" The `Host` check of HTTP/2"), "the-host-check-of-http2");
}

#[test]
fn the_readme_is_read_in_a_few_minutes() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines, of 150: reference belongs in docs/");
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let mut reached = BTreeSet::new();
    let mut next = vec![PathBuf::from("README.md")];
    while let Some(page) = next.pop() {
        if !reached.insert(page.clone()) {
            continue;
        }
        let text = read(&page);
        let paths = links(&text).into_iter().filter_map(|link| link.split('#').next());
        let paths = paths.filter(|path| path.ends_with(".md") && !path.contains("://"));
        next.extend(paths.map(|path| plain(&page.parent().unwrap_or(Path::new("")).join(path))));
    }
    let lost: Vec<_> = pages().into_iter().filter(|page| page.starts_with("docs") && !reached.contains(page)).collect();
    assert!(lost.is_empty(), "no page leads to {lost:?}");
}

/// A path without its `..`.
fn plain(path: &Path) -> PathBuf {
    path.iter().fold(PathBuf::new(), |mut whole, part| {
        if part == ".." {
            whole.pop();
        } else {
            whole.push(part);
        }
        whole
    })
}

/// The documentation of `src/lib.rs` behind its first paragraph, as a part of a page: headings a level lower, and names of
/// items as code, for they link into the code only where rustdoc makes the page.
fn map_of_the_code() -> String {
    let lib = read("src/lib.rs");
    let lines = lib.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.skip(2).map(|line| line.strip_prefix(' ').unwrap_or(line));
    let lower = |line: &str| if line.starts_with("# ") { format!("#{line}\n") } else { format!("{line}\n") };
    lines.map(lower).collect::<String>().replace("[`", "`").replace("`]", "`")
}

#[test]
fn architecture_is_the_map_in_src_lib_rs() {
    let (path, begin, end) = ("docs/architecture.md", "<!-- lib:begin -->\n", "<!-- lib:end -->");
    let page = read(path);
    let written = between(&page, begin, end).expect("where the map begins and ends");
    golden::hold(&root().join(path), &page.replace(written, &map_of_the_code()));
}

/// The items of the code that a text names: `fn value`, `enum Field`, `Host::start`, `families!`.
fn items(text: &str) -> Vec<&str> {
    let named = prose(text).flat_map(|line| line.split('`').skip(1).step_by(2)).filter_map(|span| {
        let name = ["fn ", "enum "].iter().find_map(|kind| span.strip_prefix(kind)).unwrap_or(span);
        let is_path = name.chars().all(|c| c.is_ascii_alphanumeric() || ['_', ':', '!'].contains(&c));
        let is_item = name != span || name.starts_with(|c: char| c.is_ascii_uppercase()) || name.ends_with('!');
        (is_path && is_item).then(|| name.trim_end_matches('!').rsplit("::").next().unwrap_or(name))
    });
    named.collect()
}

/// A recipe that names what is called otherwise by now leads nowhere.
#[test]
fn contributing_names_what_is_in_the_files_that_it_links() {
    let page = read("CONTRIBUTING.md");
    let mut count = 0;
    let mut lost = Vec::new();
    for section in page.split("\n## ").filter(|section| section.starts_with("Add ")) {
        let files: String = links(section).into_iter().filter(|link| link.ends_with(".rs")).map(read).collect();
        let items = items(section);
        count += items.len();
        lost.extend(items.into_iter().filter(|item| !files.contains(item)).map(str::to_owned));
    }
    assert!(count > 20, "{count} names");
    assert!(lost.is_empty(), "not in the files that are linked beside them: {lost:?}");
}
