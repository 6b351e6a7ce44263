//! The promises of inferometer, each against real sockets.

mod boards;
mod engines;
mod helper;
mod host;
mod house;
mod limits;
mod program;
mod proxy;
mod readme;
mod recorded;
mod support;
mod wire;
