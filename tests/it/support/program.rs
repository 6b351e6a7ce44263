//! The real program as a child process, with its log laid open.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, mpsc};
use std::time::Instant;

use serde_json::Value;

use super::PATIENCE;
use super::client::ask;

/// The program under test. Dropping it kills it.
pub(crate) struct Program {
    pub(crate) clients: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    log: mpsc::Receiver<Value>,
    /// `None` where the command named no directory.
    pub(crate) state: Option<State>,
}

/// The program's binary with a clean environment and a directory of its own for what it keeps, ready for arguments. The
/// directory is created by the program, and removed with [`Program`].
pub(crate) fn command() -> Command {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("state-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut command = Command::new(env!("CARGO_BIN_EXE_inferometer"));
    command.env_clear().env(STATE, Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    command
}

/// The variable that says where the program keeps its state.
pub(crate) const STATE: &str = "STATE_DIRECTORY";

/// The variable that names the configuration.
const CONFIG: &str = "INFEROMETER_CONFIG";

/// A configuration that lets tests ask the API without a pause, all of them from one address.
fn unlimited() -> PathBuf {
    static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("unlimited-{}.toml", std::process::id()));
        std::fs::write(&file, access_limits()).expect("a file");
        file
    });
    FILE.clone()
}

/// The table of a configuration that lets tests ask the API without a pause.
pub(crate) fn access_limits() -> String {
    let limits = ["requests_per_minute", "requests_per_10s", "session_requests_per_minute"];
    format!("[access]\n{}", limits.map(|limit| format!("{limit} = 1000000\n")).concat())
}

/// What the program keeps; removed when dropped.
#[derive(Debug)]
pub(crate) struct State(pub(crate) PathBuf);

impl Drop for State {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Program {
    pub(crate) fn before(backend: SocketAddr) -> Self {
        Self::with(backend, &[])
    }

    pub(crate) fn with(backend: SocketAddr, arguments: &[&str]) -> Self {
        Self::start(command(), backend, arguments)
    }

    /// With a folder in which the loader looks for libraries first.
    pub(crate) fn with_libraries(folder: &Path, backend: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = command();
        command.env("LD_LIBRARY_PATH", folder);
        Self::start(command, backend, arguments)
    }

    /// Starts what `command` makes of the program.
    pub(crate) fn start(mut command: Command, backend: SocketAddr, arguments: &[&str]) -> Self {
        command.args(["--backend", &format!("test=http://{backend}")]).args(arguments);
        if !command.get_envs().any(|(key, _)| key == CONFIG) {
            command.env(CONFIG, unlimited());
        }
        Self::launch(command)
    }

    /// With this configuration, which names the backend too.
    pub(crate) fn configured(mut command: Command, toml: &Path) -> Self {
        command.arg("--config").arg(toml);
        Self::launch(command)
    }

    fn launch(mut command: Command) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
        if !command.get_args().any(|argument| argument == "--admin-listen") {
            command.args(["--admin-listen", "127.0.0.1:0"]);
        }
        let named = command.get_envs().find(|(key, _)| *key == STATE).and_then(|(_, path)| path);
        let state = named.map(|path| State(path.into()));
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary runs");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let greeting = wait(&log, |line| line["clients"].is_string());
        let address = |key: &str, path: &str| {
            let text = greeting[key].as_str().expect("an address");
            text.trim_start_matches("http://")
                .trim_start_matches("https://")
                .trim_end_matches(path)
                .parse()
                .expect("an address")
        };
        Self { clients: address("clients", ""), admin: address("metrics", "/metrics"), child, log, state }
    }

    /// The directory of what it keeps.
    pub(crate) fn state(&self) -> &Path {
        &self.state.as_ref().expect("the command names a directory").0
    }

    /// The next line of the log that fits.
    pub(crate) fn logged(&self, fits: impl FnMut(&Value) -> bool) -> Value {
        wait(&self.log, fits)
    }

    /// Ends the program, and gives the lines of its log that were not looked at.
    pub(crate) fn rest_of_log(&mut self) -> Vec<Value> {
        self.signal(rustix::process::Signal::TERM);
        self.ended();
        self.log.iter().collect()
    }

    /// The body that the second listener answers with.
    pub(crate) fn fetch(&self, path: &str) -> String {
        let answer = self.fetch_whole(path);
        answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
    }

    pub(crate) fn fetch_whole(&self, path: &str) -> String {
        ask(self.admin, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    /// The sum of all series of this name whose labels hold these words.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.fetch("/metrics");
        let series = text.lines().filter(|line| {
            let rest = line.strip_prefix("ollama_proxy_").and_then(|line| line.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        });
        series.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a value")).sum()
    }

    /// Polls until a metric has this value.
    pub(crate) fn wait_for(&self, name: &str, labels: &[&str], value: f64) {
        let begun = Instant::now();
        loop {
            let now = self.metric(name, labels);
            if (now - value).abs() < 1e-9 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{name}{labels:?} is {now}, not {value}:\n{}", self.fetch("/metrics"));
            std::thread::yield_now();
        }
    }

    /// Waits until the files of the history are open.
    pub(crate) fn wait_for_history(&self) {
        let begun = Instant::now();
        while self.metric("history_size_bytes", &[]) < 1.0 {
            assert!(begun.elapsed() < PATIENCE, "the history is not open:\n{}", self.fetch("/metrics"));
            std::thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it lives");
    }

    /// Lets it open no descriptor from this number on.
    #[cfg(target_os = "linux")]
    pub(crate) fn limit_descriptors(&self, most: u64) {
        use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
        let limit = Rlimit { current: Some(most), ..getrlimit(Resource::Nofile) };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).expect("it lives");
    }

    /// A file of the system about the program.
    fn about(&self, file: &str) -> std::path::PathBuf {
        std::path::Path::new("/proc").join(self.child.id().to_string()).join(file)
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(self.about("fd")).map(Iterator::count).unwrap_or(0)
    }

    /// Open sockets.
    pub(crate) fn sockets(&self) -> usize {
        let files = std::fs::read_dir(self.about("fd")).into_iter().flatten().flatten();
        let target = |file: std::fs::DirEntry| std::fs::read_link(file.path()).ok();
        files.filter_map(target).filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Running threads.
    pub(crate) fn threads(&self) -> usize {
        std::fs::read_dir(self.about("task")).map(Iterator::count).unwrap_or(0)
    }

    /// The niceness of each running thread, with its name: 0 is the kernel's default, and more is less urgent.
    #[cfg(target_os = "linux")]
    pub(crate) fn niceness(&self) -> Vec<(String, i32)> {
        let tasks = std::fs::read_dir(self.about("task")).expect("it lives").flatten();
        let of = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            // `pid (name) state ppid …`: the name may itself contain brackets and spaces, so split at the last bracket. The
            // niceness is field 19, the 17th after the name (proc(5)).
            let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
            Some((name.to_owned(), fields.split_whitespace().nth(16)?.parse().ok()?))
        };
        tasks.filter_map(of).collect()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.kibibytes("VmRSS:") << 10
    }

    /// The most memory that was ever resident, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.kibibytes("VmHWM:") << 10
    }

    fn kibibytes(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(self.about("status")).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a value");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it goes on");
            std::thread::yield_now();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(log: &mpsc::Receiver<Value>, mut fits: impl FnMut(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let line = log.recv_timeout(left).expect("a line of the log that fits");
        if fits(&line) {
            return line;
        }
    }
}
