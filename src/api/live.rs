//! What is pushed to WebSockets: each topic is read in one place, however many listen.
//!
//! Promises:
//! * A topic is read only while somebody listens to it, and a push holds what its GET answers with.
//! * Nothing waits for a slow listener: of a figure it gets the newest, and of a list it learns how many entries it has
//!   missed. The memory of a connection is bounded, and so is their number ([`places`]).
//! * A connection ends with the credentials that opened it, and with the program (1001).

pub(super) mod connection;
mod hub;
mod lists;
pub(super) mod places;
mod topic;

pub(super) use hub::Hub;
pub(super) use topic::Topic;
