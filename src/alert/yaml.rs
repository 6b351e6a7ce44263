//! Writes the files of rules that Prometheus reads.

use std::fmt::Write as _;

use super::rule::Rule;
use super::rules::Group;

/// The longest line of a comment or a text, in characters.
const WIDTH: usize = 112;

/// The file of a group.
#[must_use]
pub fn file(group: &Group) -> String {
    let mut text = String::new();
    let about = format!(
        "{} Each rule stands under a comment that explains its threshold, has a heading in ../runbook.md and a test in \
         ../tests/. This file is written from the rules of the program (src/alert/rules): change them there.",
        group.about
    );
    wrapped(&mut text, "# ", &about);
    // Writing to a string does not fail, here and below.
    let _ = writeln!(text, "groups:\n  - name: {}\n    rules:", group.name);
    for (index, rule) in group.rules().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        write_rule(&mut text, rule);
    }
    text
}

fn write_rule(text: &mut String, rule: &Rule) {
    wrapped(text, "      # ", rule.why);
    let _ = writeln!(text, "      - alert: {}", rule.name);
    expression(text, &rule.full_expr());
    if rule.hold > 0 {
        let _ = writeln!(text, "        for: {}", span(rule.hold));
    }
    let _ = writeln!(text, "        labels:\n          severity: {}", rule.severity.as_str());
    let _ = writeln!(text, "        annotations:\n          summary: '{}'", rule.summary.replace('\'', "''"));
    text.push_str("          description: >-\n");
    wrapped(text, "            ", rule.description);
    let _ = writeln!(text, "          runbook_url: {}", rule.runbook());
}

fn expression(text: &mut String, expr: &str) {
    let expr = expr.trim_end();
    if expr.contains('\n') {
        text.push_str("        expr: |2\n");
        expr.lines().for_each(|line| {
            let _ = writeln!(text, "          {line}");
        });
    } else if expr.len() > WIDTH - 14 {
        let _ = writeln!(text, "        expr: >-\n          {expr}");
    } else {
        let _ = writeln!(text, "        expr: {expr}");
    }
}

/// Lines of words, each after a prefix.
fn wrapped(text: &mut String, prefix: &str, words: &str) {
    let mut length = 0;
    for word in words.split(' ') {
        let added = word.chars().count();
        if length > 0 && length + 1 + added > WIDTH {
            text.push('\n');
            length = 0;
        }
        if length == 0 {
            text.push_str(prefix);
            length = prefix.len();
        } else {
            text.push(' ');
            length += 1;
        }
        text.push_str(word);
        length += added;
    }
    text.push('\n');
}

/// Seconds as Prometheus writes a duration.
fn span(seconds: u32) -> String {
    match seconds {
        whole if whole % 60 == 0 => format!("{}m", whole / 60),
        seconds => format!("{seconds}s"),
    }
}
