//! What `make` does to the machine that it runs on, what it needs of it, and what dependencies need.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Packages that hold programs alone: nothing of theirs starts at boot or listens.
const WITHOUT_A_SERVICE: &[&str] =
    &["bsdutils", "ca-certificates", "curl", "gcc", "git", "libc6-dev", "python3-venv", "valgrind"];

/// What a script installs with apt, by the words of its lists and commands.
fn installed(script: &str) -> Vec<&str> {
    let runs = |line: &&str| !line.trim_start().starts_with(['#', 'e']) && !line.contains("--simulate");
    let code = script.lines().filter(runs);
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

/// Two programs in place of the proxy and of the helper, which write to the same output.
#[test]
fn run_with_helper_points_the_proxy_to_the_helper_and_ends_it_with_the_proxy() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("with-helper-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let made_up = [
        // It is still there after ten seconds where nobody ends it.
        (
            "inferometer-helper",
            "trap 'kill $!; echo helper ended; exit' TERM\nsleep 10 &\n: >up\nwait $!\necho left alone",
        ),
        ("inferometer", "while [ ! -e up ]; do sleep 0.01; done\necho given $*; exec \"$REAL\" --print-config"),
        // Where the tests do not run as root.
        ("sudo", "[ \"$1\" = --validate ] || exec \"$@\""),
    ];
    for (name, says) in made_up {
        let program = folder.join(name);
        std::fs::write(&program, format!("#!/bin/sh\n{says}\n")).expect("it can be written");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("it can be changed");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/run_with_helper.sh");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("there is one"));
    let mut command = Command::new("bash");
    command.arg(script).arg(&folder).args(["--access-log", "off"]).current_dir(&folder).env("STATE_DIRECTORY", &folder);
    command.env("PATH", path).env("REAL", env!("CARGO_BIN_EXE_inferometer")).env_remove("INFEROMETER_CONFIG");
    // The output ends once whoever has it has ended.
    let output = command.output().expect("there is bash");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for text in ["given --access-log off", "\nhelper_url = \"http://127.0.0.1:8002", "helper ended"] {
        assert!(said.contains(text) && !said.contains("left alone"), "{text:?} in {said}");
    }
    std::fs::remove_dir_all(&folder).expect("it was made above");
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

/// A version's numbers; what is left out is 0.
fn version(text: &str) -> Vec<u64> {
    let mut parts: Vec<_> = text.split('.').map(|part| part.parse().expect("a number")).collect();
    parts.resize(3, 0);
    parts
}

/// Of this machine's platform: what others need is only downloaded where it is needed.
#[test]
fn no_dependency_asks_for_a_newer_rust() {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let rustc = String::from_utf8(rustc.stdout).expect("it is ASCII");
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("it says for which platform it is");
    let mut metadata = Command::new(env!("CARGO"));
    metadata.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "metadata",
        "--locked",
        "--offline",
        "--format-version",
        "1",
    ]);
    let output = metadata.args(["--filter-platform", host]).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    let stated: Vec<_> = packages.iter().filter_map(|it| Some((&it["name"], it["rust_version"].as_str()?))).collect();
    assert!(stated.len() > 50, "only {} of {} state one", stated.len(), packages.len());
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    let newer: Vec<_> = stated.iter().filter(|(_, theirs)| version(theirs) > ours).collect();
    assert!(newer.is_empty(), "{newer:?} ask for more than Rust {}", env!("CARGO_PKG_RUST_VERSION"));
}

/// What the build script finds out about the commit, in a folder and with these variables.
fn revision_in(folder: &Path, variables: &[(&str, &str)]) -> String {
    let script = folder.join("build-script");
    if !script.exists() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut compile = Command::new(compiler);
        let done = compile.args(["--edition", "2024", "-o"]).args([&script, &source]).status().expect("there is rustc");
        assert!(done.success(), "build.rs compiles by itself");
    }
    let mut run = Command::new(&script);
    run.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("CARGO_MANIFEST_DIR", folder);
    let output = run.envs(variables.iter().copied()).output().expect("it runs");
    let said = String::from_utf8(output.stdout).expect("text");
    let line = said.lines().find_map(|line| line.strip_prefix("cargo:rustc-env=INFEROMETER_REVISION="));
    line.expect("it is always said, if only that nothing is known").to_owned()
}

#[test]
fn the_build_knows_its_commit_from_a_variable_the_package_or_git_and_else_says_nothing() {
    let folder = crate::support::authority::folder();
    let release = ("PROFILE", "release");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(&folder).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(arguments);
        let output = git.output().expect("there is git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    // This folder is within a checkout of its own project, whose commit is not that of what was unpacked there.
    assert_eq!(revision_in(&folder, &[release]), "", "no commit is known");
    git(&["init", "--quiet"]);
    git(&["commit", "--quiet", "--allow-empty", "--message", "a"]);
    let commit = git(&["rev-parse", "HEAD"]);
    assert_eq!(revision_in(&folder, &[release]), commit[..12]);
    assert_eq!(revision_in(&folder, &[("PROFILE", "debug")]), "", "tests are not built again for each commit");
    let package = "{\n  \"git\": {\n    \"sha1\": \"0123456789abcdef0123456789abcdef01234567\"\n  }\n}";
    std::fs::write(folder.join(".cargo_vcs_info.json"), package).expect("a file");
    assert_eq!(revision_in(&folder, &[release]), "0123456789ab");
    assert_eq!(revision_in(&folder, &[release, ("INFEROMETER_REVISION", "mine")]), "mine");
    std::fs::remove_dir_all(folder).expect("it was made above");
}
