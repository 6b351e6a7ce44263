//! The promises of inferometer, each against real sockets.

mod boards;
mod house;
mod proxy;
mod recorded;
mod support;
mod wire;
