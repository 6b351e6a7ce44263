//! The seeds of the helper's fuzz targets, whole, cut anywhere and with any byte changed, hold what the targets try to
//! break.

#[allow(unreachable_pub, reason = "public there")]
#[path = "../../fuzz/src/helper.rs"]
mod targets;

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What a byte is changed to: what means something to either parser, and what no text has.
const BYTES: [u8; 9] = [0, b'<', b'>', b'/', b'-', b'9', b':', b'\r', 0xff];

fn every_damage_of_the_seeds(target: &str, run: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    assert!(root.join("fuzz_targets").join(target).with_extension("rs").is_file(), "{target} is a target");
    let mut seeds = 0;
    for seed in std::fs::read_dir(root.join("seeds").join(target)).expect("there are seeds") {
        let seed = std::fs::read(seed.expect("an entry").path()).expect("it can be read");
        seeds += 1;
        run(&seed);
        // The longest one is walked in steps, so that a test takes seconds.
        for at in (0..seed.len()).step_by(seed.len().div_ceil(150)) {
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
fn no_damaged_stream_of_powermetrics_breaks_what_holds() {
    every_damage_of_the_seeds("powermetrics", targets::powermetrics);
}

#[test]
fn no_damaged_head_of_a_request_breaks_what_holds() {
    every_damage_of_the_seeds("helper_head", targets::helper_head);
}
