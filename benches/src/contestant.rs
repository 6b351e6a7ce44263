//! Starts and stops the measured programs.
//!
//! Each contestant runs as a child process on its own cores, in the foreground, and ends with the benchmark in every
//! case. Nothing is installed, and everything that it writes is in a folder that is removed.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::account::Tree;
use crate::machine::{self, Cores};

/// How long a contestant may take to answer its first request.
const START: Duration = Duration::from_secs(10);

/// How long it may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(3);

/// A measured program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// None: the client connects to the backend directly.
    Direct,
    /// The bare relay.
    Relay(PathBuf),
    /// nginx.
    Nginx(PathBuf, Log),
    /// This project's program with default settings, except for its addresses and its log.
    Inferometer(PathBuf, Log),
}

/// Whether a line is logged for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// To a file, the default of each program.
    On,
    /// Not logged.
    Off,
}

impl Contestant {
    /// The name of its column in the tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay(_) => "TCP relay",
            Self::Nginx(_, Log::On) => "nginx",
            Self::Nginx(_, Log::Off) => "nginx without a log",
            Self::Inferometer(_, Log::On) => "inferometer",
            Self::Inferometer(_, Log::Off) => "inferometer without a log",
        }
    }

    /// Whether it is a second run without a log, which shows the log's cost. Only its CPU time is measured.
    #[must_use]
    pub const fn is_unlogged(&self) -> bool {
        matches!(self, Self::Nginx(_, Log::Off) | Self::Inferometer(_, Log::Off))
    }

    /// Its output for `--version`. `None` where it has no such option.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let (program, flag) = match self {
            Self::Nginx(program, _) => (program, "-v"),
            Self::Inferometer(program, _) => (program, "--version"),
            Self::Direct | Self::Relay(_) => return None,
        };
        let said = Command::new(program).arg(flag).output().ok()?;
        let text = if said.stdout.is_empty() { said.stderr } else { said.stdout };
        Some(String::from_utf8_lossy(&text).trim().replace("nginx version: ", ""))
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// With the reason for the report when it is not there or does not answer.
    pub fn start(&self, backend: SocketAddr, cores: &Cores) -> Result<Running, String> {
        self.start_before(&[backend], cores, "")
    }

    /// The same before several backends and with this configuration, which are known to this project's program alone.
    ///
    /// # Errors
    /// As of [`Contestant::start`].
    pub fn start_before(&self, backends: &[SocketAddr], cores: &Cores, config: &str) -> Result<Running, String> {
        if *self == Self::Direct {
            return Ok(Running { address: backends[0], admin: None, child: None, folder: None });
        }
        let listen = machine::free_address().map_err(|error| error.to_string())?;
        let folder = fresh_folder().map_err(|error| format!("no temporary folder: {error}"))?;
        let admin = machine::free_address().map_err(|error| error.to_string())?;
        let command = self.command((listen, admin), backends, cores, &folder, config);
        let log = folder.join("output.log");
        let admin = matches!(self, Self::Inferometer(..)).then_some(admin);
        let mut running = Running { address: listen, admin, child: None, folder: Some(folder) };
        // A child inherits the cores of the thread that starts it.
        machine::pin(&cores.server);
        let spawned = command.and_then(|command| spawn(command, &log));
        machine::pin(&cores.load);
        running.child = Some(spawned.map_err(|error| format!("{} could not be started: {error}", self.name()))?);
        running.wait_until_ready("/api/version", &log).map_err(|why| format!("{} {why}", self.name()))?;
        Ok(running)
    }

    fn command(
        &self,
        (listen, admin): (SocketAddr, SocketAddr),
        backends: &[SocketAddr],
        cores: &Cores,
        folder: &Path,
        config: &str,
    ) -> io::Result<Command> {
        let backend = backends[0];
        let mut arguments = vec![listen.to_string(), backend.to_string()];
        let program = match self {
            Self::Direct => return Err(io::Error::other("there is nothing to start")),
            Self::Relay(program) => program,
            Self::Nginx(program, log) => {
                let file = folder.join("nginx.conf");
                fs::write(&file, nginx_config(listen, backend, cores.server.len().max(1), *log, folder))?;
                let text = |path: &Path| path.display().to_string();
                arguments = vec!["-p".into(), text(folder), "-c".into(), text(&file), "-e".into(), "stderr".into()];
                program
            }
            Self::Inferometer(program, log) => {
                arguments = vec![
                    format!("--listen={listen}"),
                    format!("--admin-listen={admin}"),
                    format!("--data-dir={}", folder.display()),
                ];
                arguments.extend(backends.iter().map(|backend| format!("--backend=http://{backend}")));
                if !config.is_empty() {
                    let file = folder.join("config.toml");
                    fs::write(&file, config)?;
                    arguments.push(format!("--config={}", file.display()));
                }
                if *log == Log::Off {
                    arguments.push("--access-log=off".into());
                }
                program
            }
        };
        let mut command = bound_to_us(program);
        command.args(arguments);
        Ok(command)
    }
}

/// Starts this project's program over a directory that holds a history, before no backend, with this file of settings.
///
/// # Errors
/// With the reason when it is not there or does not answer.
pub fn start_over(program: &Path, directory: &Path, config: &Path) -> Result<Running, String> {
    let [address, admin] = [machine::free_address(), machine::free_address()];
    let (address, admin) = (address.map_err(|error| error.to_string())?, admin.map_err(|error| error.to_string())?);
    let log = directory.join("output.log");
    let mut command = bound_to_us(program);
    command.args([
        format!("--listen={address}"),
        format!("--admin-listen={admin}"),
        // Nothing listens there.
        "--backend=http://127.0.0.1:9".to_owned(),
        format!("--data-dir={}", directory.display()),
        format!("--config={}", config.display()),
    ]);
    let child = spawn(command, &log).map_err(|error| format!("{} could not be started: {error}", program.display()))?;
    let mut running = Running { address: admin, admin: Some(admin), child: Some(child), folder: None };
    running.wait_until_ready("/livez", &log).map_err(|why| format!("{} {why}", program.display()))?;
    Ok(running)
}

/// Starts a command that writes to a file.
fn spawn(mut command: Command, log: &Path) -> io::Result<Child> {
    let output = fs::File::create(log)?;
    let errors = output.try_clone()?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn()
}

/// A command whose process the kernel terminates when ours ends, where `setpriv` is installed.
fn bound_to_us(program: &Path) -> Command {
    let tool = Path::new("/usr/bin/setpriv");
    if !tool.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(tool);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

fn fresh_folder() -> io::Result<PathBuf> {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let folder = std::env::temp_dir().join(format!("inferometer-bench-{}-{nanos}", std::process::id()));
    fs::create_dir(&folder)?;
    Ok(folder)
}

/// nginx tuned for streaming: without buffering, with keep-alive to the backend. Its log has the default format.
fn nginx_config(listen: SocketAddr, backend: SocketAddr, workers: usize, log: Log, folder: &Path) -> String {
    let folder = folder.display();
    let log = match log {
        Log::On => format!("{folder}/access.log"),
        Log::Off => "off".into(),
    };
    format!(
        "daemon off;
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
events {{ worker_connections 8192; use epoll; }}
http {{
    access_log {log};
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream backend {{
        server {backend};
        keepalive 4096;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 1h;
            client_max_body_size 0;
        }}
    }}
}}
"
    )
}

/// A running contestant, which is stopped when dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    child: Option<Child>,
    folder: Option<PathBuf>,
}

impl Running {
    /// The address for requests.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its metrics. `None` where it has none.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Its processes. `None` for a direct connection.
    #[must_use]
    pub fn tree(&self) -> Option<Tree> {
        self.child.as_ref().map(|child| Tree::of(child.id()))
    }

    /// # Errors
    /// With what it did instead, and what it said.
    fn wait_until_ready(&mut self, target: &str, log: &Path) -> Result<(), String> {
        self.poll_until_ready(target).map_err(|error| {
            let said = fs::read_to_string(log).unwrap_or_default();
            format!("did not answer: {error}; it said: {}", said.trim().replace('\n', " "))
        })
    }

    fn poll_until_ready(&mut self, target: &str) -> io::Result<()> {
        let end = Instant::now() + START;
        loop {
            let error = match answers(self.address, target) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                return Err(io::Error::other(format!("it ended with {status}")));
            }
            if Instant::now() > end {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn answers(address: SocketAddr, target: &str) -> io::Result<()> {
    let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut start = [0; 12];
    socket.read_exact(&mut start)?;
    if start == *b"HTTP/1.1 200" { Ok(()) } else { Err(io::Error::other("it answers with an error")) }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            stop(child);
        }
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Terminates a child, and kills it after [`STOP`].
fn stop(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let limit = Instant::now() + STOP;
    while Instant::now() < limit {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
}
