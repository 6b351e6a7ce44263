//! The promises of inferometer, each against real sockets.

mod boards;
mod engines;
mod examples;
mod house;
mod program;
mod proxy;
mod recorded;
mod support;
mod wire;
