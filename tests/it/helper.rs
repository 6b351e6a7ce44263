//! The helper and the program together, and the program with helpers that are slow, lie, hang or come back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::helper;
use crate::support::program::Program;

const SAMPLE: &[u8] = include_bytes!("../../helper/tests/powermetrics/m4-macos15.plist");
const CHAT: &str = "GET /api/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A configuration file of one test's own; dropping it removes it.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("helper-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).expect("it can be written");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The program, reading the machine every second and asking this helper.
fn program(name: &str, backend: &Backend, helper: &str) -> (Program, File) {
    let file = File::new(name, &format!("helper_url = \"{helper}\"\n[host]\nperiod = \"1s\"\n"));
    let path = file.0.display().to_string();
    (Program::with(backend.address, &["--config", &path]), file)
}

fn backend() -> Backend {
    Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
}

/// The real helper, fed from here; dropping it ends it.
struct Helper(Child, String);

impl Helper {
    fn start() -> Self {
        Self::with(&["--source", "-"])
    }

    fn with(arguments: &[&str]) -> Self {
        let mut command = Command::new(helper::program());
        command.args(["--listen", "127.0.0.1:0"]).args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("a pipe")).read_line(&mut line).expect("text");
        let (_, address) = line.trim_end().split_once("listening on ").expect("it listens");
        Self(child, format!("http://{address}"))
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.0.stdin.as_mut().expect("a pipe").write_all(bytes).expect("it reads");
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A helper that does with each connection what the script says.
fn scripted(script: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    asked(move |stream, _| script(stream))
}

/// The same, with the request that it got.
fn asked(script: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let script = Arc::clone(&script);
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                script(&mut stream, &String::from_utf8_lossy(&request[..length]));
            });
        }
    });
    address
}

fn answer(stream: &mut TcpStream, body: &str) {
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs()
}

#[test]
fn the_facts_of_powermetrics_are_exposed_until_the_helper_dies() {
    let backend = backend();
    let mut helper = Helper::start();
    helper.feed(SAMPLE);
    let (program, _file) = program("real", &backend, &helper.1);
    program.wait_for("helper_up", &[], 1.0);
    let text = program.fetch("/metrics");
    for line in [
        "ollama_proxy_cpu_power_milliwatts 15250",
        "ollama_proxy_cpu_power_watts 15.25",
        "ollama_proxy_gpu_power_milliwatts 8200",
        "ollama_proxy_thermal_pressure{level=\"heavy\"} 1",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in {text}");
    }
    drop(helper);
    // Until the last facts are stale; only then are they gone.
    program.wait_for("helper_up", &[], 0.0);
    let text = program.fetch("/metrics");
    assert!(!text.contains("cpu_power_"), "{text}");
    assert!(text.contains("ollama_proxy_collector_success{collector=\"helper\"} 0"), "{text}");
}

#[test]
fn a_helper_that_hangs_is_slow_or_floods_blocks_nothing_else() {
    let hangs = scripted(|stream| drop(stream.read_to_end(&mut Vec::new())));
    let floods = scripted(|stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'{'; 65_536]).is_ok() {}
    });
    let refuses = scripted(|stream| answer(stream, "<html>no</html>"));
    for (name, helper) in [("hangs", hangs), ("floods", floods), ("refuses", refuses)] {
        let backend = backend();
        let (program, _file) = program(name, &backend, &format!("http://{helper}"));
        for _ in 0..20 {
            let answer = ask(program.clients, CHAT);
            assert!(answer.ends_with("{}"), "{name}: {answer}");
        }
        program.wait_for("requests_total", &["/api/version"], 20.0);
        program.wait_for("collector_success", &["\"helper\""], 0.0);
        program.wait_for("helper_up", &[], 0.0);
        program.wait_for("collector_success", &["\"cpu\""], 1.0);
    }
}

#[test]
fn stale_facts_of_a_helper_are_ignored_until_they_are_fresh_again() {
    let told = Arc::new(Mutex::new(now() - 3600));
    let theirs = Arc::clone(&told);
    let helper = scripted(move |stream| {
        let timestamp = *theirs.lock().expect("nobody panicked");
        answer(stream, &format!(r#"{{"cpu_power": 5000, "gpu_power": 99999999999, "timestamp": {timestamp}}}"#));
    });
    let backend = backend();
    let (program, _file) = program("past", &backend, &format!("http://{helper}"));
    program.wait_for("helper_up", &[], 0.0);
    program.wait_for("collector_success", &["\"helper\""], 0.0);
    assert!(!program.fetch("/metrics").contains("cpu_power"), "what is stale is absent");
    *told.lock().expect("nobody panicked") = now();
    program.wait_for("cpu_power_milliwatts", &[], 5000.0);
    assert!(!program.fetch("/metrics").contains("gpu_power"), "and so is what cannot be");
}

/// A helper's answers: where it is asked, what it says, and what comes out of the program of the powers of the processor
/// and the GPU in milliwatts.
const FORMS: [(&str, &str, f64, Option<f64>); 4] = [
    ("/metrics", r#"{"version": "0.1.0", "cpu_power": 5000, "gpu_power": 0.0, "timestamp": NOW}"#, 5000.0, Some(0.0)),
    (
        "/metrics/json",
        r#"{"cpu_power": 1500.0, "gpu_power": 0.0, "cpu_temperature": 0.0, "timestamp": NOW}"#,
        1500.0,
        None,
    ),
    ("/lines", "cpu_power: 2500\ngpu_power: 0.0\ngpu_utilization: 0.0\n", 2500.0, None),
    ("/json", r#"{"temp": {"cpu_temp_avg": 43.5}, "cpu_power": 0.25, "gpu_power": 0.5}"#, 250.0, Some(500.0)),
];

#[test]
fn every_form_of_a_helper_s_answer_is_parsed() {
    for (path, body, cpu, gpu) in FORMS {
        let asked_for = format!("GET {path} HTTP/1.");
        let helper = asked(move |stream, request| {
            let body = body.replace("NOW", &now().to_string());
            answer(stream, if request.starts_with(&asked_for) { &body } else { "wrong path" });
        });
        let backend = backend();
        let name = format!("form{}", path.replace('/', "-"));
        let (program, _file) = program(&name, &backend, &format!("http://{helper}{path}"));
        program.wait_for("cpu_power_milliwatts", &[], cpu);
        let text = program.fetch("/metrics");
        let told = text.lines().find_map(|line| line.strip_prefix("ollama_proxy_gpu_power_milliwatts "));
        assert_eq!(told.map(|told| told.parse().expect("a number")), gpu, "{path}");
    }
}

/// A machine with one package, in files; dropping it removes them.
struct Rapl(PathBuf);

impl Rapl {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rapl-{}", std::process::id()));
        let rapl = Self(root);
        rapl.write("name", "package-0\n");
        rapl.write("max_energy_range_uj", "1000000000\n");
        rapl.write("energy_uj", "1000000\n");
        rapl
    }

    fn write(&self, file: &str, text: &str) {
        let folder = self.0.join("sys/class/powercap/intel-rapl:0");
        std::fs::create_dir_all(&folder).expect("it can be made");
        std::fs::write(folder.join(file), text).expect("it can be written");
    }
}

impl Drop for Rapl {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_energy_of_the_processors_is_exposed_through_the_helper() {
    let (backend, rapl) = (backend(), Rapl::new());
    let root = rapl.0.display().to_string();
    let (proc, sys) = (format!("{root}/proc"), format!("{root}/sys"));
    let helper = Helper::with(&["--source", "kernel", "--interval", "1s", "--proc", &proc, "--sys", &sys]);
    let (program, _file) = program("rapl", &backend, &helper.1);
    program.wait_for("helper_up", &[], 1.0);
    rapl.write("energy_uj", "6000000\n");
    program.wait_for("cpu_energy_joules_total", &[], 5.0);
    // Then nothing more is taken, and that is a power too.
    program.wait_for("cpu_power_watts", &[], 0.0);
    let text = program.fetch("/metrics");
    assert!(text.contains("ollama_proxy_cpu_power_milliwatts 0\n"), "{text}");
    assert!(text.contains("ollama_proxy_energy_joules_total{backend=\"\",model=\"\"} 5\n"), "for nobody: {text}");
}
