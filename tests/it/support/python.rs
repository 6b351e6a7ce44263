//! Programs of `tests/` in Python: the official clients, and llama.cpp's server with the scripted model.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long a program may take, start of the interpreter included. Wider than elsewhere: clients import a lot.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a script of `tests/` to its end and gives the one JSON value that it prints. Panics with what the script
/// wrote to standard error if it fails, or is not done within the deadline.
pub(crate) fn run(script: &str, arguments: &[&str]) -> Value {
    run_within(DEADLINE, script, arguments)
}

/// The same with a deadline of its own.
pub(crate) fn run_within(deadline: Duration, script: &str, arguments: &[&str]) -> Value {
    let mut child = Killed(
        python(script)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python can be run"),
    );
    let complaint = read_aside(child.0.stderr.take().expect("it is piped"));
    let printed = read_aside(child.0.stdout.take().expect("it is piped"))
        .recv_timeout(deadline)
        .unwrap_or_else(|_| panic!("{script} is not done within {deadline:?}"));
    let status = child.0.wait().expect("it can be waited for");
    let complaint = complaint.recv_timeout(DEADLINE).expect("its standard error is closed");
    assert!(status.success(), "{script} ended with {status}:\n{complaint}");
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{script} printed no JSON ({error}): {printed}"))
}

/// llama.cpp's own HTTP server with the scripted model, on a port of its own. Dropping it ends it; so does the end of
/// the test's process, because its standard input closes then.
pub(crate) struct LlamaServer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _process: Killed,
    _open: ChildStdin,
}

impl LlamaServer {
    /// Returns once the server answers.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same, with arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let mut process = Killed(
            python("tools/llama_server.py")
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("python can be run"),
        );
        let open = process.0.stdin.take().expect("it is piped");
        let complaint = read_aside(process.0.stderr.take().expect("it is piped"));
        let (said, saying) = mpsc::channel();
        let stdout = BufReader::new(process.0.stdout.take().expect("it is piped"));
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        let Ok(line) = saying.recv_timeout(DEADLINE) else {
            drop(process);
            panic!("llama.cpp's server did not start: {}", complaint.recv().unwrap_or_default());
        };
        let address = line.strip_prefix("ready http://").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("not what llama_server.py promises: {line}"));
        Self { address, _process: process, _open: open }
    }
}

/// A process that does not outlive its owner.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The interpreter that `make setup` made, about to run a script of `tests/`.
fn python(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let interpreter: PathBuf = root.join("target/venv/bin/python");
    assert!(interpreter.exists(), "{} is missing: run `make setup`", interpreter.display());
    let mut command = Command::new(interpreter);
    command.arg(root.join("tests").join(script));
    // A proxy of the machine's would stand between the clients and the one under test.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// Reads to the end on a thread of its own, so that no pipe fills up.
fn read_aside(mut source: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (done, text) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is worth showing.
        let _ = source.read_to_end(&mut bytes);
        let _ = done.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    text
}

/// The ruler itself: without a proxy the official client counts what the script says.
#[test]
fn the_scripted_model_says_what_is_written() {
    let server = LlamaServer::start();
    let cases = ["--only", "chat_stream_usage", "emoji_stream", "tool_stream", "chat_cancelled"];
    let base = format!("http://{}", server.address);
    let tally = run("clients/openai_client.py", &[&[base.as_str()], &cases[..]].concat());
    let counted: Vec<_> = tally["calls"].as_array().expect("calls").iter().map(summary).collect();
    assert_eq!(
        counted,
        [
            "chat_stream_usage: 14 + 19 tokens in 18 chunks, \"stop\"",
            "emoji_stream: 14 + 15 tokens in 8 chunks, \"stop\"",
            "tool_stream: 392 + 12 tokens in 5 chunks, \"tool_calls\"",
            "chat_cancelled: null + null tokens in 5 chunks, null",
        ]
    );
}

#[test]
fn the_scripted_server_ends_with_its_owner() {
    let server = LlamaServer::start();
    let address = server.address;
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err());
}

fn summary(call: &Value) -> String {
    format!(
        "{}: {} + {} tokens in {} chunks, {}",
        call["case"].as_str().expect("a name"),
        call["prompt_tokens"],
        call["generated_tokens"],
        call["content_chunks"],
        call["finish_reason"],
    )
}
