//! The promises of inferometer, each against real sockets.

mod boards;
mod host;
mod proxy;
mod support;
