//! The promises of inferometer, each against real sockets.

mod ambiguity;
mod boards;
mod differential;
mod house;
mod program;
mod proxy;
mod recorded;
mod support;
mod wire;
