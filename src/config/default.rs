//! Every default, each with its reason.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// Beside Ollama's own port, on this machine only.
pub const LISTEN: SocketAddr = loopback(11435);

/// On this machine only: the page shows which models are used.
pub const ADMIN_LISTEN: SocketAddr = loopback(8001);

/// Where Ollama listens unless it is told otherwise.
pub const BACKEND: &str = "http://127.0.0.1:11434";

/// More models than a machine holds; each costs its metrics' series.
pub const MAX_MODELS: usize = 200;

/// Long for a network, short for a person.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What service managers and Kubernetes wait before they kill.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Finished exchanges and changes of state.
pub const LOG_LEVEL: &str = "info";

/// One line a finished exchange.
pub const ACCESS_LOG: bool = true;

/// Clients that speak it need fewer connections; it is offered beside HTTP/1.1.
pub const HTTP2: bool = true;

/// A request's head, from its first byte: slow heads hold a connection for nothing.
pub const LIMIT_HEAD: Option<Duration> = Some(Duration::from_secs(30));

/// Idle keep-alive connections: Ollama closes none, so neither do we.
pub const LIMIT_KEEP_ALIVE_IDLE: Option<Duration> = None;

/// A request's body that stands still.
pub const LIMIT_BODY_IDLE: Option<Duration> = Some(Duration::from_secs(5 * 60));

/// A client that does not read.
pub const LIMIT_WRITE_STALL: Option<Duration> = Some(Duration::from_secs(5 * 60));

/// The backend's first byte: loading a large model takes minutes, and the client has its own patience.
pub const LIMIT_FIRST_BYTE: Option<Duration> = None;

/// Idle connections to the backend: below the 5 s after which vLLM and llama.cpp close theirs.
pub const LIMIT_POOL_IDLE: Option<Duration> = Some(Duration::from_secs(2));

/// A gap between tokens that counts as a stall.
pub const LIMIT_STALL: Option<Duration> = Some(Duration::from_secs(5));

/// How often the machine is read: as often as metrics are scraped.
pub const HOST_PERIOD: Option<Duration> = Some(Duration::from_secs(5));
