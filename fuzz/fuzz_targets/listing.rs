#![no_main]

#[path = "../src/listing.rs"]
mod listing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    listing::listing(input);
});
