//! The benchmark runs from end to end. Nothing here looks at how large a number is.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};

use inferometer_bench::load::TESTS;

fn quick(extra: &[&str]) -> (u32, Output) {
    let child = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("--quick")
        .args(extra)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the benchmark starts");
    let pid = child.id();
    (pid, child.wait_with_output().expect("it ends"))
}

/// Tables by the name of their first column; each is its rows, the head first.
fn tables(text: &str) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut tables = BTreeMap::new();
    for block in text.split("\n\n").filter(|block| block.starts_with('|')) {
        let row = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let rows: Vec<Vec<String>> = block.lines().filter(|line| !line.starts_with("| ---")).map(row).collect();
        tables.insert(rows[0][0].clone(), rows);
    }
    tables
}

#[test]
fn every_cell_has_a_number_or_a_reason_and_nothing_is_left_behind() {
    let (pid, output) = quick(&[]);
    let text = String::from_utf8(output.stdout).expect("Markdown is text");
    assert!(output.status.success(), "{text}");
    let tables = tables(&text);
    let remarks: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
    let explained = |words: &[&str]| remarks.iter().any(|remark| words.iter().any(|word| remark.contains(word)));
    let missing = ["scrape: ", "watchers: ", "two backends: "].iter().filter(|name| explained(&[name])).count();
    assert_eq!(tables.len() + missing, 9, "{text}");
    for test in TESTS {
        assert!(
            tables["CPU time"].iter().any(|row| row[0] == test.name) || explained(&[test.name]),
            "{} is missing without a reason:\n{text}",
            test.name
        );
    }
    for rows in tables.values() {
        for row in rows {
            assert_eq!(row.len(), rows[0].len(), "{row:?}");
            let empty = row.iter().any(|cell| cell == "–");
            // A figure that is made of two tests is missing with either.
            let made_of = TESTS.iter().filter(|test| row[0].contains(test.name.split(", ").next().expect("a part")));
            let reason = explained(&[&row[0], "is not there", "is not built"])
                || made_of.map(|test| test.name).any(|name| explained(&[name]));
            assert!(!empty || reason, "{row:?} has no reason:\n{text}");
            assert!(!row.iter().any(|cell| cell.contains("NaN") || cell.contains("inf ")), "{row:?}");
        }
    }
    let left = std::fs::read_dir(std::env::temp_dir()).expect("a temporary folder");
    let ours = format!("inferometer-bench-{pid}-");
    assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().starts_with(&ours)), "files are left");
}

#[test]
fn a_program_that_is_not_there_is_named_and_the_rest_is_measured() {
    let nowhere = ["--only", "1 connection", "--nginx", "/nowhere/nginx", "--inferometer", "/nowhere/inferometer"];
    let (_, output) = quick(&nowhere);
    let text = String::from_utf8(output.stdout).expect("Markdown is text");
    assert!(text.contains("- nginx is not there") && text.contains("- inferometer is not built"), "{text}");
    assert!(tables(&text)["CPU time"][1][2].ends_with("µs"), "{text}");
}

#[test]
fn a_chunk_is_counted_or_the_reason_is_named() {
    // The one it runs is built with it.
    assert!(std::path::Path::new(env!("CARGO_BIN_EXE_tap")).exists());
    let run = Command::new(env!("CARGO_BIN_EXE_instructions")).arg("--quick").output().expect("it starts");
    let text = String::from_utf8(run.stdout).expect("Markdown is text");
    let row = text.lines().find(|line| line.starts_with("| Ollama chat |")).expect("a row for the plain chunk");
    assert_eq!(row.split('|').count(), 10, "{row}");
    assert!(!row.contains('–') || text.contains("valgrind is not installed"), "{text}");
}

#[test]
fn a_program_that_does_not_answer_is_named() {
    let (_, output) = quick(&["--only", "1 connection", "--nginx", "/bin/false"]);
    let text = String::from_utf8(output.stdout).expect("Markdown is text");
    assert!(text.contains("nginx did not answer: it ended with exit status: 1"), "{text}");
}
