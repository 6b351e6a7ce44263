//! The tests, and how one is run against one contestant.

use std::io;
use std::time::Duration;

use crate::account::{self, Memory, Tree};
use crate::backend::Backend;
use crate::client::{Client, Tally, Then};
use crate::contestant::{Contestant, Running};
use crate::machine::Cores;
use crate::rush::rush;
use crate::script::{Clock, Form, Wish};

/// Pause between two exchanges that time the first byte while streams run.
const PROBE_PAUSE: Duration = Duration::from_millis(3);

/// Longest time for a test that ends by its own count.
const BLAST_LIMIT: Duration = Duration::from_secs(20);

/// Streams of a test without pauses.
const BLAST_STREAMS: usize = 4;

/// A window below this is too short for the machine's account, which ticks 100 times a second.
const SHORT: f64 = 0.15;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Requests with whole answers, one after the other on each connection.
    Exchanges {
        /// Connections, kept alive.
        connections: usize,
    },
    /// Streams at a pace.
    Paced {
        /// How many at the same time.
        streams: usize,
        /// Time between two chunks of a stream.
        pace: Duration,
        /// How they are framed.
        form: Form,
    },
    /// Connections that are all opened at the same time, with one whole answer each.
    Rush {
        /// How many.
        connections: usize,
    },
    /// Streams without pauses, one chunk a write.
    Blast {
        /// How they are framed.
        form: Form,
    },
}

/// A row of the tables.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// What it is called.
    pub name: &'static str,
    /// What is done.
    pub load: Load,
}

const fn paced(name: &'static str, streams: usize, pace: Duration) -> Test {
    Test { name, load: Load::Paced { streams, pace, form: Form::Ndjson } }
}

/// Few streams with as many chunks a second together as [`MANY`] have: a chunk should cost the same in both.
pub const FEW: &str = "10 streams, 0.5 ms a chunk";

/// Many streams.
pub const MANY: &str = "2,048 streams, 100 ms a chunk";

/// Every test, in the order of the tables.
pub const TESTS: [Test; 10] = [
    Test { name: "request/response, 1 connection", load: Load::Exchanges { connections: 1 } },
    Test { name: "request/response, 64 connections", load: Load::Exchanges { connections: 64 } },
    paced("64 streams, 20 ms a chunk", 64, Duration::from_millis(20)),
    paced("512 streams, 50 ms a chunk", 512, Duration::from_millis(50)),
    paced(MANY, 2048, Duration::from_millis(100)),
    paced(FEW, 10, Duration::from_micros(500)),
    Test { name: "blast, NDJSON", load: Load::Blast { form: Form::Ndjson } },
    Test { name: "blast, SSE", load: Load::Blast { form: Form::Sse } },
    Test { name: "1,000 connections at once", load: Load::Rush { connections: 1000 } },
    Test { name: "3,000 connections at once", load: Load::Rush { connections: 3000 } },
];

impl Load {
    /// What CPU time is divided by.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        match self {
            Self::Exchanges { .. } | Self::Rush { .. } => "request",
            Self::Paced { .. } | Self::Blast { .. } => "chunk",
        }
    }

    /// Streams that are open at the same time, where memory is measured.
    #[must_use]
    pub const fn quiet_streams(&self) -> Option<usize> {
        match self {
            Self::Paced { streams, .. } => Some(*streams),
            Self::Exchanges { .. } | Self::Rush { .. } | Self::Blast { .. } => None,
        }
    }

    /// One exchange at a time leaves the core to whoever is next; a blast has no times.
    const fn is_timed_apart(&self) -> bool {
        !matches!(self, Self::Exchanges { connections: 1 } | Self::Blast { .. })
    }

    /// Descriptors that the benchmark itself needs, client and backend together.
    #[must_use]
    pub const fn descriptors(&self) -> u64 {
        let connections = match self {
            Self::Exchanges { connections } | Self::Rush { connections } => *connections,
            Self::Paced { streams, .. } => *streams,
            Self::Blast { .. } => BLAST_STREAMS,
        };
        // Some for files, pollers, connections that wait to be closed, and the one that probes.
        2 * connections as u64 + 64
    }
}

/// How long is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Before anything counts.
    pub warm_up: Duration,
    /// While CPU time counts.
    pub window: Duration,
    /// While first bytes are timed under load.
    pub probe: Duration,
    /// Chunks of each stream of a blast.
    pub blast: u64,
}

/// What one test gave for one contestant in one round. None is not known, or not defined for this test.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// CPU time of the contestant for each request or chunk, in nanoseconds.
    pub cpu: Option<f64>,
    /// Requests or chunks a second.
    pub rate: f64,
    /// From the request to the first byte of the body: median and 99th percentile, in nanoseconds. In a rush from its
    /// beginning to the first byte of each answer.
    pub first: Option<(u64, u64)>,
    /// From the backend's write of a chunk to the client's read: median and 99th percentile, in nanoseconds.
    pub transit: Option<(u64, u64)>,
    /// Memory with all streams open.
    pub memory: Option<Memory>,
    /// Memory before the first of them.
    pub memory_before: Option<Memory>,
    /// Share of the chunks that the backend wrote late.
    pub late: f64,
    /// What other processes used meanwhile, in cores.
    pub foreign: Option<f64>,
    /// What the hypervisor took meanwhile, in cores.
    pub stolen: Option<f64>,
}

/// Where tests run.
pub struct Ground {
    /// The backend.
    pub backend: Backend,
    /// The clock of both sides.
    pub clock: Clock,
    /// Who runs where.
    pub cores: Cores,
    /// The same where times are measured of what is busy. None where there is no other core.
    pub apart: Option<Cores>,
    /// Every core that may be used.
    pub all: Vec<usize>,
    /// How long is measured.
    pub extent: Extent,
}

impl Ground {
    /// Runs one test against one contestant, which is started for it and ended after it. CPU time is that of everything
    /// on one core; of what is busy, times are those of a second run in which the contestant has a core of its own: three
    /// programs that fill one core measure how the system shares it.
    ///
    /// # Errors
    /// With the reason for the report when there is no measurement.
    pub fn run(&self, test: &Test, contestant: &Contestant) -> Result<Sample, String> {
        let sample = self.run_on(&self.cores, test, contestant)?;
        match &self.apart {
            Some(apart) if test.load.is_timed_apart() && !contestant.is_unlogged() => {
                let Sample { first, transit, late, foreign, stolen, .. } = self.run_on(apart, test, contestant)?;
                // What disturbed either is told of both.
                let more = |one: Option<f64>, other: Option<f64>| one.zip(other).map(|(one, other)| one.max(other));
                Ok(Sample {
                    first,
                    transit,
                    late: sample.late.max(late),
                    foreign: more(sample.foreign, foreign),
                    stolen: more(sample.stolen, stolen),
                    ..sample
                })
            }
            _ => Ok(sample),
        }
    }

    fn run_on(&self, cores: &Cores, test: &Test, contestant: &Contestant) -> Result<Sample, String> {
        let running = contestant.start(self.backend.address(), cores)?;
        self.backend.take_late();
        let measured = match test.load {
            Load::Exchanges { connections } => self.exchanges(&running, connections),
            Load::Paced { streams, pace, form } => self.paced(&running, streams, Wish::of(form, pace)),
            Load::Rush { connections } => self.rush(&running, connections),
            Load::Blast { form } => self.blast(&running, form),
        };
        measured.map_err(|error| format!("the client failed: {error}"))?
    }

    fn exchanges(&self, running: &Running, connections: usize) -> io::Result<Result<Sample, String>> {
        let mut client = Client::new(running.address(), self.clock)?;
        client.open(connections, Wish::WHOLE, Then::Again)?;
        client.run(self.extent.warm_up)?;
        client.take();
        let account = Account::open(running);
        client.run(self.extent.window)?;
        let mut tally = client.take();
        let mut sample = account.close(tally.exchanges);
        sample.first = percentiles(&mut tally.first);
        Ok(checked(sample, &tally, tally.exchanges))
    }

    fn paced(&self, running: &Running, streams: usize, wish: Wish) -> io::Result<Result<Sample, String>> {
        let memory_before = running.tree().and_then(|tree| tree.memory());
        let mut client = Client::new(running.address(), self.clock)?;
        client.open(streams, wish, Then::Close)?;
        client.run(self.extent.warm_up + wish.pace)?;
        self.backend.take_late();
        let opened = client.take();
        let account = Account::open(running);
        client.run(self.extent.window)?;
        let mut tally = client.take();
        let mut sample = account.close(tally.chunks);
        sample.late = self.backend.take_late() as f64 / tally.chunks.max(1) as f64;
        sample.memory = running.tree().and_then(|tree| tree.memory());
        sample.memory_before = memory_before;
        sample.transit = percentiles(&mut tally.transit);
        tally.failed += opened.failed + streams.abs_diff(client.connections()) as u64;
        // While the streams go on, one more connection asks for short answers.
        let short = Wish::of(wish.form, Duration::ZERO).ended(2);
        client.open(1, short, Then::After(PROBE_PAUSE))?;
        client.run(self.extent.probe)?;
        sample.first = percentiles(&mut client.take().first);
        Ok(checked(sample, &tally, tally.chunks))
    }

    fn rush(&self, running: &Running, connections: usize) -> io::Result<Result<Sample, String>> {
        let account = Account::open(running);
        let mut tally = rush(running.address(), self.clock, connections)?;
        let mut sample = account.close(tally.exchanges);
        sample.first = percentiles(&mut tally.first);
        Ok(checked(sample, &tally, tally.exchanges))
    }

    fn blast(&self, running: &Running, form: Form) -> io::Result<Result<Sample, String>> {
        let mut client = Client::new(running.address(), self.clock)?;
        for (chunks, counts) in [(self.extent.blast / 8, false), (self.extent.blast, true)] {
            let account = Account::open(running);
            client.open(BLAST_STREAMS, Wish::of(form, Duration::ZERO).ended(chunks), Then::Close)?;
            client.run(BLAST_LIMIT)?;
            let tally = client.take();
            if client.connections() > 0 {
                return Ok(Err(format!("not all chunks had arrived after {} s", BLAST_LIMIT.as_secs())));
            }
            if counts || tally.failed > 0 {
                return Ok(checked(account.close(tally.chunks), &tally, tally.chunks));
            }
        }
        Ok(Err("there was nothing to count".into()))
    }
}

/// A measurement with broken connections, or of nothing, is none.
fn checked(sample: Sample, tally: &Tally, units: u64) -> Result<Sample, String> {
    match (tally.failed, units) {
        (0, 1..) => Ok(sample),
        (0, 0) => Err("nothing arrived".into()),
        (failed, _) => Err(format!("{failed} connections broke")),
    }
}

/// Accounts at the beginning of a window.
struct Account {
    tree: Option<Tree>,
    cpu: Option<Duration>,
    ours: Option<Duration>,
    busy: Option<account::Busy>,
    since: std::time::Instant,
}

impl Account {
    fn open(running: &Running) -> Self {
        let tree = running.tree();
        let busy = account::busy();
        let ours = Tree::of(std::process::id()).cpu();
        let cpu = tree.as_ref().and_then(Tree::cpu);
        Self { tree, cpu, ours, busy, since: std::time::Instant::now() }
    }

    fn close(self, units: u64) -> Sample {
        let elapsed = self.since.elapsed().as_secs_f64();
        let cpu = self.tree.as_ref().and_then(Tree::cpu).zip(self.cpu).map(|(now, then)| now.saturating_sub(then));
        let ours = Tree::of(std::process::id()).cpu().zip(self.ours).map(|(now, then)| now.saturating_sub(then));
        let busy = account::busy().zip(self.busy).filter(|_| elapsed > SHORT);
        Sample {
            cpu: cpu.filter(|_| units > 0).map(|cpu| cpu.as_nanos() as f64 / units as f64),
            rate: units as f64 / elapsed,
            // Our own tree holds the contestant's processes too.
            foreign: busy
                .zip(ours)
                .map(|((now, then), ours)| ((now.work - then.work - ours.as_secs_f64()) / elapsed).max(0.0)),
            stolen: busy.map(|(now, then)| (now.stolen - then.stolen) / elapsed),
            ..Sample::default()
        }
    }
}

/// Median and 99th percentile. None without samples.
pub(crate) fn percentiles(samples: &mut [u64]) -> Option<(u64, u64)> {
    samples.sort_unstable();
    let at = |share: f64| samples.get((samples.len() as f64 * share) as usize).copied();
    Some((at(0.5)?, at(0.99)?))
}
