#![no_main]

#[path = "../src/held.rs"]
mod held;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    held::held_request(input);
});
