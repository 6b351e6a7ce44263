#![no_main]

#[path = "../src/opinion.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod opinion;

libfuzzer_sys::fuzz_target!(|input: &[u8]| opinion::second_opinion(input));
