//! Every source of the machine hangs, and nobody who uses the proxy can tell.
//!
//! The byte differential under the same conditions stands with it. Here: what a chunk costs the proxy, against a proxy
//! without any source and one on the machine's own. Measured is the processor time of the proxy's thread by the
//! scheduler's account, chunk by chunk in lock step (each is one read and one write), in turns, and the least of many
//! rounds is compared: what else the machine does makes rounds dearer, never cheaper. `make hanging` prints it.

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

/// Rounds in the test; `INFEROMETER_ROUNDS` makes it a measurement.
const ROUNDS: u32 = 5;

/// How much dearer a chunk may be in the test, where other tests run beside it. A lock that is held across a reading
/// makes it dearer by orders of magnitude.
const TOLERANCE: f64 = 1.5;

/// Processor time of the thread that carried an exchange, while it did.
struct Account(mpsc::Sender<Duration>);

struct Open(mpsc::Sender<Duration>, Duration);

/// Of this thread, by the scheduler's account.
fn spent() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel keeps it");
    Duration::from_nanos(text.split(' ').next().and_then(|it| it.parse().ok()).expect("a number"))
}

impl Sink for Account {
    type Watch = Open;

    fn started(&self, _: &Start) -> Open {
        Open(self.0.clone(), spent())
    }
}

impl Watch for Open {
    fn finished(&mut self, _: &Record) {
        let _ = self.0.send(spent().saturating_sub(self.1));
    }
}

/// A proxy with its own backend, which sends a chunk each time it is told to.
struct Lane {
    rig: Rig,
    next: mpsc::Sender<()>,
    spent: mpsc::Receiver<Duration>,
    least: Duration,
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
        Self { rig: Rig::with(backend.address, options), next, spent, least: Duration::MAX, _metrics: metrics }
    }

    /// One stream.
    fn stream(&mut self) {
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
        self.least = self.least.min(self.spent.recv_timeout(PATIENCE).expect("it is accounted for"));
    }

    fn micros_a_chunk(&self) -> f64 {
        self.least.as_secs_f64() * 1e6 / f64::from(CHUNKS)
    }
}

#[test]
fn a_chunk_costs_the_same_with_every_source_hanging() {
    let _alone = alone();
    let rounds = std::env::var("INFEROMETER_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(ROUNDS);
    let working = Settings { period: Duration::from_secs(1), ..Settings::default() };
    let working = Arc::new(Host::start(&working).expect("threads"));
    let hanging = Hanging::start("cost");
    let mut lanes = [None, None, Some(working), Some(Arc::clone(&hanging.host))].map(Lane::over);
    for round in 0..rounds as usize {
        // Each in another place of the turn each time.
        (0..lanes.len()).for_each(|at| lanes[(at + round) % 4].stream());
    }
    let cost = lanes.each_ref().map(Lane::micros_a_chunk);
    for (name, cost) in ["no source", "no source, once more", "this machine's", "all of them hanging"].iter().zip(cost)
    {
        println!("{name:>22}: {cost:.3} µs a chunk");
    }
    let ratio = cost[3] / cost[0].min(cost[1]);
    println!("{:>22}: {ratio:.3} (once more: {:.3}), least of {rounds} rounds", "hanging to none", cost[1] / cost[0]);
    assert!(ratio < TOLERANCE, "{cost:?}");
}
