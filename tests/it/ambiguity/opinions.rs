//! Whatever our reader of HTTP/1 passes is read to the same messages and bodies by others: hyper with httparse, llhttp
//! (which is Node's, and vLLM's through uvicorn) and h11.
//!
//! Asked of what a client sends and of what is written for either side. Where another refuses what passes, a row of
//! [`DISAGREEMENTS`] says why; none may read another message.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use serde_json::{Value, json};

use super::mutate::{Random, message};
use super::{BEHIND, REPLIES, REQUESTS, SMUGGLED, cases, show};
use crate::support::python;

#[allow(unreachable_pub, dead_code, missing_docs, reason = "a fuzz target's")]
#[path = "../../../fuzz/src/opinion.rs"]
mod opinion;

use opinion::{DISAGREEMENTS, Passed, Reading, Side, compare, hyper_reads, passes, second_opinion};

/// Readers in Python see one case in so many: they are slow.
const PYTHON_SEES: u64 = 4;
/// As many of them at once as fit in memory.
const BATCH: usize = 20_000;

/// What is asked about: bytes, and what passes of them here.
struct Case {
    side: Side,
    bytes: Vec<u8>,
    ours: Vec<Passed>,
}

/// A case of what came, and one of what is written for the other side. A response is read only as the proxy wrote it.
fn cases_of(side: Side, bytes: Vec<u8>) -> impl Iterator<Item = Case> {
    let (ours, written) = passes(side, &bytes);
    let (again, _) = passes(side, &written);
    let gist = |passed: &[Passed]| -> Vec<_> {
        passed.iter().map(|it| (it.reading.start.clone(), it.reading.body.clone())).collect()
    };
    assert_eq!(gist(&ours), gist(&again), "{} is written as {}", show(&bytes), show(&written));
    let came = (side == Side::Requests).then_some(Case { side, bytes, ours });
    came.into_iter().chain([Case { side, bytes: written, ours: again }]).filter(|case| !case.ours.is_empty())
}

fn damaged(number: u64) -> (Side, Vec<u8>) {
    let mut random = Random::new(number);
    if number.is_multiple_of(2) {
        let bytes = [message(&mut random, REQUESTS, SMUGGLED), message(&mut random, REQUESTS, SMUGGLED)];
        (Side::Requests, bytes.concat())
    } else {
        (Side::Response, message(&mut random, REPLIES, BEHIND))
    }
}

/// Seeds of the fuzz target, and inputs that fuzzing kept.
fn kept() -> Vec<(Side, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let seeds = fs::read_dir(root.join("seeds/second_opinion")).expect("seeds");
    let mut inputs: Vec<Vec<u8>> =
        seeds.map(|seed| fs::read(seed.expect("an entry").path()).expect("a seed")).collect();
    let lines = fs::read_to_string(root.join("kept/second_opinion")).expect("it was fuzzed");
    inputs.extend(lines.lines().map(|line| base64::engine::general_purpose::STANDARD.decode(line).expect("base64")));
    assert!(inputs.len() > 20, "it was fuzzed");
    inputs.iter().for_each(|input| second_opinion(input));
    let side = |first: &u8| if first.is_multiple_of(2) { Side::Requests } else { Side::Response };
    inputs.iter().filter_map(|input| input.split_first()).map(|(first, rest)| (side(first), rest.to_vec())).collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn bytes_of(value: &Value) -> Vec<u8> {
    value.as_str().expect("text").chars().map(|byte| u8::try_from(u32::from(byte)).expect("a byte")).collect()
}

fn reading_of(value: &Value) -> Reading {
    let pairs = value[1].as_array().expect("fields").iter();
    let fields = pairs.map(|pair| (bytes_of(&pair[0]), bytes_of(&pair[1]))).collect();
    Reading { start: bytes_of(&value[0]), fields, body: bytes_of(&value[2]) }.settled()
}

/// What the readers in Python make of each case.
fn python_reads(cases: &[Case]) -> Vec<Vec<(String, Vec<Reading>)>> {
    let asked: Vec<Value> = cases
        .iter()
        .map(|case| json!([if case.side == Side::Requests { "requests" } else { "response" }, text(&case.bytes)]))
        .collect();
    let file = std::env::temp_dir().join(format!("inferometer-opinions-{}.json", std::process::id()));
    let ascii: String = Value::from(asked).to_string().chars().fold(String::new(), |mut out, letter| {
        if letter.is_ascii() {
            out.push(letter)
        } else {
            out.push_str(&format!("\\u{:04x}", u32::from(letter)))
        }
        out
    });
    fs::write(&file, ascii).expect("it can be written");
    let read = python::run("tools/second_opinion.py", &[file.to_str().expect("a path")]);
    fs::remove_file(&file).expect("it was written");
    let of_case = |value: &Value| {
        let readers = value.as_object().expect("readers").iter();
        let messages = |read: &Value| read.as_array().expect("messages").iter().map(reading_of).collect();
        readers.map(|(name, read)| (name.clone(), messages(read))).collect()
    };
    read.as_array().expect("cases").iter().map(of_case).collect()
}

/// What holding readers against each other has shown.
#[derive(Default)]
struct Shown {
    rows: BTreeSet<&'static str>,
    faults: Vec<String>,
}

impl Shown {
    fn hold(&mut self, reader: &str, case: &Case, theirs: &[Reading]) {
        match compare(reader, &case.ours, theirs) {
            Ok(row) => self.rows.extend(row),
            Err(fault) => self.faults.push(format!("{fault} in {}", show(&case.bytes))),
        }
    }

    fn ask_python(&mut self, cases: &mut Vec<Case>) {
        for (case, read) in cases.iter().zip(python_reads(cases)) {
            read.iter().for_each(|(reader, theirs)| self.hold(reader, case, theirs));
        }
        cases.clear();
    }
}

#[test]
fn other_readers_read_the_same_messages_and_bodies() {
    let (mut shown, mut slow) = (Shown::default(), Vec::new());
    let (mut streams, mut messages, mut python) = (0, 0, 0);
    let numbered = (0..cases()).map(|number| (number / 2 % PYTHON_SEES == 0, damaged(number)));
    let inputs = kept().into_iter().map(|input| (true, input)).chain(numbered);
    for (to_python, (side, bytes)) in inputs {
        for case in cases_of(side, bytes) {
            streams += 1;
            messages += case.ours.len();
            shown.hold("hyper", &case, &hyper_reads(case.side, &case.bytes));
            if to_python {
                python += 1;
                slow.push(case);
            }
        }
        if slow.len() >= BATCH {
            shown.ask_python(&mut slow);
        }
    }
    shown.ask_python(&mut slow);
    println!("{messages} messages that pass in {streams} streams, of which h11 and llhttp read {python}");
    let Shown { rows, faults } = shown;
    assert!(faults.is_empty(), "{} disagreements:\n{}", faults.len(), faults.join("\n"));
    let table: BTreeSet<_> = DISAGREEMENTS.iter().map(|row| row.id).collect();
    assert_eq!(rows, table, "every row is needed");
}
