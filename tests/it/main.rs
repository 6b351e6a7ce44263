//! The promises of inferometer, each against real sockets.

mod boards;
mod proxy;
mod support;
