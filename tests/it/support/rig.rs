//! The real proxy on a free port, with its records laid open.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use inferometer::backend::address::Address;
use inferometer::backend::catalogue::Catalogue;
use inferometer::backend::dial::Dialer;
use inferometer::backend::{self, Backend};
use inferometer::exchange::names::{AsSpelled, NamedModel};
use inferometer::exchange::outcome::{Malformed, Phase};
use inferometer::exchange::placement::Placement;
use inferometer::exchange::record::{Record, Start};
use inferometer::exchange::sink::{AnySink, Sink, TokenFrame, Watch};
use inferometer::exchange::vocabulary::{Progress, TransferStep};
use inferometer::fleet::policy::Policy;
use inferometer::fleet::{self, Fleet, Knowledge, Member, Share};
use inferometer::proxy::{HeldBodies, Life, Proxy, Settings, Shared};
use inferometer::tls::client::TlsClient;
use inferometer::tls::server::TlsServer;
use tokio::sync::watch;

use super::PATIENCE;

/// The proxy under test. Dropping it ends it.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) life: watch::Sender<Life>,
    records: mpsc::Receiver<Record>,
    refused: mpsc::Receiver<Malformed>,
    thread: Option<JoinHandle<()>>,
    /// What its several backends list.
    pub(crate) catalogue: Arc<Catalogue>,
}

/// What a test may change.
pub(crate) struct Options {
    pub(crate) settings: Settings,
    /// How the backend is spoken to.
    pub(crate) upstream: backend::Settings,
    pub(crate) prefix: &'static str,
    pub(crate) extra: Vec<Arc<dyn AnySink>>,
    /// What is held of bodies whose backend is not chosen yet.
    pub(crate) held: HeldBodies,
    /// How clients are spoken to, where they speak TLS.
    pub(crate) tls: Option<TlsServer>,
    /// How the backend is spoken to, where it speaks TLS.
    pub(crate) backend_tls: Option<TlsClient>,
}

impl Default for Options {
    fn default() -> Self {
        let settings = Settings {
            max_connections: 10_000,
            http2: true,
            threads: NonZeroUsize::new(2).expect("two"),
            observe: inferometer::exchange::Settings { stall: Some(Duration::from_secs(5)) },
            ..Settings::default()
        };
        let upstream = backend::Settings {
            connect_timeout: Duration::from_secs(5),
            pool_idle: Some(Duration::from_secs(2)),
            ..backend::Settings::default()
        };
        Self {
            settings,
            upstream,
            prefix: "",
            extra: Vec::new(),
            held: HeldBodies::default(),
            backend_tls: None,
            tls: None,
        }
    }
}

/// An ordinary user's limit is 1,024, of which the proxies of several tests, each within this process, need more.
fn raise_limit_of_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where the system grants less than it says, the tests may still have enough.
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn member(name: &str, backend: SocketAddr, options: &Options) -> Member {
    let scheme = if options.backend_tls.is_some() { "https" } else { "http" };
    let address: Address = format!("{scheme}://{backend}{}", options.prefix).parse().expect("an address");
    let dialer = Arc::new(Dialer::new(address.clone()).with_tls(options.backend_tls.clone()));
    Member::new(
        Backend { name: name.into(), address },
        options.upstream.clone(),
        Share::default(),
        dialer,
        Instant::now(),
    )
}

impl Rig {
    /// Before this backend, with the defaults.
    pub(crate) fn before(backend: SocketAddr) -> Self {
        Self::with(backend, Options::default())
    }

    pub(crate) fn with(backend: SocketAddr, options: Options) -> Self {
        let member = member("test", backend, &options);
        Self::over(Fleet::of_one(member), options)
    }

    /// Before several backends that list these models.
    pub(crate) fn before_several(policy: Policy, backends: &[(&str, SocketAddr, &[&str])]) -> Self {
        Self::before_several_with(Options::default(), policy, backends)
    }

    /// The same with other options.
    pub(crate) fn before_several_with(
        options: Options,
        policy: Policy,
        backends: &[(&str, SocketAddr, &[&str])],
    ) -> Self {
        Self::before_fleet(options, &fleet::Settings { policy, ..fleet::Settings::default() }, backends)
    }

    /// Before several backends that list these models, with other settings of the fleet.
    pub(crate) fn before_fleet(
        options: Options,
        settings: &fleet::Settings,
        backends: &[(&str, SocketAddr, &[&str])],
    ) -> Self {
        let knowledge = Knowledge::default();
        for (name, _, models) in backends {
            knowledge.catalogue.set_listed(&Arc::from(*name), models.iter().copied());
        }
        let members = backends.iter().map(|(name, address, _)| member(name, *address, &options)).collect();
        let catalogue = knowledge.catalogue.clone();
        let mut rig = Self::over(Fleet::new(members, settings, knowledge), options);
        rig.catalogue = catalogue;
        rig
    }

    /// Before this fleet.
    pub(crate) fn over(fleet: Fleet, options: Options) -> Self {
        raise_limit_of_descriptors();
        let (record, records) = mpsc::channel();
        let (refuse, refused) = mpsc::channel();
        let mut sinks = options.extra;
        sinks.insert(0, Arc::new(Recorder { record, refuse }));
        let (_fleet, fleet) = watch::channel(Arc::new(fleet));
        let (life, lives) = watch::channel(Life::Running);
        let (bound, binding) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                bound.send(listener.local_addr().expect("an address")).expect("a test waits");
                let (sink, tls, held) = (Arc::new(Several(sinks)), options.tls, options.held);
                let (residency, names) = (Arc::default(), Arc::new(AsSpelled));
                let shared = Shared { fleet, sink, tls, residency, names, held };
                let proxy = Proxy::start(options.settings, shared, lives).expect("threads");
                proxy.serve(listener).await.expect("no thread panics");
            });
        });
        let address = binding.recv_timeout(PATIENCE).expect("it starts");
        Self { address, life, records, refused, thread: Some(thread), catalogue: Arc::default() }
    }

    /// The next finished exchange.
    pub(crate) fn record(&self) -> Record {
        self.records.recv_timeout(PATIENCE).expect("an exchange ends")
    }

    /// The next refused head.
    pub(crate) fn refusal(&self) -> Malformed {
        self.refused.recv_timeout(PATIENCE).expect("a head is refused")
    }

    /// Whether no head was refused that was not asked for.
    pub(crate) fn no_more_refusals(&self) -> bool {
        self.refused.try_recv().is_err()
    }

    /// Whether no exchange has ended that was not asked for.
    pub(crate) fn no_more_records(&self) -> bool {
        self.records.try_recv().is_err()
    }

    /// Waits until the proxy has ended by itself.
    pub(crate) fn join(mut self) {
        self.thread.take().expect("joined once").join().expect("no panic");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.life.send_replace(Life::Killed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the proxy panicked");
        }
    }
}

struct Recorder {
    record: mpsc::Sender<Record>,
    refuse: mpsc::Sender<Malformed>,
}

impl Sink for Recorder {
    type Watch = Recording;

    fn started(&self, _start: &Start) -> Recording {
        Recording(self.record.clone())
    }

    fn refused(&self, why: Malformed) {
        let _ = self.refuse.send(why);
    }
}

struct Recording(mpsc::Sender<Record>);

impl Watch for Recording {
    fn finished(&mut self, record: &Record) {
        drop(self.0.send(record.clone()));
    }
}

/// As many sinks as a test asks for.
struct Several(Vec<Arc<dyn AnySink>>);

struct Watches(Vec<Box<dyn Watch>>);

impl Sink for Several {
    type Watch = Watches;

    fn started(&self, start: &Start) -> Watches {
        Watches(self.0.iter().map(|sink| sink.started(start)).collect())
    }

    fn refused(&self, why: Malformed) {
        self.0.iter().for_each(|sink| sink.refused(why));
    }
}

impl Watch for Watches {
    fn placed(&mut self, placement: &Placement) {
        self.0.iter_mut().for_each(|watch| watch.placed(placement));
    }
    fn requested(&mut self, model: Option<&NamedModel>) {
        self.0.iter_mut().for_each(|watch| watch.requested(model));
    }
    fn forwarded(&mut self) {
        self.0.iter_mut().for_each(|watch| watch.forwarded());
    }
    fn uploaded(&mut self, now: Instant) {
        self.0.iter_mut().for_each(|watch| watch.uploaded(now));
    }
    fn elsewhere(&mut self) {
        self.0.iter_mut().for_each(|watch| watch.elsewhere());
    }
    fn answered(&mut self, model: &NamedModel) {
        self.0.iter_mut().for_each(|watch| watch.answered(model));
    }
    fn phase(&mut self, phase: Phase) {
        self.0.iter_mut().for_each(|watch| watch.phase(phase));
    }
    fn tokens(&mut self, frame: TokenFrame) {
        self.0.iter_mut().for_each(|watch| watch.tokens(frame));
    }
    fn progress(&mut self, progress: Progress) {
        self.0.iter_mut().for_each(|watch| watch.progress(progress));
    }
    fn step(&mut self, step: TransferStep) {
        self.0.iter_mut().for_each(|watch| watch.step(step));
    }
    fn finished(&mut self, record: &Record) {
        self.0.iter_mut().for_each(|watch| watch.finished(record));
    }
}
