#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inferometer_fuzz::run("form", input));
