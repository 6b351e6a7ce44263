//! The seeds of the fuzz targets of the machine's sources, whole, cut anywhere and with any byte changed, hold what the
//! targets try to break.

#[allow(unreachable_pub, reason = "public there")]
#[path = "../../../fuzz/src/machine.rs"]
mod targets;

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What a byte is changed to: what numbers are made of, what separates them, and what no text has.
const BYTES: [u8; 8] = [0, b' ', b'\n', b'-', b'9', b'.', b':', 0xff];

fn every_damage_of_the_seeds(target: &str, run: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    assert!(root.join("fuzz_targets").join(target).with_extension("rs").is_file(), "{target} is a target");
    let mut seeds = 0;
    for seed in std::fs::read_dir(root.join("seeds").join(target)).expect("there are seeds") {
        let seed = std::fs::read(seed.expect("an entry").path()).expect("it can be read");
        seeds += 1;
        run(&seed);
        // Each reading writes files: sixty places of a seed, spread over it, keep the test in seconds.
        for at in (0..seed.len()).step_by(seed.len().div_ceil(60)) {
            run(&seed[..at]);
            for byte in BYTES {
                let mut changed = seed.clone();
                changed[at] = byte;
                run(&changed);
            }
        }
    }
    assert!(seeds > 0, "{target} has seeds");
    // Lines of base64, as `make fuzz-keep` writes them.
    let kept = std::fs::read_to_string(root.join("kept").join(target)).expect("it was fuzzed");
    assert!(kept.lines().count() > 20, "{target} was fuzzed");
    for line in kept.lines() {
        run(&BASE64_STANDARD.decode(line).expect("base64"));
    }
}

#[test]
fn no_damaged_file_of_the_kernel_gives_a_figure_that_cannot_be() {
    every_damage_of_the_seeds("host_files", targets::host_files);
}

#[test]
fn no_damaged_answer_of_a_helper_gives_a_figure_that_cannot_be() {
    every_damage_of_the_seeds("helper_answer", targets::helper_answer);
}
