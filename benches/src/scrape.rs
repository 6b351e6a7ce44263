//! Whether streams feel that somebody reads the metrics, with as many series as the label caps allow.
//!
//! The program runs on all cores here, as it would: what is asked is whether a scrape, which runs on a thread of its own,
//! gets into the way of the threads that hand chunks on.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::account::Tree;
use crate::client::{Client, Then};
use crate::contestant::{Contestant, Running};
use crate::flat::read_whole;
use crate::load::{Ground, percentiles};
use crate::machine::Cores;
use crate::script::{self, Form, Wish};

/// Streams that must not feel it, and their pace.
const STREAMS: usize = 64;
const PACE: Duration = Duration::from_millis(20);

/// From one scrape to the next: far more often than anybody scrapes.
const INTERVAL: Duration = Duration::from_secs(1);

/// For one scrape: a build without optimisation on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Endpoints that name a model: enough of them to reach the cap of a histogram with its models.
const PATHS: [&str; 11] = [
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/completion",
    "/infill",
    "/generate",
    "/api/v1/chat",
];

/// As a Prometheus asks.
const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\
    Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3\r\n\r\n";

/// One comparison.
#[derive(Clone, Copy, Debug)]
pub struct Felt {
    /// A chunk's way to the client while nobody scrapes: median and 99th percentile, in nanoseconds.
    pub quiet: (u64, u64),
    /// The same while somebody does.
    pub scraped: (u64, u64),
    /// From asking for the metrics to their last byte, the median.
    pub took: Duration,
    /// CPU time of one scrape, from asking to the last byte, with nothing else to do.
    pub cpu: Duration,
    /// Bytes of the page, compressed.
    pub bytes: usize,
    /// Series on the page.
    pub series: usize,
}

/// Streams with and without a scrape a second, in turns.
///
/// # Errors
/// With the reason for the report when there is no measurement.
pub fn felt(ground: &Ground, contestant: &Contestant, rounds: usize) -> Result<Felt, String> {
    let cores = Cores { server: ground.all.clone(), load: ground.cores.load.clone() };
    let running = contestant.start(ground.backend.address(), &cores)?;
    measure(ground, &running, rounds).map_err(|error| format!("the client failed: {error}"))
}

fn measure(ground: &Ground, running: &Running, rounds: usize) -> io::Result<Felt> {
    let admin = running.admin().ok_or_else(|| io::Error::other("it has no metrics"))?;
    let tree = running.tree().ok_or_else(|| io::Error::other("it is no process"))?;
    fill(running)?;
    let page =
        scrape(admin, &SCRAPE.replace("gzip", "identity").replace("application/openmetrics-text", "text/plain"))?;
    let series = page.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"ollama_")).count();
    let (cpu, bytes) = alone(admin, &tree)?;
    let mut client = Client::new(running.address(), ground.clock)?;
    client.open(STREAMS, Wish::of(Form::Ndjson, PACE), Then::Close)?;
    client.run(ground.extent.warm_up + PACE)?;
    let (mut quiet, mut scraped, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        client.take();
        client.run(ground.extent.window)?;
        quiet.extend(percentiles(&mut client.take().transit));
        let scraper = Scraper::start(admin)?;
        client.run(ground.extent.window)?;
        took.extend(scraper.stop()?);
        scraped.extend(percentiles(&mut client.take().transit));
    }
    if client.connections() < STREAMS {
        return Err(io::Error::other("connections broke"));
    }
    took.sort_unstable();
    let middle = |pairs: &mut Vec<(u64, u64)>| {
        let mut at = |pick: fn(&(u64, u64)) -> u64| {
            pairs.sort_unstable_by_key(pick);
            pairs.get(pairs.len() / 2).map(pick)
        };
        Some((at(|pair| pair.0)?, at(|pair| pair.1)?))
    };
    let nothing = || io::Error::other("nothing arrived");
    Ok(Felt {
        quiet: middle(&mut quiet).ok_or_else(nothing)?,
        scraped: middle(&mut scraped).ok_or_else(nothing)?,
        took: *took.get(took.len() / 2).ok_or_else(nothing)?,
        cpu,
        bytes,
        series,
    })
}

/// Makes as many series as there can be: every model on every endpoint.
fn fill(running: &Running) -> io::Result<()> {
    let mut socket = TcpStream::connect(running.address())?;
    socket.set_nodelay(true)?;
    for (model, name) in script::models().enumerate() {
        let body = format!(r#"{{"model":"{name}","prompt":"x"}}"#);
        for path in PATHS {
            socket.write_all(&Wish::WHOLE.naming(model).post(path, &body))?;
            read_whole(&mut socket)?;
        }
        // What is only known of streams.
        let wish = Wish::of(Form::Ndjson, Duration::ZERO).ended(2).naming(model);
        socket.write_all(&wish.post("/api/chat", &body))?;
        read_stream(&mut socket)?;
    }
    Ok(())
}

fn read_stream(socket: &mut TcpStream) -> io::Result<()> {
    let (mut answer, mut piece) = (Vec::new(), [0; 16 * 1024]);
    while !answer.ends_with(script::LAST_BYTES) {
        let read = socket.read(&mut piece)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&piece[..read]);
    }
    Ok(())
}

/// CPU time of one scrape where nothing else happens, the mean of some, and the bytes that came. A scrape is written on a
/// thread that ends with it.
fn alone(admin: SocketAddr, tree: &Tree) -> io::Result<(Duration, usize)> {
    const TIMES: u32 = 20;
    let account = || tree.whole_cpu().ok_or_else(|| io::Error::other("the kernel gave no account"));
    let (before, mut bytes) = (account()?, 0);
    for _ in 0..TIMES {
        bytes = scrape(admin, SCRAPE)?.len();
    }
    Ok((account()?.saturating_sub(before) / TIMES, bytes))
}

/// The body of one answer.
fn scrape(admin: SocketAddr, request: &str) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(admin)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let head = memchr::memmem::find(&answer, b"\r\n\r\n").filter(|_| answer.starts_with(b"HTTP/1.1 200"));
    let head = head.ok_or_else(|| io::Error::other("the metrics were refused"))?;
    Ok(answer.split_off(head + 4))
}

/// Scrapes until it is stopped.
struct Scraper {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<io::Result<Vec<Duration>>>,
}

impl Scraper {
    fn start(admin: SocketAddr) -> io::Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("scraper".into()).spawn(move || {
            let mut took = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                scrape(admin, SCRAPE)?;
                took.push(begun.elapsed());
                while begun.elapsed() < INTERVAL && !stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            Ok(took)
        })?;
        Ok(Self { stop, thread })
    }

    fn stop(self) -> io::Result<Vec<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("a thread panicked"))?
    }
}
