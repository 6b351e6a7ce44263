//! The tests, and running one against one contestant.

use std::io;
use std::time::Duration;

use crate::account::{self, Memory, Tree};
use crate::backend::Backend;
use crate::client::{AfterAnswer, Client, Tally};
use crate::contestant::{Contestant, Running};
use crate::machine::Cores;
use crate::rush::rush;
use crate::script::{AnswerForm, AnswerSpec, Clock};

/// Pause between two exchanges that time the first byte while streams are open.
const PROBE_PAUSE: Duration = Duration::from_millis(3);

/// Longest time for a test that ends after a number of chunks.
const BLAST_LIMIT: Duration = Duration::from_secs(20);

/// Streams of an unpaced test.
const BLAST_STREAMS: usize = 4;

/// Shortest window, in seconds, for the machine's CPU time, which has 100 ticks a second.
const MIN_MACHINE_WINDOW: f64 = 0.15;

/// The load of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Requests with whole answers, in sequence on each connection.
    Exchanges {
        /// Connections, kept alive.
        connections: usize,
    },
    /// Streams at a pace.
    Paced {
        /// Streams at the same time.
        streams: usize,
        /// Time between two chunks of a stream.
        pace: Duration,
        /// Their framing.
        form: AnswerForm,
    },
    /// Connections opened all at once, with one whole answer each.
    Rush {
        /// Their number.
        connections: usize,
    },
    /// Unpaced streams, one chunk per write.
    Blast {
        /// Their framing.
        form: AnswerForm,
    },
}

/// A row of the tables.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// Its name in the tables and for `--only`.
    pub name: &'static str,
    /// Its load.
    pub load: Load,
}

const fn paced(name: &'static str, streams: usize, pace: Duration) -> Test {
    Test { name, load: Load::Paced { streams, pace, form: AnswerForm::Ndjson } }
}

/// Few streams with as many chunks a second in all as [`MANY`]: a chunk should cost the same in both.
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
    Test { name: "blast, NDJSON", load: Load::Blast { form: AnswerForm::Ndjson } },
    Test { name: "blast, SSE", load: Load::Blast { form: AnswerForm::Sse } },
    Test { name: "1,000 connections at once", load: Load::Rush { connections: 1000 } },
    Test { name: "3,000 connections at once", load: Load::Rush { connections: 3000 } },
];

impl Load {
    /// The unit that CPU time is divided by.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        match self {
            Self::Exchanges { .. } | Self::Rush { .. } => "request",
            Self::Paced { .. } | Self::Blast { .. } => "chunk",
        }
    }

    /// Open streams, for the tests that measure memory; `None` for the others.
    #[must_use]
    pub const fn paced_streams(&self) -> Option<usize> {
        match self {
            Self::Paced { streams, .. } => Some(*streams),
            Self::Exchanges { .. } | Self::Rush { .. } | Self::Blast { .. } => None,
        }
    }

    /// Whether times need a core of their own for the contestant. One exchange at a time never competes for the core; a
    /// blast has no times.
    const fn is_timed_apart(&self) -> bool {
        !matches!(self, Self::Exchanges { connections: 1 } | Self::Blast { .. })
    }

    /// Descriptors that client and backend need together.
    #[must_use]
    pub const fn descriptors(&self) -> u64 {
        let connections = match self {
            Self::Exchanges { connections } | Self::Rush { connections } => *connections,
            Self::Paced { streams, .. } => *streams,
            Self::Blast { .. } => BLAST_STREAMS,
        };
        // The rest is for files, pollers, closing connections and the probe.
        2 * connections as u64 + 64
    }
}

/// How long each phase of a test takes.
#[derive(Clone, Copy, Debug)]
pub struct Durations {
    /// Not measured.
    pub warm_up: Duration,
    /// CPU time is measured.
    pub window: Duration,
    /// First bytes are timed under load.
    pub probe: Duration,
    /// Chunks per stream of a blast.
    pub blast: u64,
}

/// The result of one test for one contestant in one round. `None` is unknown, or not defined for this test.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// CPU time of the contestant per request or chunk, in nanoseconds.
    pub cpu: Option<f64>,
    /// Requests or chunks a second.
    pub rate: f64,
    /// From the request to the first byte of the body: median and 99th percentile, in nanoseconds. In a rush, from its
    /// start to the first byte of each answer.
    pub first: Option<(u64, u64)>,
    /// From the backend's write of a chunk to the client's read: median and 99th percentile, in nanoseconds.
    pub transit: Option<(u64, u64)>,
    /// Memory with all streams open.
    pub memory: Option<Memory>,
    /// Memory before the first stream.
    pub memory_before: Option<Memory>,
    /// Share of chunks that the backend wrote late, 0 to 1.
    pub late: f64,
    /// CPU time of other processes, in cores.
    pub foreign: Option<f64>,
    /// CPU time taken by the hypervisor, in cores.
    pub stolen: Option<f64>,
}

/// Everything that a test needs besides the contestant.
pub struct Testbed {
    /// The backend.
    pub backend: Backend,
    /// The clock of client and backend.
    pub clock: Clock,
    /// The assignment of cores for CPU time.
    pub cores: Cores,
    /// The assignment for times under load. `None` where there is no other core.
    pub apart: Option<Cores>,
    /// Every core that may be used.
    pub all: Vec<usize>,
    /// How long each phase takes.
    pub durations: Durations,
}

impl Testbed {
    /// Runs one test against one contestant, which is started and stopped for it. CPU time is measured with everything
    /// on one core. Under load, times come from a second run with a core of its own for the contestant: three programs
    /// that saturate one core would measure the scheduler.
    ///
    /// # Errors
    /// With the reason for the report when there is no measurement.
    pub fn run(&self, test: &Test, contestant: &Contestant) -> Result<Sample, String> {
        let sample = self.run_on(&self.cores, test, contestant)?;
        match &self.apart {
            Some(apart) if test.load.is_timed_apart() && !contestant.is_unlogged() => {
                let Sample { first, transit, late, foreign, stolen, .. } = self.run_on(apart, test, contestant)?;
                // A disturbance of either run is reported.
                let max = |one: Option<f64>, other: Option<f64>| one.zip(other).map(|(one, other)| one.max(other));
                Ok(Sample {
                    first,
                    transit,
                    late: sample.late.max(late),
                    foreign: max(sample.foreign, foreign),
                    stolen: max(sample.stolen, stolen),
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
            Load::Paced { streams, pace, form } => self.paced(&running, streams, AnswerSpec::of(form, pace)),
            Load::Rush { connections } => self.rush(&running, connections),
            Load::Blast { form } => self.blast(&running, form),
        };
        measured.map_err(|error| format!("the client failed: {error}"))?
    }

    pub(crate) fn exchanges(&self, running: &Running, connections: usize) -> io::Result<Result<Sample, String>> {
        let mut client = Client::new(running.address(), self.clock)?;
        client.open(connections, AnswerSpec::WHOLE, AfterAnswer::Repeat)?;
        client.run(self.durations.warm_up)?;
        client.take();
        let measurement = Measurement::begin(running);
        client.run(self.durations.window)?;
        let mut tally = client.take();
        let mut sample = measurement.end(tally.exchanges);
        sample.first = percentiles(&mut tally.first);
        Ok(checked(sample, &tally, tally.exchanges))
    }

    fn paced(&self, running: &Running, streams: usize, spec: AnswerSpec) -> io::Result<Result<Sample, String>> {
        let memory_before = running.tree().and_then(|tree| tree.memory());
        let mut client = Client::new(running.address(), self.clock)?;
        client.open(streams, spec, AfterAnswer::Close)?;
        client.run(self.durations.warm_up + spec.pace)?;
        self.backend.take_late();
        let opened = client.take();
        let measurement = Measurement::begin(running);
        client.run(self.durations.window)?;
        let mut tally = client.take();
        let mut sample = measurement.end(tally.chunks);
        sample.late = self.backend.take_late() as f64 / tally.chunks.max(1) as f64;
        sample.memory = running.tree().and_then(|tree| tree.memory());
        sample.memory_before = memory_before;
        sample.transit = percentiles(&mut tally.transit);
        tally.failed += opened.failed + streams.abs_diff(client.connections()) as u64;
        // While the streams run, one more connection requests short answers.
        let short = AnswerSpec::of(spec.form, Duration::ZERO).with_chunks(2);
        client.open(1, short, AfterAnswer::RepeatAfter(PROBE_PAUSE))?;
        client.run(self.durations.probe)?;
        sample.first = percentiles(&mut client.take().first);
        Ok(checked(sample, &tally, tally.chunks))
    }

    fn rush(&self, running: &Running, connections: usize) -> io::Result<Result<Sample, String>> {
        let measurement = Measurement::begin(running);
        let mut tally = rush(running.address(), self.clock, connections)?;
        let mut sample = measurement.end(tally.exchanges);
        sample.first = percentiles(&mut tally.first);
        Ok(checked(sample, &tally, tally.exchanges))
    }

    fn blast(&self, running: &Running, form: AnswerForm) -> io::Result<Result<Sample, String>> {
        let mut client = Client::new(running.address(), self.clock)?;
        for (chunks, is_measured) in [(self.durations.blast / 8, false), (self.durations.blast, true)] {
            let measurement = Measurement::begin(running);
            client.open(BLAST_STREAMS, AnswerSpec::of(form, Duration::ZERO).with_chunks(chunks), AfterAnswer::Close)?;
            client.run(BLAST_LIMIT)?;
            let tally = client.take();
            if client.connections() > 0 {
                return Ok(Err(format!("not all chunks had arrived after {} s", BLAST_LIMIT.as_secs())));
            }
            if is_measured || tally.failed > 0 {
                return Ok(checked(measurement.end(tally.chunks), &tally, tally.chunks));
            }
        }
        Ok(Err("there was nothing to count".into()))
    }
}

/// Rejects a measurement with broken connections, or of nothing.
fn checked(sample: Sample, tally: &Tally, units: u64) -> Result<Sample, String> {
    match (tally.failed, units) {
        (0, 1..) => Ok(sample),
        (0, 0) => Err("nothing arrived".into()),
        (failed, _) => Err(format!("{failed} connections broke")),
    }
}

/// CPU times at the start of a window.
struct Measurement {
    tree: Option<Tree>,
    cpu: Option<Duration>,
    ours: Option<Duration>,
    machine: Option<account::MachineCpu>,
    since: std::time::Instant,
}

impl Measurement {
    fn begin(running: &Running) -> Self {
        let tree = running.tree();
        let machine = account::read_machine_cpu();
        let ours = Tree::of(std::process::id()).cpu();
        let cpu = tree.as_ref().and_then(Tree::cpu);
        Self { tree, cpu, ours, machine, since: std::time::Instant::now() }
    }

    fn end(self, units: u64) -> Sample {
        let elapsed = self.since.elapsed().as_secs_f64();
        let cpu = self.tree.as_ref().and_then(Tree::cpu).zip(self.cpu).map(|(now, then)| now.saturating_sub(then));
        let ours = Tree::of(std::process::id()).cpu().zip(self.ours).map(|(now, then)| now.saturating_sub(then));
        let machine = account::read_machine_cpu().zip(self.machine).filter(|_| elapsed > MIN_MACHINE_WINDOW);
        Sample {
            cpu: cpu.filter(|_| units > 0).map(|cpu| cpu.as_nanos() as f64 / units as f64),
            rate: units as f64 / elapsed,
            // Our own tree includes the contestant's processes.
            foreign: machine
                .zip(ours)
                .map(|((now, then), ours)| ((now.work - then.work - ours.as_secs_f64()) / elapsed).max(0.0)),
            stolen: machine.map(|(now, then)| (now.stolen - then.stolen) / elapsed),
            ..Sample::default()
        }
    }
}

/// Median and 99th percentile; sorts the samples. `None` without samples.
pub(crate) fn percentiles(samples: &mut [u64]) -> Option<(u64, u64)> {
    samples.sort_unstable();
    let at = |share: f64| samples.get((samples.len() as f64 * share) as usize).copied();
    Some((at(0.5)?, at(0.99)?))
}
