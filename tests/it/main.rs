//! The promises of inferometer, each against real sockets.

mod ambiguity;
mod boards;
mod cancellation;
mod differential;
mod faults;
mod house;
mod memory;
mod program;
mod proxy;
mod recorded;
mod storm;
mod support;
mod wire;
