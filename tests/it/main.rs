//! The promises of inferometer, each against real sockets.

mod boards;
mod engines;
mod gpu;
mod helper;
mod host;
mod house;
mod http2;
mod program;
mod proxy;
mod readme;
mod recorded;
mod support;
mod tls;
mod wire;
