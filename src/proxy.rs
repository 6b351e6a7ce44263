//! Forwards bytes between clients and backends.
//!
//! One thread accepts connections and hands the sockets round robin to worker threads, each with a runtime of its own.
//! On a worker, one task serves one client and also polls the backend's socket, so no byte crosses a thread or waits
//! for a lock. HTTP/1 is parsed here, so that bodies pass exactly as they are on the wire; HTTP/2, from clients only,
//! is left to the HTTP library.
//!
//! Promises: bodies pass byte for byte in both directions, and no byte waits for a later one; when a client leaves, the
//! backend's connection is closed; an ambiguous head is never forwarded; no byte, no timing and no outcome depends on
//! whether the observation understands what passes. This module knows nothing of metrics, history or pages, only
//! [`crate::exchange::sink::Sink`].

mod accept;
mod admission;
mod alarm;
mod answer;
mod ask;
mod attempt;
mod authority;
mod characters;
mod chunks;
mod client;
mod closing;
mod connect;
mod decoding;
mod download;
mod everywhere;
mod explain;
mod extension;
mod fields;
mod forward;
mod framing;
mod grammar;
pub mod guard;
mod handshake;
mod hold;
mod http1;
mod http2;
mod merge;
mod named_model;
#[cfg(test)]
mod orders;
mod polls;
mod pool;
mod pools;
mod products;
pub mod reading;
mod request;
mod response;
mod settings;
mod slot;
mod socket;
#[cfg(test)]
mod stage;
mod steps;
mod stop;
mod tap;
mod thread;
mod timer;
mod trailers;
mod upgrade;
mod upstream;
mod words;
mod worker;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch as life};

use accept::Acceptor;
pub use accept::set_options;
pub use admission::Life;
pub use hold::{HeldBodies, HoldLimits};
pub use settings::{ClientLimits, Settings, Shared};
pub use stop::Stops;
use worker::WorkerParts;

/// The running proxy.
pub struct Proxy {
    threads: Vec<JoinHandle<()>>,
    acceptor: Acceptor,
    settings: life::Sender<Settings>,
    stops: Stops,
}

impl Proxy {
    /// Starts the worker threads. `life` makes them drain, and later stop.
    ///
    /// # Errors
    /// When the system cannot create a thread or a poller.
    pub fn start(settings: Settings, shared: Shared, life: life::Receiver<Life>) -> io::Result<Self> {
        let max_connections = settings.max_connections;
        let count = settings.threads.get();
        let connections = Arc::default();
        let (room, wanted) = mpsc::unbounded_channel();
        let (settings, current) = life::channel(settings);
        let parts = WorkerParts {
            settings: current,
            shared,
            ids: Arc::default(),
            connections: Arc::clone(&connections),
            room,
            held_by_decoders: decoding::HeldByDecoders::default(),
            heads: Arc::default(),
            lingering: Arc::default(),
            alarm: alarm::Alarm::here(),
        };
        let (mut threads, mut clients, mut stops) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..count {
            let (sender, receiver) = mpsc::unbounded_channel();
            let (stop, stopped) = mpsc::unbounded_channel();
            threads.push(thread::spawn(index, parts.clone(), life.clone(), (receiver, stopped))?);
            clients.push(sender);
            stops.push(stop);
        }
        let stops = Stops::of(stops);
        let acceptor = Acceptor::new(clients, connections, max_connections, wanted, life);
        Ok(Self { threads, acceptor, settings, stops })
    }

    /// Replaces the settings for connections accepted from now on. The number of threads and the connection limit stay.
    #[must_use]
    pub fn settings(&self) -> life::Sender<Settings> {
        self.settings.clone()
    }

    /// Ends single exchanges, also while the process drains.
    #[must_use]
    pub fn stops(&self) -> Stops {
        self.stops.clone()
    }

    /// Accepts clients until the process drains, then waits for the workers to finish.
    ///
    /// Cancel safety: dropping the future stops accepting and closes no connection; the workers end with the process.
    ///
    /// # Errors
    /// When a worker thread has panicked, or the system cannot watch the listener.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let Self { threads, acceptor, settings: _settings, stops: _ } = self;
        // Clients that connect during the drain get a refused connection and are not left in the backlog.
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
