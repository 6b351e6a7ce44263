//! The promises of inferometer, each against real sockets.

mod ambiguity;
mod boards;
mod cancellation;
mod coded;
mod crossing;
mod dialects;
mod differential;
mod drain;
mod engines;
mod examples;
mod faults;
mod gpu;
#[cfg(target_os = "linux")]
mod hanging;
mod helper;
mod host;
mod house;
mod http2;
mod life;
mod limits;
mod memory;
mod models;
mod program;
mod proxy;
mod readme;
mod recorded;
mod reload;
mod second_listener;
mod storm;
mod support;
mod tls;
mod tooling;
mod trailers;
mod wire;
