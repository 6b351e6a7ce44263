//! What happens now. Later also what happened lately.
//!
//! Never content: names of endpoints and models, instants and counts.

pub mod in_flight;
