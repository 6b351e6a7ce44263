//! What many clients of the second listener do to the streams beside it: silent ones, slow ones, those that do not read,
//! and those that ask without a pause.
//!
//! They take time of the machine from the client that measures too. So the same is also measured while they ask another
//! instance of the program, which has no streams: what is beyond that is what they do to the streams of their own.
//!
//! The program runs on all cores, as in production, and its access limits are raised: what is refused at once would cost
//! nothing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use inferometer::priority;
use socket2::{Domain, Socket, Type};

use crate::client::{AfterAnswer, Client};
use crate::contestant::{Contestant, Running};
use crate::load::{Testbed, percentiles};
use crate::machine::Cores;
use crate::script::{AnswerForm, AnswerSpec};

/// Streams that must not be delayed.
const STREAMS: usize = 64;

/// Time between two chunks of a stream.
const PACE: Duration = Duration::from_millis(20);

/// Sockets that are silent, send their head byte by byte, or do not read what they asked for.
pub const SOCKETS: usize = 1_000;

/// Clients that ask at the same time, each again once it has its answer and a moment later, as people and pages do.
pub const ASKERS: usize = 50;

/// An asker's pause.
const PAUSE: Duration = Duration::from_millis(500);

/// What they ask for.
const TARGETS: [&str; 5] =
    ["/dashboard/stats", "/dashboard/exchanges", "/dashboard/health", "/metrics", "/dashboard/models"];

/// Beginnings of what the sockets send, by turns: nothing, a part of a head, whole requests whose answers are not read.
const OPENINGS: [&str; 4] = [
    "",
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ",
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /dashboard/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
];

/// Askers are served however often they ask.
pub const UNLIMITED: &str = "[access]\nrequests_per_minute = 1000000\nrequests_per_10s = 1000000\n\
    session_requests_per_minute = 1000000\n";

/// Sockets from one address: as many as may have a WebSocket, and others.
const OF_AN_ADDRESS: usize = 40;

/// Streams with and without them.
#[derive(Clone, Copy, Debug)]
pub struct WatchersImpact {
    /// Transit of a chunk without them: median and 99th percentile, in nanoseconds.
    pub quiet: (u64, u64),
    /// The same while they ask another instance.
    pub elsewhere: (u64, u64),
    /// The same with them.
    pub watched: (u64, u64),
    /// Answers to the askers in all rounds.
    pub answers: usize,
    /// Memory (PSS) without them, and with them, in bytes.
    pub memory: (u64, u64),
}

/// Measures streams without them, with them at another instance, and with them, in turns.
///
/// # Errors
/// With the reason for the report when there is no measurement.
pub fn measure_impact(testbed: &Testbed, contestant: &Contestant, rounds: usize) -> Result<WatchersImpact, String> {
    let cores = Cores { server: testbed.all.clone(), load: testbed.cores.load.clone() };
    let start = || contestant.start_before(&[testbed.backend.address()], &cores, UNLIMITED);
    measure(testbed, &start()?, &start()?, rounds).map_err(|error| format!("the client failed: {error}"))
}

fn measure(testbed: &Testbed, running: &Running, other: &Running, rounds: usize) -> io::Result<WatchersImpact> {
    let missing = |what: &str| io::Error::other(what.to_owned());
    let admin = |of: &Running| of.admin().ok_or_else(|| missing("it has no second listener"));
    let (admin, elsewhere) = (admin(running)?, admin(other)?);
    let tree = running.tree().ok_or_else(|| missing("it is no process"))?;
    let mut client = Client::new(running.address(), testbed.clock)?;
    client.open(STREAMS, AnswerSpec::of(AnswerForm::Ndjson, PACE), AfterAnswer::Close)?;
    client.run(testbed.durations.warm_up + PACE)?;
    let pss = || tree.memory().map_or(0, |memory| memory.pss);
    let mut ways: [Vec<_>; 3] = Default::default();
    let (mut answers, mut memory) = (0, (u64::MAX, 0));
    for _ in 0..rounds {
        for (ways, asked) in ways.iter_mut().zip([None, Some(elsewhere), Some(admin)]) {
            let sockets = asked.map(open_sockets).transpose()?;
            let askers = asked.map(Askers::start).transpose()?;
            client.run(testbed.durations.warm_up)?;
            client.take();
            client.run(testbed.durations.window)?;
            ways.extend(percentiles(&mut client.take().transit));
            match asked {
                None => memory.0 = pss().min(memory.0),
                Some(asked) if asked == admin => memory.1 = pss().max(memory.1),
                Some(_) => {}
            }
            let answered = askers.map_or(0, Askers::stop);
            answers += if asked == Some(admin) { answered } else { 0 };
            drop(sockets);
        }
    }
    if client.connections() < STREAMS {
        return Err(missing("connections broke"));
    }
    let middle = |mut pairs: Vec<(u64, u64)>| {
        let mut at = |pick: fn(&(u64, u64)) -> u64| {
            pairs.sort_unstable_by_key(pick);
            pairs.get(pairs.len() / 2).map(pick)
        };
        Some((at(|pair| pair.0)?, at(|pair| pair.1)?))
    };
    let [quiet, elsewhere, watched] = ways.map(middle);
    let all = quiet.zip(elsewhere).zip(watched).ok_or_else(|| missing("nothing arrived"))?;
    let ((quiet, elsewhere), watched) = all;
    Ok(WatchersImpact { quiet, elsewhere, watched, answers, memory })
}

/// Opens all sockets, from several addresses of loopback, and says on each what its kind says.
fn open_sockets(admin: SocketAddr) -> io::Result<Vec<TcpStream>> {
    let open = |at: usize| {
        let host = u8::try_from(2 + at / OF_AN_ADDRESS).unwrap_or(u8::MAX);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into())?;
        socket.connect(&admin.into())?;
        let mut stream = TcpStream::from(socket);
        // One that is closed for another is as it should be.
        let _closed = stream.write_all(OPENINGS[at % OPENINGS.len()].as_bytes());
        Ok(stream)
    };
    (0..SOCKETS).map(open).collect()
}

/// Clients that ask until they are stopped.
struct Askers {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Askers {
    fn start(admin: SocketAddr) -> io::Result<Self> {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let threads = (0..ASKERS).map(|at| {
            let (stop, answers) = (stop.clone(), answers.clone());
            std::thread::Builder::new().name("asker".into()).spawn(move || {
                // On a machine of its own it would not delay the client that measures.
                priority::step_back();
                while !stop.load(Ordering::Relaxed) {
                    let is_answered = ask(admin, TARGETS[at % TARGETS.len()]).unwrap_or(false);
                    answers.fetch_add(usize::from(is_answered), Ordering::Relaxed);
                    std::thread::sleep(PAUSE);
                }
            })
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, stop, answers })
    }

    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _panicked = thread.join();
        }
        self.answers.load(Ordering::Relaxed)
    }
}

/// Whether it is answered with 200.
fn ask(admin: SocketAddr, target: &str) -> io::Result<bool> {
    let mut socket = TcpStream::connect_timeout(&admin, Duration::from_secs(5))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
