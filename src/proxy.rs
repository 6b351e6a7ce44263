//! The way of the bytes: client to backend and back.
//!
//! One thread accepts and hands sockets round robin to worker threads, each with a runtime of its own. On a worker, one
//! task serves one client and polls the backend's socket too, so no byte crosses a thread or waits for a lock. HTTP/1 is
//! read here, so that bodies pass as they stand on the wire; HTTP/2, from clients only, is the HTTP library's.
//!
//! Promises: bodies pass byte for byte in both directions and nothing waits for a later byte; a client that leaves closes
//! the backend's connection; a head that could be read in two ways goes nowhere; no byte, no timing and no outcome depends
//! on whether the observation understands what passes. It knows nothing of metrics, history or pages, only
//! [`crate::exchange::sink::Sink`].

mod accept;
mod admission;
mod answer;
mod attempt;
mod authority;
mod characters;
mod chunks;
mod client;
mod closing;
mod decoding;
mod download;
mod extension;
mod fields;
mod forward;
mod framing;
mod grammar;
pub mod guard;
mod handshake;
mod http1;
mod http2;
mod named_model;
mod polls;
mod pool;
mod pools;
pub mod reading;
mod request;
mod response;
mod slot;
mod socket;
#[cfg(test)]
mod stage;
mod steps;
mod tap;
mod thread;
mod timer;
mod trailers;
mod upgrade;
mod upstream;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch as life};

use accept::Acceptor;
pub use accept::set_options;
pub use admission::Life;

use crate::exchange;
use crate::exchange::names::ModelNames;
use crate::exchange::residency::Residency;
use crate::exchange::sink::AnySink;
use crate::fleet::Fleet;
use crate::tls::server::TlsServer;

/// How clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The client's time limits.
    pub client: ClientLimits,
    /// Most client connections served at once. Above them idle ones are closed, and where none is, new ones are told so.
    pub max_connections: u64,
    /// Whether clients may speak HTTP/2 by prior knowledge; over TLS they may where [`Shared::tls`] offers it.
    pub http2: bool,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// How exchanges are observed.
    pub observe: exchange::Settings,
}

impl Default for Settings {
    /// One thread, and no limit: what a configuration is filled into.
    fn default() -> Self {
        Self {
            client: ClientLimits::default(),
            max_connections: u64::MAX,
            http2: false,
            threads: NonZeroUsize::MIN,
            observe: exchange::Settings::default(),
        }
    }
}

/// What the proxy shares with the rest of the program, and keeps through every reload.
#[derive(Clone)]
pub struct Shared {
    /// Who serves the requests: what each exchange asks when it begins.
    pub fleet: life::Receiver<Arc<Fleet>>,
    /// Learns of every exchange.
    pub sink: Arc<dyn AnySink>,
    /// Where clients speak TLS, how.
    pub tls: Option<TlsServer>,
    /// Which models have exchanges in flight, and which are in memory.
    pub residency: Arc<Residency>,
    /// What the backend calls its models.
    pub names: Arc<dyn ModelNames>,
}

/// The client's time limits. None is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// From a head's first byte to its last; a connection's first head from accept, its handshake included.
    pub head: Option<Duration>,
    /// Silence within a request's body.
    pub body_idle: Option<Duration>,
    /// Silence between exchanges.
    pub keep_alive_idle: Option<Duration>,
    /// A client that does not read.
    pub write_stall: Option<Duration>,
}

/// What every worker gets.
#[derive(Clone)]
struct Parts {
    /// What clients are served with that come now.
    settings: life::Receiver<Settings>,
    shared: Shared,
    ids: Arc<AtomicU64>,
    /// Client connections now, and streams within them.
    connections: Arc<AtomicU64>,
    room: admission::Room,
    held_by_decoders: decoding::HeldByDecoders,
    /// What decoded heads of HTTP/2 hold.
    heads: Arc<AtomicU64>,
    /// Client connections that are closed in two steps now.
    lingering: Arc<AtomicU64>,
}

/// The running proxy.
pub struct Proxy {
    threads: Vec<JoinHandle<()>>,
    acceptor: Acceptor,
    settings: life::Sender<Settings>,
}

impl Proxy {
    /// Starts the worker threads. `life` tells them to drain, and after that to give up.
    ///
    /// # Errors
    /// When the system gives no thread or no poller.
    pub fn start(settings: Settings, shared: Shared, life: life::Receiver<Life>) -> io::Result<Self> {
        let max_connections = settings.max_connections;
        let count = settings.threads.get();
        let connections = Arc::default();
        let (room, wanted) = mpsc::unbounded_channel();
        let (settings, current) = life::channel(settings);
        let parts = Parts {
            settings: current,
            shared,
            ids: Arc::default(),
            connections: Arc::clone(&connections),
            room,
            held_by_decoders: decoding::HeldByDecoders::default(),
            heads: Arc::default(),
            lingering: Arc::default(),
        };
        let (mut threads, mut clients) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            let (sender, receiver) = mpsc::unbounded_channel();
            threads.push(thread::spawn(index, parts.clone(), life.clone(), receiver)?);
            clients.push(sender);
        }
        let acceptor = Acceptor::new(clients, connections, max_connections, wanted, life);
        Ok(Self { threads, acceptor, settings })
    }

    /// Changes what clients are served with that come from then on. The threads and the limit of connections stay.
    #[must_use]
    pub fn settings(&self) -> life::Sender<Settings> {
        self.settings.clone()
    }

    /// Accepts clients until the life is over running, then waits for the workers to finish.
    ///
    /// Cancel safety: dropping the future stops accepting and closes nothing; the workers end with their process.
    ///
    /// # Errors
    /// When a worker thread has panicked, or the system has no room to watch the listener.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let Self { threads, acceptor, settings: _settings } = self;
        // Late clients are refused by the system, not left in the queue.
        acceptor.accept(listener.into_std()?).await?;
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
        });
        match joined.await {
            Ok(0) => Ok(()),
            _ => Err(io::Error::other("a proxy thread panicked")),
        }
    }
}
