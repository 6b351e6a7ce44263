#![no_main]

#[path = "../src/helper.rs"]
#[allow(dead_code, reason = "each target runs one of them")]
mod helper;

libfuzzer_sys::fuzz_target!(|input: &[u8]| helper::helper_head(input));
