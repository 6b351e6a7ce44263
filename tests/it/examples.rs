//! What people copy from `examples/`, held against the tools that read it and against the files it names.

use std::path::Path;
use std::process::Command;

use serde_yaml_ng::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// systemd looks whether the program is there, so it is given the one under test. Where there is no systemd (macOS, a
/// container without it) there is nobody to ask.
#[test]
fn systemd_accepts_the_unit() {
    let unit = read("examples/systemd/inferometer.service");
    let installed = "/usr/local/bin/inferometer";
    assert!(unit.contains(&format!("ExecStart={installed}\n")), "the unit starts {installed}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("systemd-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let copy = folder.join("inferometer.service");
    std::fs::write(&copy, unit.replace(installed, env!("CARGO_BIN_EXE_inferometer"))).expect("it can be written");
    let Ok(output) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output() else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("inferometer.service"), "{said}");
    std::fs::remove_dir_all(&folder).expect("it was made above");
}

/// Settings in a unit or a compose file are read as they stand there.
#[test]
fn the_program_accepts_the_settings_of_the_unit_and_of_compose() {
    let unit = read("examples/systemd/inferometer.service");
    let of_the_unit: Vec<_> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment=")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let compose = yaml("examples/compose.yaml");
    let environment = compose["services"]["inferometer"]["environment"].as_mapping().expect("it has settings");
    let of_compose: Vec<_> = environment
        .iter()
        .map(|(name, value)| (name.as_str().expect("a name"), value.as_str().expect("a text")))
        .map(|(name, value)| (name.to_owned(), value.replace("${BACKEND:-", "").replace('}', "")))
        .collect();
    for settings in [of_the_unit, of_compose] {
        assert!(settings.len() >= 3, "{settings:?}");
        let output = Command::new(env!("CARGO_BIN_EXE_inferometer"))
            .env_clear()
            .envs(settings.clone())
            .arg("--check-config")
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("unknown"), "{settings:?}: {said}");
    }
}

#[test]
fn compose_mounts_and_builds_what_is_there() {
    let compose = yaml("examples/compose.yaml");
    let build = &compose["services"]["inferometer"]["build"];
    assert!(root().join("examples").join(build["context"].as_str().expect("a folder")).is_dir());
    assert!(root().join(build["dockerfile"].as_str().expect("a file")).is_file());
    let services = compose["services"].as_mapping().expect("it has services");
    let mounts = services.values().filter_map(|service| service["volumes"].as_sequence()).flatten();
    let places: Vec<_> =
        mounts.filter_map(|mount| mount.as_str()?.split(':').next()).filter(|it| it.starts_with('.')).collect();
    assert!(places.len() >= 3, "{places:?}");
    for place in places {
        assert!(root().join("examples").join(place).exists(), "{place} is not there");
    }
}

/// The configurations in the compose file differ from the shipped ones only in the services' names.
#[test]
fn compose_configures_what_is_shipped() {
    let compose = yaml("examples/compose.yaml");
    let inside = |name: &str| -> Value {
        serde_yaml_ng::from_str(compose["configs"][name]["content"].as_str().expect("a text")).expect("it parses")
    };
    let text = read("prometheus/prometheus.yml").replace("localhost:8001", "inferometer:8001");
    let shipped: Value = serde_yaml_ng::from_str(&text).expect("it parses");
    let prometheus = inside("prometheus");
    assert_eq!(
        (&prometheus["global"], &prometheus["scrape_configs"]),
        (&shipped["global"], &shipped["scrape_configs"])
    );
    let text = read("grafana/provisioning/datasources/prometheus.yml").replace("localhost:9090", "prometheus:9090");
    let shipped: Value = serde_yaml_ng::from_str(&text).expect("it parses");
    assert_eq!(inside("datasource"), shipped);
}

#[test]
fn a_shell_reads_the_snippets() {
    for snippet in ["examples/clients/environment.sh", "examples/clients/ask.sh"] {
        let output = Command::new("sh").arg("-n").arg(root().join(snippet)).output().expect("there is a shell");
        assert!(output.status.success(), "{snippet}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
