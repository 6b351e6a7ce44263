//! The exchanges in flight.
//!
//! Never content: only names of endpoints and models, instants and counts.

pub mod in_flight;
