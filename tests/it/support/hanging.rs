//! A machine of which every source hangs, with its metrics, and somebody who scrapes them all the time.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use inferometer::backend::catalogue::Catalogue;
use inferometer::clock::Clock;
use inferometer::exchange::sink::AnySink;
use inferometer::host::collector::CollectorHealth;
use inferometer::host::energy::Meter;
use inferometer::host::{Host, Settings};
use inferometer::metrics::{self, Build, Format, Metrics};
use rustix::fs::{CWD, Mode, OFlags};

use super::PATIENCE;
use super::nvml::StandIn;

/// What is to be read, each a pipe that nobody writes to: whoever opens it waits.
const PIPES: [&str; 11] = [
    "proc/stat",
    "proc/meminfo",
    "proc/pressure/cpu",
    "proc/diskstats",
    "proc/self/mounts",
    "proc/net/dev",
    "proc/net/sockstat",
    "proc/10/cmdline",
    "sys/class/hwmon/hwmon0/name",
    "sys/class/hwmon/hwmon0/temp1_input",
    "sys/class/drm/card0/device/vendor",
];

/// All metrics as the program wires them, and a thread that writes them again and again. Dropping it ends the thread.
pub(crate) struct Scraped {
    metrics: Arc<Metrics>,
    over: Arc<AtomicBool>,
    scraper: Option<JoinHandle<()>>,
}

impl Scraped {
    /// With this machine underneath.
    pub(crate) fn over(host: Option<Arc<Host>>) -> Self {
        let settings = metrics::Settings {
            build: Build { version: "test", revision: "", rustc: "" },
            started: SystemTime::now(),
            max_histograms: metrics::DEFAULT_MAX_HISTOGRAMS,
            max_series: metrics::DEFAULT_MAX_SERIES,
        };
        let metrics = Metrics::new(settings, &["test".into()], Arc::new(Catalogue::new(200)));
        metrics.watch_energy(Arc::<Meter>::default(), vec!["test".into()], None);
        if let Some(host) = host {
            metrics.watch_host(Clock::start(), move |now| host.snapshot(now));
        }
        let over = Arc::new(AtomicBool::new(false));
        let (theirs, seen) = (Arc::clone(&metrics), Arc::clone(&over));
        let scrape = move || {
            while !seen.load(Ordering::Relaxed) {
                let begun = Instant::now();
                assert!(!theirs.encode(Format::Text).is_empty());
                assert!(begun.elapsed() < PATIENCE, "a scrape waits for a source");
                // A pace: far faster than anybody scrapes, and leaving the machine to the test.
                std::thread::park_timeout(Duration::from_millis(20));
            }
        };
        let scraper = std::thread::Builder::new().name("scraper".into()).spawn(scrape).expect("a thread");
        Self { metrics, over, scraper: Some(scraper) }
    }

    /// What the proxy tells of its exchanges; energy is counted for its backend.
    pub(crate) fn sinks(&self) -> Vec<Arc<dyn AnySink>> {
        vec![Arc::clone(&self.metrics) as Arc<dyn AnySink>]
    }
}

impl Drop for Scraped {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(scraper) = self.scraper.take() {
            scraper.thread().unpark();
            let ended = scraper.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a scrape failed");
        }
    }
}

/// The machine. Dropping it lets its sources go on, to their end.
pub(crate) struct Hanging {
    pub(crate) host: Arc<Host>,
    root: PathBuf,
    card: StandIn,
    /// Accepts, and says nothing.
    _helper: TcpListener,
}

impl Hanging {
    /// Returns once every source hangs.
    pub(crate) fn start(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hanging-{name}-{}", std::process::id()));
        for pipe in PIPES {
            let path = root.join(pipe);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            rustix::fs::mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).expect("it can be made");
        }
        std::fs::create_dir_all(root.join("sys/block")).expect("it can be made");
        let card = StandIn::new(&format!("hanging-{name}"));
        card.play("hang");
        let helper = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", helper.local_addr().expect("an address"));
        let settings = Settings {
            period: Duration::from_secs(1),
            helper: Some(url.parse().expect("an address")),
            proc: root.join("proc"),
            sys: root.join("sys"),
            nvml: vec![card.path()],
            ..Settings::default()
        };
        let host = Arc::new(Host::start(&settings, &Arc::default()).expect("threads"));
        let hanging = Self { host, root, card, _helper: helper };
        hanging.wait();
        hanging
    }

    /// Returns once all of them are named as failing, as they are once they have been under way for as long as counts as hanging.
    pub(crate) fn wait(&self) {
        let begun = Instant::now();
        loop {
            let later = Instant::now() + CollectorHealth::HANGING + Duration::from_secs(1);
            let well: Vec<_> = self.host.snapshot(later).collectors;
            let well: Vec<_> = well.iter().filter(|it| it.success != Some(false)).map(|it| it.name).collect();
            if well.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "these do not hang: {well:?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.card.play("");
        for pipe in PIPES {
            // Whoever waits for a writer has had one, and finds nothing.
            drop(rustix::fs::open(self.root.join(pipe), OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()));
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}
