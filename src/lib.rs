//! inferometer: a transparent, Prometheus-exporting reverse proxy for Ollama-style inference servers.
//!
//! ```text
//! client ──► proxy ──► backend server
//!              │ tap (looks at each frame, hands on the very same frame)
//!              ▼
//!           wire (bytes → events) ──► exchange (events + instants → one Record)
//!                                         │ Sink: started · tokens · finished
//!                  ┌──────────────────────┼──────────────────────┐
//!               metrics                history                  logs
//!                  └───────────► admin: /metrics, health, page ◄── backend status, host
//! ```
//!
//! # The rooms, in the order of the flow
//! * [`cli`], [`config`]: what was typed, and what it means.
//! * [`app`]: builds every part and joins them; owns the listeners, the signals, the reload and the drain.
//! * [`proxy`]: the way of the bytes.
//! * [`wire`]: what servers say, read from a stream split anywhere. Pure.
//! * [`exchange`]: one request with its response, from its head to its record. Pure.
//! * [`backend`]: the servers behind: where they are, whether they answer, what they list.
//! * [`fleet`]: which backend serves an exchange.
//! * [`metrics`]: every Prometheus family.
//! * [`history`]: what is going on now.
//! * [`host`]: the machine underneath, read beside the traffic.
//! * [`admin`]: the second listener.
//! * [`tls`]: certificates, keys, and sockets with or without TLS around them.
//! * [`logs`], [`clock`]: words and time.
//!
//! # The life of an exchange
//! 1. The accepting thread hands a socket to a worker (`proxy::accept`); there, one task serves it to its end
//!    (`proxy::http1`). A connection that begins with the preface of HTTP/2, or agrees on it over TLS, goes to
//!    `proxy::http2` instead.
//! 2. A head is read whole; what could be read in two ways ends here (`proxy::guard`).
//! 3. Time zero: an [`exchange::Observation`] starts, and with it every [`exchange::sink::Watch`]; the [`fleet`] gives it a
//!    backend (`proxy::forward`).
//! 4. A connection to the backend is taken from the worker's pool or dialled (`proxy::attempt`), and the request is sent:
//!    its head written for that backend (`proxy::request`), its body as it stands, searched for the model's name as it passes ([`wire::request`]).
//! 5. The backend's head arrives and is judged (`proxy::download`, `proxy::response`). How the body is framed and what it speaks are chosen
//!    from it ([`wire::reader`]).
//! 6. What is read at one instant is followed (`proxy::framing`), its data shown to the observation (`proxy::tap`), and
//!    the very same bytes are handed on. Events become instants, counts and gaps; sinks hear of token-bearing frames.
//! 7. The body ends or fails, or the client leaves. Exactly one [`exchange::record::Record`] comes out.
//! 8. The backend's connection goes back to the pool if it can be used again, else it is closed.
//!
//! # Invariants
//! 1. Observation never changes, delays or ends traffic. The tap is shown bytes and gives nothing back; trouble in parsing
//!    marks the record, and a panic takes the observation out, not the exchange.
//! 2. Wire parsing does not fail: it yields facts and defects, in bounded memory.
//! 3. Every exchange ends exactly once, also when the body is dropped.
//! 4. Time is an argument below [`proxy`].
//! 5. Metric names exist only in [`metrics`]; label values are enums or members of a capped set.
//! 6. What is shown as JSON is known only to [`admin`]; domain types are not `Serialize`.
//! 7. No global registry, no mutable statics: everything is built in [`app`] and passed.
//!
//! # Cancel safety
//! Dropping the future that serves a connection closes both sockets and ends its exchange as left by the client. Nothing is
//! spawned for an exchange, so nothing outlives it, except a backend connection that has become idle. Over HTTP/2 each
//! exchange is a task that belongs to its connection: a reset stream ends its own, the end of the connection all.

// Tests wait and print as they like.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_macros))]

pub mod admin;
pub mod app;
pub mod backend;
pub mod cli;
pub mod clock;
pub mod config;
pub mod exchange;
pub mod fleet;
pub mod history;
pub mod host;
pub mod logs;
pub mod metrics;
pub mod proxy;
pub mod tls;
pub mod wire;
