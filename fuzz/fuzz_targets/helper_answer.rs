#![no_main]

#[path = "../src/machine.rs"]
#[allow(dead_code, reason = "each target runs one of them")]
mod machine;

libfuzzer_sys::fuzz_target!(|input: &[u8]| machine::helper_answer(input));
