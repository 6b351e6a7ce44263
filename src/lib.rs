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
//!                  └───────────► admin: /metrics, health, page, api ◄── backend status, host
//! ```
//!
//! # The rooms, in the order of the flow
//! * [`cli`], [`config`]: the command line, and the settings that it, the environment and the file make up.
//! * [`app`]: builds every part and joins them; owns the listeners, the signals, the reload and the drain.
//! * [`proxy`]: forwards the bytes.
//! * [`wire`]: parses what servers send, from a stream split anywhere. Pure.
//! * [`exchange`]: one request with its response, from its head to its record. Pure.
//! * [`backend`]: the inference servers: their addresses, whether they answer, which models they list.
//! * [`fleet`]: which backend serves an exchange.
//! * [`metrics`]: every Prometheus family.
//! * [`history`]: the exchanges in flight, and what is kept of those that are over.
//! * [`host`]: facts about the machine.
//! * [`alert`]: what deserves attention: the rules, and whether they hold. Pure.
//! * [`access`]: who may ask the second listener, and how often.
//! * [`admin`]: the second listener.
//! * [`api`]: what it answers to dashboards, as JSON.
//! * [`remote`]: asks and tells other services: a webhook, Prometheus, another inferometer.
//! * [`tls`]: certificates, keys, and sockets with or without TLS around them.
//! * [`console`]: shows the running program in a terminal, and as a file to give on.
//! * [`doctor`]: asks the running program, and what it needs, how they are.
//! * [`logs`], [`clock`], [`priority`]: the log, monotonic and wall time, and which threads step back for others.
//!
//! # The life of an exchange
//! 1. The accepting thread passes a socket to a worker (`proxy::accept`), where one task serves it to its end
//!    (`proxy::http1`). A connection that begins with the preface of HTTP/2, or negotiates it over TLS, goes to
//!    `proxy::http2` instead.
//! 2. A head is read whole; an ambiguous one is refused (`proxy::guard`).
//! 3. Time zero: an [`exchange::Observation`] starts, and with it every [`exchange::sink::Watch`]; the [`fleet`] gives it a
//!    backend (`proxy::forward`). Where there are several and the model decides, the body is held until it has named it
//!    (`proxy::hold`); a listing is asked of all of them (`proxy::merge`).
//! 4. A connection to the backend is taken from the worker's pool or dialled (`proxy::attempt`), and the request is sent:
//!    its head written for that backend (`proxy::request`), its body unchanged and scanned for the model's name as it
//!    passes (`proxy::named_model`).
//! 5. The backend's head arrives and is checked (`proxy::download`, `proxy::response`). It decides the framing and the
//!    dialect of the body ([`wire::reader`]).
//! 6. Each piece is followed to the end of the message (`proxy::framing`), its data shown to the observation
//!    (`proxy::tap`), and the same bytes are forwarded. Events become instants, counts and gaps; sinks are called for each
//!    token-bearing frame.
//! 7. The body ends or fails, or the client leaves. Exactly one [`exchange::record::Record`] is emitted.
//! 8. The backend's connection returns to the pool if it can be reused, else it is closed.
//!
//! # Invariants
//! 1. Observation never changes, delays or ends traffic. The tap sees the bytes and returns nothing; a defect in parsing
//!    marks the record, and a panic removes the observation, not the exchange. Threads that only watch step back for those
//!    that carry requests ([`priority`]).
//! 2. Wire parsing does not fail: it yields facts and defects, in bounded memory.
//! 3. Every exchange ends exactly once, also when the body is dropped.
//! 4. Time is an argument below [`proxy`].
//! 5. Metric names exist only in [`metrics`], and in the rules of [`alert`] that ask for them; label values are enums or members of a capped set.
//! 6. Only [`api`] and [`admin`] know their JSON; domain types are not `Serialize`.
//! 7. No global registry, no mutable statics: everything is built in [`app`] and passed on.
//!
//! # Cancel safety
//! Dropping the future that serves a connection closes both sockets and ends its exchange as cancelled by the client.
//! Nothing is spawned for an exchange, so nothing outlives it, except a backend connection that has become idle. Over
//! HTTP/2 each exchange is a task owned by its connection: a reset stream ends its own, the end of the connection all.

// Tests wait and print as they like.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_macros))]

pub mod access;
pub mod admin;
pub mod alert;
pub mod api;
pub mod app;
pub mod backend;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod doctor;
pub mod exchange;
pub mod fleet;
pub mod history;
pub mod host;
pub mod logs;
pub mod metrics;
pub mod priority;
pub mod proxy;
pub mod remote;
pub mod tls;
pub mod wire;
