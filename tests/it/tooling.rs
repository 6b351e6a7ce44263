//! What `make` does to the machine that it runs on, and what it needs of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Packages that hold programs alone: nothing of theirs starts at boot or listens.
const WITHOUT_A_SERVICE: &[&str] =
    &["bsdutils", "ca-certificates", "curl", "gcc", "libc6-dev", "python3-venv", "valgrind"];

/// What a script installs with apt, by the words of its lists and commands.
fn installed(script: &str) -> Vec<&str> {
    let code = script.lines().filter(|line| !line.trim_start().starts_with(['#', 'e']));
    let lists = code.flat_map(|line| {
        let list = line.split_once("missing+=(").and_then(|(_, rest)| rest.split(')').next());
        let command =
            line.split_once("--no-install-recommends ").and_then(|(_, rest)| rest.split(['}', ';', '<']).next());
        list.into_iter().chain(command)
    });
    lists.flat_map(str::split_whitespace).filter(|word| !word.starts_with('"')).collect()
}

#[test]
fn setup_installs_no_package_that_brings_a_service() {
    for script in [include_str!("../tools/setup.sh"), include_str!("../../benches/setup.sh")] {
        let packages = installed(script);
        let others: Vec<_> = packages.iter().filter(|name| !WITHOUT_A_SERVICE.contains(name)).collect();
        assert!(!packages.is_empty() && others.is_empty(), "{others:?}: unpack them, as tests/tools/unpack.sh does");
    }
}

/// Says what `make` would before it builds, with these programs on the `PATH`: a shell's own, and what is made up.
fn build_needs(name: &str, made_up: &[(&str, &str)]) -> (Option<i32>, String) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("needs-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    for tool in ["dirname", "sed", "sort", "head"] {
        let found = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(tool)).into_iter().find(|it| it.exists());
        symlink(found.expect("every system has it"), folder.join(tool)).expect("it can be linked");
    }
    for (tool, says) in made_up {
        let program = folder.join(tool);
        std::fs::write(&program, format!("#!/bin/sh\n{says}\n")).expect("it can be written");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("it can be changed");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/build_needs.sh");
    let bash = ["/usr/bin/bash", "/bin/bash"].into_iter().find(|bash| Path::new(bash).exists()).expect("there is bash");
    let output = Command::new(bash).arg(script).arg("--compiler").env_clear().env("PATH", &folder).output();
    let output = output.expect("it runs");
    std::fs::remove_dir_all(&folder).expect("it was made above");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_a_build_needs_is_named_before_it_fails_for_want_of_it() {
    let (cargo, cc) = (("cargo", "exit 0"), ("cc", "exit 0"));
    let rustc = |version: &'static str| ("rustc", version);
    let new = rustc("echo 'rustc 1.93.1 (abc 2026-01-01)'");
    for (name, made_up, words) in [
        ("nothing", &[][..], &["Rust 1.88 or newer", "https://rustup.rs", "gcc"][..]),
        ("old", &[cargo, rustc("echo 'rustc 1.63.0'"), cc], &["1.63.0 is too old", "1.88"]),
        ("no-toolchain", &[cargo, rustc("exit 1"), cc], &["rustup default stable"]),
        ("no-compiler", &[cargo, new], &["cc", "gcc"]),
        ("no-headers", &[cargo, new, ("cc", "exit 1")], &["headers of the C library", "libc6-dev"]),
    ] {
        let (code, said) = build_needs(name, made_up);
        assert!(code == Some(1) && words.iter().all(|word| said.contains(word)), "{name}: {said}");
    }
    let (code, said) = build_needs("all", &[cargo, new, cc]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(build_needs("just", &[cargo, rustc("echo 'rustc 1.88.0'"), cc]).0, Some(0));
}

/// The dependencies of these packages, each with the features that it is built with.
fn dependencies(packages: &[&str]) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked", "--offline", "--edges", "normal,build,dev"]);
    let output = tree.args(["--prefix", "none", "--format", "{p} {f}"]).args(packages).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("names are ASCII");
    listed.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn no_dependency_is_built_twice_for_a_program_that_a_test_builds() {
    let whole = dependencies(&["--workspace"]);
    let alone = dependencies(&["--package", "inferometer"]);
    let twice: Vec<_> = alone.difference(&whole).collect();
    assert!(twice.is_empty(), "with other features in the workspace: {twice:?}; name them in workspace.dependencies");
}
