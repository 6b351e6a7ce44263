//! The seeds of the fuzz targets, and the inputs that fuzzing found, hold what the targets try to break.

#[allow(unreachable_pub, reason = "public there")]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::Path;

#[test]
fn every_fuzz_target_has_seeds_and_each_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = targets::RESPONSES.iter().map(|(name, _)| *name).chain(["request", "coding", "form"]);
    for name in names {
        assert!(root.join("fuzz_targets").join(name).with_extension("rs").is_file(), "{name} is a target");
        let mut seeds = 0;
        for seed in fs::read_dir(root.join("seeds").join(name)).unwrap() {
            let seed = fs::read(seed.unwrap().path()).unwrap();
            for size in [1, 2, 3, 64, 255] {
                let mut input = seed.clone();
                input[usize::from(name == "coding")] = size;
                targets::run(name, &input);
            }
            for len in 0..seed.len() {
                targets::run(name, &seed[..len]);
            }
            seeds += 1;
        }
        assert!(seeds > 0, "{name} has seeds");
    }
}

/// Targets whose inputs are rerun beside what they read: `host::seeds`, `ambiguity::opinions`, `wire::facts`,
/// `fleet::seeds`, and the helper's own tests.
const ELSEWHERE: [&str; 8] =
    ["host_files", "second_opinion", "json_facts", "held", "listing", "helper_answer", "powermetrics", "helper_head"];

/// Lines of base64, as `make fuzz-keep` writes them.
#[test]
fn every_input_that_was_kept_holds() {
    use base64::Engine as _;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for target in fs::read_dir(root.join("fuzz_targets")).unwrap() {
        let name = target.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        if ELSEWHERE.contains(&&*name) {
            continue;
        }
        let kept = fs::read_to_string(root.join("kept").join(&name)).unwrap();
        assert!(kept.lines().count() > 20, "{name} was fuzzed");
        for line in kept.lines() {
            targets::run(&name, &base64::engine::general_purpose::STANDARD.decode(line).unwrap());
        }
    }
}
