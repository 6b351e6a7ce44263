//! Every source of the machine hangs, and nobody who uses the proxy can tell.
//!
//! The byte differential under the same conditions stands with it. Here: streams pass in lock step, each chunk one read
//! and one write, while no source gives way; a proxy that waited for one would never pass the next chunk. And a chunk
//! wakes the proxy's thread once, as without any source: a lock that is contended would send it to sleep once more.
//! Both are counted, and hold on a machine that is busy. What a chunk costs is measured by `make hanging`.

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use inferometer::exchange::record::{Record, Start};
use inferometer::exchange::sink::{Sink, Watch};
use inferometer::host::{Host, Settings};

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::hanging::{Hanging, Scraped};
use crate::support::rig::{Options, Rig};
use crate::support::{PATIENCE, alone};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
const LINE: &str = r#"{"model":"llama3","message":{"role":"assistant","content":"word"},"done":false}"#;
const CHUNKS: u32 = 500;

/// Streams of each proxy in the test.
const STREAMS: usize = 3;

/// How often the thread may go to sleep for something else than the next chunk: the head, the end, a page fault.
const OTHERWISE: u64 = 25;

/// What the thread that carries an exchange has spent.
#[derive(Clone, Copy)]
struct Spent {
    /// Processor time, by the scheduler's account.
    time: Duration,
    /// How often it went to sleep of its own accord, and not because another thread took its processor.
    sleeps: u64,
}

impl Spent {
    /// By this thread until now.
    fn now() -> Self {
        let of =
            |file: &str| std::fs::read_to_string(format!("/proc/thread-self/{file}")).expect("the kernel keeps it");
        let (time, status) = (of("schedstat"), of("status"));
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        Self {
            time: Duration::from_nanos(time.split(' ').next().and_then(|it| it.parse().ok()).expect("a number")),
            sleeps: sleeps.and_then(|it| it.trim().parse().ok()).expect("a number"),
        }
    }

    fn since(self, before: Self) -> Self {
        Self { time: self.time.saturating_sub(before.time), sleeps: self.sleeps - before.sleeps }
    }
}

/// Tells what an exchange took of the thread that carried it.
struct Account(mpsc::Sender<Spent>);

struct Open(mpsc::Sender<Spent>, Spent);

impl Sink for Account {
    type Watch = Open;

    fn started(&self, _: &Start) -> Open {
        Open(self.0.clone(), Spent::now())
    }
}

impl Watch for Open {
    fn finished(&mut self, _: &Record) {
        let _ = self.0.send(Spent::now().since(self.1));
    }
}

/// A proxy with its own backend, which sends a chunk on each signal.
struct Lane {
    rig: Rig,
    next: mpsc::Sender<()>,
    spent: mpsc::Receiver<Spent>,
    _metrics: Scraped,
}

fn chunk(line: &str) -> String {
    format!("{:x}\r\n{line}\n\r\n", line.len() + 1)
}

impl Lane {
    fn over(host: Option<Arc<Host>>) -> Self {
        let (next, told) = mpsc::channel();
        let told = Mutex::new(told);
        let backend = Backend::start(move |connection| {
            while connection.request().is_some() {
                connection.write(HEAD.as_bytes());
                for _ in 0..CHUNKS {
                    let told = told.lock().expect("no panic").recv_timeout(PATIENCE);
                    told.expect("the client asks for the next");
                    connection.write(chunk(LINE).as_bytes());
                }
                connection.write(b"0\r\n\r\n");
            }
        });
        let metrics = Scraped::over(host);
        let (account, spent) = mpsc::channel();
        let mut options = Options::default();
        options.settings.threads = NonZeroUsize::MIN;
        options.extra = metrics.sinks();
        options.extra.push(Arc::new(Account(account)));
        Self { rig: Rig::with(backend.address, options), next, spent, _metrics: metrics }
    }

    /// One stream, and what it took.
    fn stream(&self) -> Spent {
        let body = r#"{"model":"llama3","messages":[]}"#;
        let mut client = Client::connect(self.rig.address);
        client.send(format!("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(body).until("\r\n\r\n");
        let mut piece = vec![0; chunk(LINE).len()];
        for _ in 0..CHUNKS {
            self.next.send(()).expect("the backend waits");
            client.stream.read_exact(&mut piece).expect("a chunk");
            assert_eq!(piece, chunk(LINE).as_bytes(), "unchanged");
        }
        client.until("0\r\n\r\n");
        self.spent.recv_timeout(PATIENCE).expect("it is accounted for")
    }
}

/// Without a source, once more, on this machine's sources, and with all of them hanging.
const LANES: [&str; 4] = ["no source", "no source, once more", "this machine's", "all of them hanging"];

fn lanes(hanging: &Hanging) -> [Lane; 4] {
    let working = Settings { period: Duration::from_secs(1), ..Settings::default() };
    let working = Arc::new(Host::start(&working, &Arc::default()).expect("threads"));
    [None, None, Some(working), Some(Arc::clone(&hanging.host))].map(Lane::over)
}

#[test]
fn streams_pass_in_lock_step_while_every_source_hangs_and_wake_their_thread_once_a_chunk() {
    let hanging = Hanging::start("steps");
    for (name, lane) in LANES.iter().zip(lanes(&hanging)) {
        let most = (0..STREAMS).map(|_| lane.stream().sleeps).max().expect("streams");
        println!("{name:>22}: {most} sleeps of the thread for {CHUNKS} chunks, at most of {STREAMS} streams");
        assert!(most <= u64::from(CHUNKS) + OTHERWISE, "{name}: {most}");
    }
    hanging.wait();
}

/// Chunk by chunk in turns, and the least of many rounds is compared: what else the machine does makes rounds dearer,
/// never cheaper.
#[test]
#[ignore = "a measurement; make hanging"]
fn what_a_chunk_costs_with_every_source_hanging() {
    let _alone = alone();
    let rounds = std::env::var("INFEROMETER_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(200);
    let hanging = Hanging::start("cost");
    let lanes = lanes(&hanging);
    let mut least = [Duration::MAX; LANES.len()];
    for round in 0..rounds {
        // Each in another place of the turn each time.
        for at in (0..lanes.len()).map(|at| (at + round) % lanes.len()) {
            least[at] = least[at].min(lanes[at].stream().time);
        }
    }
    let cost = least.map(|least| least.as_secs_f64() * 1e6 / f64::from(CHUNKS));
    for (name, cost) in LANES.iter().zip(cost) {
        println!("{name:>22}: {cost:.3} µs a chunk");
    }
    let (hanging, again) = (cost[3] / cost[0].min(cost[1]), cost[1] / cost[0]);
    println!("{:>22}: {hanging:.3} (once more: {again:.3}), least of {rounds} rounds", "hanging to none");
}
