//! A minute with inferometer: `make demo`, and before several servers: `make demo-fleet`.
//!
//! Takes the Ollama on this machine if one answers, after saying so, else starts the simulated one; starts inferometer in
//! front of it, sends it a little varied traffic and shows, second by second, what its metrics say. Ctrl-C or SIGTERM end all of
//! it. It shows only what `/metrics` says: what it sent itself is not counted here.

mod backend;
mod child;
mod exposition;
mod figures;
mod fleet;
mod http_client;
mod kept;
mod screen;
mod traffic;
mod view;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::child::Child;
use crate::figures::History;
use crate::kept::Kept;
use crate::screen::Screen;

/// Time to think better of it before a real Ollama is sent anything.
const BEFORE_A_REAL_ONE: Duration = Duration::from_secs(3);

/// How long a started program may take to answer.
const START: Duration = Duration::from_secs(15);

/// Shows inferometer at work, on the Ollama of this machine or a simulated one.
#[derive(Debug, Parser)]
struct Arguments {
    /// End by itself after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Leave this machine's Ollama alone, and start a simulated one
    #[arg(long)]
    simulated: bool,
    /// Show three simulated servers behind one address, of which one dies and comes back, and one fails for a while
    #[arg(long)]
    fleet: bool,
    /// Settings of inferometer beside the demo's own
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Over how many seconds that is shown, before it begins again
    #[arg(long, value_name = "N", default_value_t = 60, requires = "fleet")]
    story: u64,
}

impl Arguments {
    /// When to end, where that is stated.
    fn end(&self) -> Option<Instant> {
        self.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds))
    }

    /// The settings of inferometer: with the helper at this URL, if there is one, and whatever the given file says.
    fn settings(&self, helper: Option<&str>) -> io::Result<String> {
        let helper = helper.map(|url| format!("helper_url = \"{url}\"\n")).unwrap_or_default();
        let given = self.config.as_deref().map(std::fs::read_to_string).transpose()?.unwrap_or_default();
        Ok(helper + &given)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = tokio::select! {
        ended = demo(&arguments), if !arguments.fleet => ended,
        ended = fleet::demo(&arguments), if arguments.fleet => ended,
        ended = interrupted() => ended,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for Ctrl-C or SIGTERM. The demo is dropped then, which ends its children.
async fn interrupted() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

async fn demo(arguments: &Arguments) -> io::Result<()> {
    let (program, simulator) = programs()?;
    let backend = backend::find_or_start(&simulator, arguments.simulated).await?;
    if matches!(backend.models, backend::Models::Real { .. }) {
        println!("{} It begins in {} s; Ctrl-C ends it before.", backend.note, BEFORE_A_REAL_ONE.as_secs());
        tokio::time::sleep(BEFORE_A_REAL_ONE).await;
    }
    let backends = [format!("ollama=http://{}", backend.address)];
    let proxy = Proxy::start(&program, &backends, &arguments.settings(backend.helper.as_deref())?).await?;
    let intro = view::Intro { notes: vec![backend.note.clone(), proxy.note()], addresses: proxy.addresses() };
    let _traffic = traffic::Traffic::start(proxy.clients, &backend);

    let end = arguments.end();
    let mut history = History::default();
    let mut screen = Screen::new();
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    while end.is_none_or(|end| Instant::now() < end) {
        beat.tick().await;
        proxy.scrape(&mut history).await?;
        screen.show(|size| view::page(&intro, &history, size), || view::line(&history));
    }
    Ok(())
}

/// inferometer, started.
struct Proxy {
    child: Child,
    clients: SocketAddr,
    metrics: SocketAddr,
    /// Its history, removed after it has ended.
    _kept: Kept,
}

impl Proxy {
    const CLIENTS: u16 = 11_435;
    const METRICS: u16 = 8_001;

    /// Before backends, each `NAME=URL`, with these settings in TOML.
    async fn start(program: &Path, backends: &[String], settings: &str) -> io::Result<Self> {
        let clients = free_address(Self::CLIENTS)?;
        let metrics = free_address(Self::METRICS)?;
        let (listen, admin) = (clients.to_string(), metrics.to_string());
        let kept = Kept::new()?;
        let directory = kept.path().display().to_string();
        let settings = kept.settings(settings)?.display().to_string();
        // Short, since the demo's own exchanges are all there is to drain.
        let drain = ["--drain-timeout", "1s", "--access-log", "off"];
        let files = ["--data-dir", &directory, "--config", &settings];
        let mut typed = [&["--listen", &listen, "--admin-listen", &admin][..], &drain, &files].concat();
        typed.extend(backends.iter().flat_map(|backend| ["--backend", backend]));
        let mut child = Child::start(program, &typed)?;
        child.answers(metrics, "/metrics", START).await?;
        Ok(Self { child, clients, metrics, _kept: kept })
    }

    async fn scrape(&self, history: &mut History) -> io::Result<()> {
        match http_client::get(self.metrics, "/metrics").await {
            Ok(text) => history.push(Instant::now(), exposition::parse(&text)),
            Err(error) => return Err(self.child.explain(&format!("inferometer does not give its metrics: {error}"))),
        }
        Ok(())
    }

    fn note(&self) -> String {
        let ports = [(Self::CLIENTS, self.clients), (Self::METRICS, self.metrics)];
        let moved = ports.iter().filter(|(wanted, address)| address.port() != *wanted);
        let moved: Vec<_> =
            moved.map(|(wanted, address)| format!("port {wanted} is taken, {} it is", address.port())).collect();
        if moved.is_empty() { "inferometer runs on its own ports.".to_owned() } else { moved.join("; ") + "." }
    }

    fn addresses(&self) -> [(&'static str, String); 3] {
        [
            ("clients", format!("http://{}  (in place of Ollama's)", self.clients)),
            ("metrics", format!("http://{}/metrics", self.metrics)),
            ("page", format!("http://{}/", self.metrics)),
        ]
    }
}

/// inferometer and the simulator, which are built beside this program.
fn programs() -> io::Result<(PathBuf, PathBuf)> {
    let this = std::env::current_exe()?;
    let examples = this.parent().unwrap_or(Path::new("."));
    let program = examples.parent().unwrap_or(examples).join("inferometer");
    if program.exists() {
        return Ok((program, examples.join("simulated_ollama")));
    }
    let missing = format!("{} is missing; build it first: cargo build --release --bins --examples", program.display());
    Err(io::Error::new(io::ErrorKind::NotFound, missing))
}

/// The wanted port of this machine, or a free one where it is taken.
fn free_address(wanted: u16) -> io::Result<SocketAddr> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted));
    bound.or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?.local_addr()
}
