//! The impact of a scrape on streams, with as many series as the label caps allow.
//!
//! The program runs on all cores, as in production: this measures whether a scrape, which has a thread of its own,
//! delays the threads that forward chunks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::account::Tree;
use crate::client::{AfterAnswer, Client};
use crate::contestant::{Contestant, Running};
use crate::flat::read_whole;
use crate::load::{Testbed, percentiles};
use crate::machine::Cores;
use crate::script::{self, AnswerForm, AnswerSpec};

/// Streams that must not be delayed.
const STREAMS: usize = 64;

/// Time between two chunks of a stream.
const PACE: Duration = Duration::from_millis(20);

/// From one scrape to the next: far shorter than in practice.
const INTERVAL: Duration = Duration::from_secs(1);

/// Longest time for one scrape, which is slow in a debug build on a busy machine.
const SCRAPE_LIMIT: Duration = Duration::from_secs(60);

/// Endpoints that name a model: enough to reach the cap of a histogram.
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

/// A request as Prometheus sends it.
const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\
    Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3\r\n\r\n";

/// Streams with and without scrapes.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeImpact {
    /// Transit of a chunk without scrapes: median and 99th percentile, in nanoseconds.
    pub quiet: (u64, u64),
    /// The same with scrapes.
    pub scraped: (u64, u64),
    /// From the request to the last byte of the metrics, the median.
    pub took: Duration,
    /// CPU time of one scrape without other load.
    pub cpu: Duration,
    /// Bytes of the exposition, compressed.
    pub bytes: usize,
    /// Series in the exposition.
    pub series: usize,
}

/// Measures streams with and without a scrape a second, in turns.
///
/// # Errors
/// With the reason for the report when there is no measurement.
pub fn measure_impact(testbed: &Testbed, contestant: &Contestant, rounds: usize) -> Result<ScrapeImpact, String> {
    let cores = Cores { server: testbed.all.clone(), load: testbed.cores.load.clone() };
    let running = contestant.start(testbed.backend.address(), &cores)?;
    measure(testbed, &running, rounds).map_err(|error| format!("the client failed: {error}"))
}

fn measure(testbed: &Testbed, running: &Running, rounds: usize) -> io::Result<ScrapeImpact> {
    let admin = running.admin().ok_or_else(|| io::Error::other("it has no metrics"))?;
    let tree = running.tree().ok_or_else(|| io::Error::other("it is no process"))?;
    fill(running)?;
    let page =
        scrape(admin, &SCRAPE.replace("gzip", "identity").replace("application/openmetrics-text", "text/plain"))?;
    let series = page.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"ollama_")).count();
    let (cpu, bytes) = scrape_alone(admin, &tree)?;
    let mut client = Client::new(running.address(), testbed.clock)?;
    client.open(STREAMS, AnswerSpec::of(AnswerForm::Ndjson, PACE), AfterAnswer::Close)?;
    client.run(testbed.durations.warm_up + PACE)?;
    let (mut quiet, mut scraped, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        client.take();
        client.run(testbed.durations.window)?;
        quiet.extend(percentiles(&mut client.take().transit));
        let scraper = Scraper::start(admin)?;
        client.run(testbed.durations.window)?;
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
    Ok(ScrapeImpact {
        quiet: middle(&mut quiet).ok_or_else(nothing)?,
        scraped: middle(&mut scraped).ok_or_else(nothing)?,
        took: *took.get(took.len() / 2).ok_or_else(nothing)?,
        cpu,
        bytes,
        series,
    })
}

/// Creates as many series as possible: every model on every endpoint.
fn fill(running: &Running) -> io::Result<()> {
    let mut socket = TcpStream::connect(running.address())?;
    socket.set_nodelay(true)?;
    for (model, name) in script::models().enumerate() {
        let body = format!(r#"{{"model":"{name}","prompt":"x"}}"#);
        for path in PATHS {
            socket.write_all(&AnswerSpec::WHOLE.with_model(model).post(path, &body))?;
            read_whole(&mut socket)?;
        }
        // For the series that only streams have.
        let spec = AnswerSpec::of(AnswerForm::Ndjson, Duration::ZERO).with_chunks(2).with_model(model);
        socket.write_all(&spec.post("/api/chat", &body))?;
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

/// The mean CPU time of a scrape without other load, and its bytes. Threads that have ended count, as each scrape has
/// its own.
fn scrape_alone(admin: SocketAddr, tree: &Tree) -> io::Result<(Duration, usize)> {
    const TIMES: u32 = 20;
    let account = || tree.total_cpu().ok_or_else(|| io::Error::other("the kernel gave no account"));
    let (before, mut bytes) = (account()?, 0);
    for _ in 0..TIMES {
        bytes = scrape(admin, SCRAPE)?.len();
    }
    Ok((account()?.saturating_sub(before) / TIMES, bytes))
}

/// How many backends list models of theirs.
pub(crate) fn listing_backends(admin: SocketAddr) -> io::Result<usize> {
    let page = scrape(admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let page = String::from_utf8_lossy(&page).into_owned();
    let listed = page.lines().filter(|line| line.starts_with("ollama_proxy_model_info{"));
    let backend = |line: &str| line.split_once("backend=\"")?.1.split('"').next().map(str::to_owned);
    Ok(listed.filter_map(backend).collect::<std::collections::HashSet<_>>().len())
}

/// Returns the body of the answer.
fn scrape(admin: SocketAddr, request: &str) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(admin)?;
    socket.set_read_timeout(Some(SCRAPE_LIMIT))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let head = memchr::memmem::find(&answer, b"\r\n\r\n").filter(|_| answer.starts_with(b"HTTP/1.1 200"));
    let head = head.ok_or_else(|| io::Error::other("the metrics were refused"))?;
    Ok(answer.split_off(head + 4))
}

/// Scrapes every [`INTERVAL`] until it is stopped.
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
