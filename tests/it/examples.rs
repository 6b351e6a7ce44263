//! What people copy from `examples/`, held against the tools that read it and against the files it names.

use std::path::Path;
use std::process::Command;

use serde_yaml_ng::Value;

use crate::support::helper;

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
fn systemd_accepts(name: &str, program: &Path) {
    let unit = read(&format!("examples/systemd/{name}.service"));
    let installed = format!("/usr/local/bin/{name}");
    assert!(unit.contains(&format!("ExecStart={installed}")), "the unit starts {installed}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("systemd-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let copy = folder.join(format!("{name}.service"));
    let here = unit.replace(&installed, &program.display().to_string());
    std::fs::write(&copy, here).expect("it can be written");
    let Ok(output) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output() else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains(&format!("{name}.service")), "{said}");
    std::fs::remove_dir_all(&folder).expect("it was made above");
}

#[test]
fn systemd_accepts_the_units_of_the_proxy_and_of_the_helper() {
    systemd_accepts("inferometer", Path::new(env!("CARGO_BIN_EXE_inferometer")));
    systemd_accepts("inferometer-helper", helper::program());
}

/// What a unit locks away cannot be measured: GPUs are devices, the server's processes are other users'.
#[test]
fn the_unit_hides_nothing_that_is_measured() {
    let unit = read("examples/systemd/inferometer.service");
    let settings: Vec<_> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    for hides in ["PrivateDevices=yes", "ProtectProc=invisible", "ProtectProc=noaccess", "ProcSubset=pid"] {
        assert!(!settings.contains(&hides), "{hides}");
    }
    assert!(settings.contains(&"DeviceAllow=char-nvidia* rw"), "a policy that is closed lets NVIDIA's devices through");
}

/// The options that service managers start the helper with are taken: it listens, or says that there is nothing to read.
#[test]
fn the_helper_takes_the_options_of_its_unit_and_of_its_daemon() {
    let unit = read("examples/systemd/inferometer-helper.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something");
    let of_the_unit: Vec<_> = start.split(' ').skip(1).map(str::to_owned).collect();
    for options in [of_the_unit, launchd()["ProgramArguments"][1..].to_vec()] {
        // Last wins: on a free port, from an empty machine, which it reports after it has understood everything.
        let output = Command::new(helper::program())
            .args(&options)
            .args(["--source", "kernel", "--proc", "/nowhere", "--sys", "/nowhere"])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{options:?}: {said}");
    }
}

/// launchd's daemon, as Apple's property lists are read everywhere.
fn launchd() -> std::collections::BTreeMap<String, Vec<String>> {
    let script = "import plistlib, json, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let path = root().join("examples/launchd/org.inferometer.helper.plist");
    let output = Command::new("python3").args(["-c", script]).arg(path).output().expect("there is a Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parsed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |value: &serde_json::Value| match value.as_array() {
        Some(values) => values.iter().map(text).collect(),
        None => vec![text(value)],
    };
    parsed.as_object().expect("a dictionary").iter().map(|(key, value)| (key.clone(), list(value))).collect()
}

#[test]
fn launchd_starts_the_helper_again_whenever_it_ends() {
    let daemon = launchd();
    assert_eq!(daemon["Label"], ["org.inferometer.helper"], "the name of its file");
    assert_eq!(daemon["ProgramArguments"][0], "/usr/local/bin/inferometer-helper");
    assert_eq!((&daemon["KeepAlive"], &daemon["RunAtLoad"]), (&vec!["true".to_owned()], &vec!["true".to_owned()]));
    assert!(!daemon.contains_key("UserName"), "powermetrics must be started as root; it drops that itself");
}

/// What the image is built from is what the Dockerfile copies: there cargo must find the whole workspace.
#[test]
fn the_image_is_given_every_member_of_the_workspace() {
    let dockerfile = read("examples/container/Dockerfile");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("image-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|it| !it.starts_with("--"));
    for copy in copies {
        let (sources, _) = copy.rsplit_once(' ').expect("a destination");
        for source in sources.split(' ') {
            std::os::unix::fs::symlink(root().join(source), folder.join(source)).expect("it can be linked");
        }
    }
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(&folder).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
