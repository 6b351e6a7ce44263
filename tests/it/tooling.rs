//! What `make` does to the machine that it runs on.

/// Packages that hold programs alone: nothing of theirs starts at boot or listens.
const WITHOUT_A_SERVICE: &[&str] = &["ca-certificates", "gcc", "libc6-dev", "python3-venv", "valgrind"];

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
