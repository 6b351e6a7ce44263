//! The promises of inferometer, each against real sockets.

mod boards;
mod house;
mod http2;
mod program;
mod proxy;
mod recorded;
mod support;
mod tls;
mod wire;
