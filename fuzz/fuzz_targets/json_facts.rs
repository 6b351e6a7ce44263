#![no_main]

#[path = "../src/facts.rs"]
mod facts;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    facts::json_facts(input);
});
