//! The promises of inferometer, each against real sockets.

mod proxy;
mod support;
