//! The promises of inferometer, each against real sockets.

mod wire;
