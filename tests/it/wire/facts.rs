//! What the JSON scanner finds is what a walk over serde_json's tree finds.

#[allow(unreachable_pub, dead_code, reason = "a fuzz target's")]
#[path = "../../../fuzz/src/facts.rs"]
mod walk;

use std::fs;
use std::path::Path;

use base64::Engine as _;

use walk::json_facts;

/// Elements that are made.
const MADE: u64 = 20_000;
const KEYS: &[&str] = &[
    "text",
    "count",
    "quantity",
    "flag",
    "present",
    "truthy",
    "length",
    "measured",
    "object",
    "each",
    "lists",
    "name",
    "Name",
    "COUNT",
    "t\\u0065xt",
    "texts",
    "",
    "x",
];
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "-7",
    "1.0",
    "1.5",
    "2.5e-3",
    "1e3",
    "1e400",
    "9007199254740991",
    "9007199254740992",
    "18446744073709551616",
    "\"\"",
    "\"a\"",
    "\"\u{e9}\u{1f600}\"",
    "\"\\ud83d\\ude00\"",
    "\"\\\"\\\\\\n\"",
    "\"\\u00e9 \\/\"",
    "[]",
    "{}",
    "[[]]",
    "[[1,2],[3],[],null,[\"a\"]]",
    "[1,2,3]",
];

/// A small generator of numbers, the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn value(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 1 } else { 8 }) {
            0..=4 => VALUES[self.below(VALUES.len())].to_owned(),
            5 => format!("\"{}\"", "y".repeat(509 + self.below(8))),
            6 => self.array(depth - 1),
            _ => self.object(depth - 1),
        }
    }

    fn blank(&mut self) -> &'static str {
        ["", "", "", " ", "\t", " \r "][self.below(6)]
    }

    fn array(&mut self, depth: usize) -> String {
        let elements: Vec<_> = (0..self.below(4))
            .map(|_| if self.below(2) == 0 { self.object(depth) } else { self.value(depth) })
            .collect();
        format!("[{}{}]", elements.join(","), self.blank())
    }

    fn object(&mut self, depth: usize) -> String {
        let members: Vec<_> = (0..self.below(5))
            .map(|_| {
                format!("{}\"{}\":{}{}", self.blank(), KEYS[self.below(KEYS.len())], self.blank(), self.value(depth))
            })
            .collect();
        format!("{{{}{}}}", members.join(","), self.blank())
    }

    /// Elements of which some are like the one before but for a value.
    fn input(&mut self) -> Vec<u8> {
        let mut lines = vec![self.object(4)];
        for _ in 0..self.below(6) {
            let before = lines[lines.len() - 1].clone();
            lines.push(match self.below(4) {
                0 => self.object(4),
                1 => self.array(3),
                2 => before.replace('7', "1234"),
                _ => before.replacen("\"a\"", "\"a longer one\"", 1),
            });
        }
        [&[self.below(40) as u8], lines.join("\n").as_bytes()].concat()
    }
}

#[test]
fn the_scanner_finds_what_a_walk_over_the_tree_finds() {
    let mut numbers = Numbers(1);
    let mut compared = 0;
    for _ in 0..MADE {
        compared += json_facts(&numbers.input());
    }
    println!("{compared} elements compared");
    assert!(compared > MADE as usize, "the generator makes JSON");
}

#[test]
fn seeds_and_inputs_that_were_kept_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let seeds = fs::read_dir(root.join("seeds/json_facts")).unwrap();
    let mut inputs: Vec<Vec<u8>> = seeds.map(|seed| fs::read(seed.unwrap().path()).unwrap()).collect();
    let kept = fs::read_to_string(root.join("kept/json_facts")).unwrap();
    assert!(kept.lines().count() > 20, "it was fuzzed");
    inputs.extend(kept.lines().map(|line| base64::engine::general_purpose::STANDARD.decode(line).unwrap()));
    let compared: usize = inputs.iter().map(|input| json_facts(input)).sum();
    println!("{compared} elements compared in {} inputs", inputs.len());
}
