//! What people copy from `examples/`, held against the tools that read it and against the files it names.

#[cfg(target_os = "linux")]
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
#[cfg(target_os = "linux")]
use std::process::Stdio;

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Signal, kill_process};
use serde_yaml_ng::Value;

use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::helper;
use crate::support::program::Program;
use crate::support::simulator::Simulator;
#[cfg(target_os = "linux")]
use crate::support::{cargo, one_demo};

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
    for options in [of_the_unit, launchd("org.inferometer.helper")["ProgramArguments"][1..].to_vec()] {
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

/// What launchd is to run, as Apple's property lists are read everywhere. A dictionary within is a list of `key=value`.
fn launchd(label: &str) -> std::collections::BTreeMap<String, Vec<String>> {
    let script = "import plistlib, json, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let path = root().join(format!("examples/launchd/{label}.plist"));
    let output = Command::new("python3").args(["-c", script]).arg(path).output().expect("there is a Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parsed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |value: &serde_json::Value| match (value.as_array(), value.as_object()) {
        (Some(values), _) => values.iter().map(text).collect(),
        (_, Some(pairs)) => pairs.iter().map(|(key, value)| format!("{key}={}", text(value))).collect(),
        (None, None) => vec![text(value)],
    };
    parsed.as_object().expect("a dictionary").iter().map(|(key, value)| (key.clone(), list(value))).collect()
}

#[test]
fn launchd_starts_the_helper_again_whenever_it_ends() {
    let daemon = launchd("org.inferometer.helper");
    assert_eq!(daemon["Label"], ["org.inferometer.helper"], "the name of its file");
    assert_eq!(daemon["ProgramArguments"][0], "/usr/local/bin/inferometer-helper");
    assert_eq!((&daemon["KeepAlive"], &daemon["RunAtLoad"]), (&vec!["true".to_owned()], &vec!["true".to_owned()]));
    assert!(!daemon.contains_key("UserName"), "powermetrics must be started as root; it drops that itself");
}

#[test]
fn launchd_starts_the_proxy_with_settings_that_it_accepts() {
    let agent = launchd("org.inferometer");
    assert_eq!(agent["Label"], ["org.inferometer"], "the name of its file");
    assert_eq!(agent["ProgramArguments"], ["/usr/local/bin/inferometer"]);
    let drain = 30;
    assert!(agent["ExitTimeOut"][0].parse::<u32>().is_ok_and(|seconds| seconds > drain), "a drain may take {drain} s");
    let settings: Vec<_> = agent["EnvironmentVariables"].iter().filter_map(|pair| pair.split_once('=')).collect();
    assert_eq!(settings.len(), 3, "{settings:?}");
    let mut program = Command::new(env!("CARGO_BIN_EXE_inferometer"));
    let output = program.env_clear().envs(settings).arg("--check-config").output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("did you mean"), "{said}");
}

/// What the image is built from is what the Dockerfile copies: there cargo must find the whole workspace.
#[test]
fn the_image_is_given_every_member_of_the_workspace() {
    let dockerfile = read("examples/container/Dockerfile");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("image-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let stage = dockerfile.lines().skip_while(|line| !line.ends_with(" AS build")).skip(1);
    let stage = stage.take_while(|line| !line.starts_with("FROM "));
    let copies = stage.filter_map(|line| line.strip_prefix("COPY ")).filter(|it| !it.starts_with("--"));
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

/// Settings in a compose file are read as they stand there.
#[test]
fn the_program_accepts_the_settings_of_compose() {
    let compose = yaml("examples/compose.yaml");
    let environment = compose["services"]["inferometer"]["environment"].as_mapping().expect("it has settings");
    let settings: Vec<_> = environment
        .iter()
        .map(|(name, value)| (name.as_str().expect("a name"), value.as_str().expect("a text")))
        .map(|(name, value)| (name.to_owned(), value.replace("${BACKEND:-", "").replace('}', "")))
        .collect();
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

/// `ask.sh`, sent to this program: its exit code, and what it says on both outputs.
fn ask_sh(program: &Program, model: &str) -> (Option<i32>, String, String) {
    let output = Command::new("sh")
        .arg(root().join("examples/clients/ask.sh"))
        .arg(model)
        .env("INFEROMETER", format!("http://{}", program.clients))
        .env("INFEROMETER_ADMIN", format!("http://{}", program.admin))
        .env_remove("http_proxy")
        .output()
        .expect("there is a shell");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn asking_shows_answers_and_counts_in_a_few_lines_and_passes_over_what_the_server_has_not() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    program.wait_for("model_info", &["model=\"llama3.2:3b\""], 1.0);
    let (code, said, complaints) = ask_sh(&program, "llama3.2:3b");
    assert_eq!((code, &*complaints), (Some(0), ""), "{said}");
    for line in
        ["--- /api/chat", "--- /v1/chat/completions", "--- /v1/messages", "ollama_proxy_generated_tokens_total{"]
    {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(said.lines().count() <= 20, "{} lines: {said}", said.lines().count());
}

#[test]
fn asking_ends_with_1_where_the_server_has_none_of_the_dialects() {
    let server = Backend::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found");
    let program = Program::before(server.address);
    let (code, said, complaints) = ask_sh(&program, "m");
    assert_eq!((code, said.matches("404: not found").count(), &*complaints), (Some(1), 3, ""), "{said}");
}

#[test]
fn the_environment_of_clients_leads_to_the_proxy() {
    let script = ". \"$0\"; env | grep -E '^(OLLAMA|OPENAI|ANTHROPIC)_' | sort";
    let shell = |environment: &[(&str, &str)]| {
        let mut shell = Command::new("sh");
        shell.args(["-euc", script]).arg(root().join("examples/clients/environment.sh"));
        let output = shell.env_clear().env("PATH", "/usr/bin:/bin").envs(environment.iter().copied()).output();
        String::from_utf8_lossy(&output.expect("there is a shell").stdout).into_owned()
    };
    assert_eq!(
        shell(&[("OPENAI_API_KEY", "mine"), ("INFEROMETER", "http://gpu-box:1")]),
        "ANTHROPIC_BASE_URL=http://gpu-box:1\nOLLAMA_HOST=http://gpu-box:1\nOPENAI_API_BASE=http://gpu-box:1/v1\n\
         OPENAI_API_KEY=mine\nOPENAI_BASE_URL=http://gpu-box:1/v1\n"
    );
    assert!(shell(&[]).contains("OLLAMA_HOST=http://127.0.0.1:11435\n"));
}

/// Columns and rows of the smallest window that the demo is made for.
#[cfg(target_os = "linux")]
const SMALL: (usize, usize) = (60, 18);

/// On a terminal, which util-linux's `script` plays.
#[cfg(target_os = "linux")]
#[test]
fn the_demo_shows_figures_that_hold_on_a_small_screen() {
    let _alone = one_demo();
    let demo = cargo::built(&["--examples"], "examples/demo");
    let (columns, rows) = SMALL;
    let typed = format!("stty cols {columns} rows {rows}; exec {} --simulated --seconds 4", demo.display());
    let output = Command::new("script").args(["-qec", &typed, "/dev/null"]).output().expect("util-linux is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let frames: Vec<&str> = said.split("\x1b[H").skip(1).collect();
    assert!(frames.len() >= 3, "{said}");
    for frame in &frames {
        let lines: Vec<_> = frame.split("\x1b[J").next().unwrap_or_default().split("\r\n").collect();
        let widest = lines.iter().map(|line| line.trim_end_matches("\x1b[K").chars().count()).max().unwrap_or(0);
        assert!(lines.len() <= rows && widest <= columns, "{} x {widest}: {frame}", lines.len());
    }
    let last = frames.last().expect("there are some");
    for text in ["clients  http://127.0.0.1:", "requests  ", "completed", "model ", "cancellations"] {
        assert!(last.contains(text), "{text} in {last}");
    }
    let picture = read("docs/demo.svg");
    for text in ["clients", "requests", "active", "tokens/s", "first token", "model", "errors", "cancellations"] {
        assert!(
            last.contains(text) && picture.contains(text),
            "{text} is not in both: `make screenshot` draws it again"
        );
    }
}

/// The power of a simulated machine follows its generations, and its GPU's name says that it is simulated.
#[test]
fn the_simulated_server_plays_a_helper_whose_gpu_is_named_simulated() {
    let server = Simulator::start();
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("simulated-helper-{}.toml", std::process::id()));
    let settings = format!("helper_url = \"http://{}/simulated/helper\"\n[host]\nperiod = \"1s\"\n", server.address);
    std::fs::write(&config, settings).expect("the target folder can be written");
    let program = Program::with(server.address, &["--config", &config.display().to_string()]);
    program.wait_for("helper_up", &[], 1.0);
    program.wait_for("cpu_power_watts", &[], 9.0);
    let body = r#"{"model":"llama3.2:3b","prompt":"[[tokens=20000]]"}"#;
    let head = format!("POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut generating = Client::connect(program.clients);
    generating.send(head + body).until("\"response\":");
    program.wait_for("cpu_power_watts", &[], 15.0);
    let facts = ask(server.address, "GET /simulated/helper HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(facts.contains(r#""gpu_name":"Simulated GPU""#), "{facts}");
    std::fs::remove_file(&config).expect("it was written above");
}

/// The processes that this one has started.
#[cfg(target_os = "linux")]
fn children(process: u32) -> Vec<String> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

/// Clients of the demo of several servers.
#[cfg(target_os = "linux")]
const DEMO_CLIENTS: u64 = 8;

/// What a line of that demo says of each server: its name, whether it is down, and its requests so far.
#[cfg(target_os = "linux")]
fn servers(line: &str) -> Vec<(&str, bool, u64)> {
    let server = |part: &'_ str| {
        let (server, requests) = part.split_once(", ")?;
        let (name, state) = server.split_once(' ')?;
        Some((name.len(), state == "down", requests.strip_suffix(" requests")?.parse().ok()?))
    };
    let parts = line.split(" | ");
    parts.filter_map(|part| server(part).map(|(name, is_down, requests)| (&part[..name], is_down, requests))).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn the_demo_of_several_servers_shows_one_die_and_come_back_and_leaves_nothing_running() {
    let _alone = one_demo();
    let demo = cargo::built(&["--bins", "--examples"], "examples/demo");
    let mut command = Command::new(demo);
    command.args(["--fleet", "--story", "12", "--seconds", "240"]).stdout(Stdio::piped());
    let mut running = command.spawn().expect("it was built");
    let said = BufReader::new(running.stdout.take().expect("piped"));
    // Each only after the one before. It ends by itself if one does not come.
    let mut awaited = [
        "large up,",
        "`usual` has died",
        "usual down,",
        "`usual` has come back",
        "usual up,",
        "`old` answers with errors",
    ]
    .into_iter()
    .peekable();
    let (mut lines, mut is_spread, mut at_death) = (Vec::<String>::new(), false, None);
    for line in said.lines() {
        let line = line.expect("text");
        awaited.next_if(|text| line.contains(text));
        let servers = servers(&line);
        // One that is down gets nothing but what was on its way to it.
        let down =
            servers.iter().find(|(name, is_down, _)| *name == "usual" && *is_down).map(|(.., requests)| *requests);
        at_death = down.map(|requests| at_death.unwrap_or(requests));
        let since = down.zip(at_death).map_or(0, |(now, then): (u64, u64)| now - then);
        assert!(since <= DEMO_CLIENTS, "{since} requests to a server that is down: {line}\n{lines:#?}");
        // Eight clients need more than the four slots of the large one, which is the fastest and has every model.
        let of = |name: &str| servers.iter().find(|(known, ..)| *known == name).map_or(0, |(.., requests)| *requests);
        is_spread |= of("usual") > 0 && of("old") > 0 && of("large") > of("usual").max(of("old"));
        lines.push(line);
        if awaited.peek().is_none() && is_spread {
            break;
        }
    }
    let started = children(running.id());
    let process = Pid::from_raw(i32::try_from(running.id()).expect("small")).expect("not 0");
    kill_process(process, Signal::TERM).expect("it runs");
    assert!(running.wait().expect("it ends").success());
    assert_eq!((awaited.next(), is_spread, started.len()), (None, true, 4), "{lines:#?}");
    let left: Vec<_> = started.iter().filter(|child| Path::new("/proc").join(child).exists()).collect();
    assert!(left.is_empty(), "{left:?} still run");
}

/// What a test of this file, or one that is named here, runs or holds against what reads it.
const HELD: [(&str, &str); 7] = [
    ("clients", "ask.sh and environment.sh are run"),
    ("compose.yaml", "its files, settings and configurations are held against what is shipped"),
    ("container", "cargo finds the workspace in what is copied"),
    ("demo", "it is run"),
    ("launchd", "options and settings are taken by the programs"),
    ("simulated_ollama", "it is run, by tests::engines too"),
    ("systemd", "systemd reads the units, and the programs take their options"),
];

#[test]
fn every_example_is_run_or_read_by_a_test() {
    let entries = std::fs::read_dir(root().join("examples")).expect("it is there");
    let names: Vec<_> = entries.map(|entry| entry.expect("it can be read").file_name()).collect();
    let unknown: Vec<_> = names.iter().filter(|name| HELD.iter().all(|(held, _)| *name != held)).collect();
    assert!(unknown.is_empty(), "examples without a test: {unknown:?}");
    assert_eq!(names.len(), HELD.len(), "an example that is gone is still listed");
}
