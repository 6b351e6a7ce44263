//! The rules for names, units, labels and help texts, checked on whole pages of both formats.

use super::fed::fed;
use super::*;

/// One family as it stands on a page.
#[derive(Debug, Default)]
pub(super) struct Lines<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    help: &'a str,
    unit: Option<&'a str>,
    /// Whole lines.
    pub(super) samples: Vec<&'a str>,
}

pub(super) fn families(page: &str) -> Vec<Lines<'_>> {
    let mut families: Vec<Lines<'_>> = Vec::new();
    for line in page.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let (hash, what, name, rest) = (words.next(), words.next(), words.next(), words.next().unwrap_or_default());
        if hash != Some("#") {
            families.last_mut().unwrap().samples.push(line);
            continue;
        }
        let (what, name) = (what.unwrap(), name.unwrap());
        if what == "HELP" {
            families.push(Lines { name, help: rest, ..Lines::default() });
            continue;
        }
        let family = families.last_mut().unwrap();
        assert_eq!(family.name, name, "what is said of a family stands together");
        match what {
            "TYPE" => family.kind = rest,
            "UNIT" => family.unit = Some(rest),
            other => panic!("{other}"),
        }
    }
    families
}

/// The names of a sample's labels.
fn label_names(sample: &str) -> Vec<&str> {
    let sample = sample.split(" # ").next().unwrap();
    let Some((_, labels)) = sample.split_once('{') else { return Vec::new() };
    let names = labels.match_indices("=\"").map(|(at, _)| labels[..at].rsplit([',', '{']).next().unwrap());
    names.filter(|name| *name != "le").collect()
}

/// What is wrong with a page, in words. Both formats keep these rules.
fn complaints(page: &str, format: Format) -> Vec<String> {
    let mut found = Vec::new();
    let families = families(page);
    for Lines { name, kind, help, unit, samples } in &families {
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                found.push(format!("{name}: {rule}"));
            }
        };
        let sentence = help.ends_with('.') && help.len() > 10 && help.starts_with(|first: char| first.is_uppercase());
        must(sentence, "the help text is a sentence");
        must(!help.contains(['\\', '"']), "the help text needs no escaping");
        let counter = *kind == "counter";
        let total = samples.iter().all(|line| line.split(['{', ' ']).next().unwrap().ends_with("_total"));
        must(!samples.is_empty(), "a family without samples is absent");
        must(total == counter, "_total is for counters");
        must(name.ends_with("_total") == (counter && format == Format::Text), "OpenMetrics leaves _total to samples");
        let base = name.strip_suffix("_total").unwrap_or(name);
        let known = base.rsplit('_').next().filter(|last| UNITS.contains(last));
        must(format == Format::Text || *unit == known, "the unit is the one that the name ends in");
        must(*kind != "histogram" || known.is_some() || base.ends_with("tokens_per_second"), "a histogram has a unit");
        let foreign = ["_ms", "_milliseconds", "_microseconds", "_kilobytes", "_minutes", "_mb"];
        must(!foreign.iter().any(|unit| name.ends_with(unit)), "base units only");
        let inner = ["_sum", "_count", "_bucket", "_created"];
        must(!inner.iter().any(|part| base.ends_with(part)), "the end of a sample's name is no name");
        must(name.starts_with("ollama_proxy_") || name.starts_with("process_"), "the prefix");
        let first = label_names(samples[0]);
        must(samples.iter().all(|line| label_names(line) == first), "all series have the same labels");
        must(first.is_sorted(), "labels are sorted");
        let mut whole: Vec<_> = samples.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        whole.sort_unstable();
        whole.dedup();
        must(whole.len() == samples.len(), "a series stands once");
    }
    let mut names: Vec<_> = families.iter().map(|family| family.name).collect();
    // OpenMetrics' families lack `_total`, by which they are sorted.
    if format == Format::Text && !names.is_sorted() {
        found.push("families are sorted by name".to_owned());
    }
    names.sort_unstable();
    names.dedup();
    if names.len() != families.len() {
        found.push("a name stands for one family".to_owned());
    }
    found
}

const UNITS: [&str; 9] = ["seconds", "bytes", "tokens", "ratio", "percent", "celsius", "watts", "milliwatts", "joules"];

#[test]
fn names_units_and_help_texts_follow_the_rules_in_both_formats() {
    let metrics = fed();
    for format in [Format::Text, Format::OpenMetrics] {
        let page = String::from_utf8(metrics.encode(format)).unwrap();
        // The library's own help texts are not ours to write.
        let found: Vec<_> = complaints(&page, format)
            .into_iter()
            .filter(|line| !(line.starts_with("process_") && line.contains("help text")))
            .collect();
        assert!(found.is_empty(), "{format:?}\n{}", found.join("\n"));
    }
}

#[test]
fn the_lint_sees_each_kind_of_fault() {
    let page = |name: &str, kind: &str, help: &str, samples: &str| {
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}\n")
    };
    let good = page("ollama_proxy_a_bytes", "gauge", "A sentence.", "ollama_proxy_a_bytes 1");
    assert_eq!(complaints(&good, Format::Text), Vec::<String>::new());
    for (fault, page) in [
        ("is a sentence", page("ollama_proxy_a", "gauge", "no sentence", "ollama_proxy_a 1")),
        ("escaping", page("ollama_proxy_a", "gauge", "A \"sentence\".", "ollama_proxy_a 1")),
        ("_total is for counters", page("ollama_proxy_a", "counter", "A sentence.", "ollama_proxy_a 1")),
        ("_total is for counters", page("ollama_proxy_a_total", "gauge", "A sentence.", "ollama_proxy_a_total 1")),
        ("has a unit", page("ollama_proxy_a", "histogram", "A sentence.", "ollama_proxy_a_sum 1")),
        ("base units", page("ollama_proxy_a_ms", "gauge", "A sentence.", "ollama_proxy_a_ms 1")),
        ("the prefix", page("a", "gauge", "A sentence.", "a 1")),
        ("same labels", page("ollama_proxy_a", "gauge", "A sentence.", "ollama_proxy_a{b=\"\"} 1\nollama_proxy_a 1")),
        ("stands once", page("ollama_proxy_a", "gauge", "A sentence.", "ollama_proxy_a 1\nollama_proxy_a 2")),
    ] {
        let found = complaints(&page, Format::Text);
        assert!(found.iter().any(|line| line.contains(fault)), "{fault} is not seen: {found:?}");
    }
    let unit = complaints(&good, Format::OpenMetrics);
    assert!(unit.iter().any(|line| line.contains("the unit")), "{unit:?}");
}
