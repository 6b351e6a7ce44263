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
        let mut command = Command::new(helper::program());
        command.args(["--source", "-", "--listen", "127.0.0.1:0"]).stdin(Stdio::piped()).stderr(Stdio::piped());
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
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let script = Arc::clone(&script);
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.read(&mut [0; 4096]);
                script(&mut stream);
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
fn what_powermetrics_says_comes_out_of_the_program_and_goes_when_the_helper_dies() {
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
fn a_helper_that_hangs_dribbles_or_floods_is_felt_by_nobody() {
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
fn a_helper_that_lives_in_the_past_is_not_believed_and_one_that_catches_up_is() {
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
