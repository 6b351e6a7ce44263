//! What is held and what is merged, by the seeds of the fuzz targets and the inputs that fuzzing kept.

#[allow(unreachable_pub, reason = "a fuzz target's")]
#[path = "../../../fuzz/src/held.rs"]
mod held;
#[allow(unreachable_pub, reason = "a fuzz target's")]
#[path = "../../../fuzz/src/listing.rs"]
mod listing;

use std::fs;
use std::path::Path;

use base64::Engine as _;

/// Runs the seeds of a target, cut at every byte and in pieces of every size, and what fuzzing kept. `run` gives how much
/// an input amounts to.
fn rerun(name: &str, run: fn(&[u8]) -> usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    assert!(root.join("fuzz_targets").join(name).with_extension("rs").is_file(), "{name} is a target");
    for seed in fs::read_dir(root.join("seeds").join(name)).expect("seeds") {
        let path = seed.expect("an entry").path();
        let mut seed = fs::read(&path).expect("a seed");
        assert!(run(&seed) > 0, "{} amounts to something", path.display());
        for end in 0..seed.len() {
            run(&seed[..end]);
        }
        for first in 0..=255 {
            seed[0] = first;
            run(&seed);
        }
    }
    let kept = fs::read_to_string(root.join("kept").join(name)).expect("it was fuzzed");
    assert!(kept.lines().count() > 20, "{name} was fuzzed");
    for line in kept.lines() {
        run(&base64::engine::general_purpose::STANDARD.decode(line).expect("base64"));
    }
}

#[test]
fn a_held_request_is_sent_as_one_that_is_not_held_by_every_input_that_was_kept() {
    rerun("held", held::held_request);
}

#[test]
fn what_is_merged_is_spliced_from_what_came_by_every_input_that_was_kept() {
    rerun("listing", listing::listing);
}
