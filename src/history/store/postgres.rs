//! PostgreSQL: a copy of what the files of several replicas have, within a schema of its own.
//!
//! ```text
//! inferometer.exchanges      partitioned by day; PRIMARY KEY (at, replica, id)
//! inferometer.rollups        sums by minute and hour of each replica, with plain percentiles
//! inferometer.ran            the intervals in which a replica ran
//! inferometer.events, jobs   and tops, host, gpu: as the files have them
//! inferometer.cursors        how far each replica has copied, changed together with what was copied
//! inferometer.names, codes   the meaning of numbers; the views …_named have the words
//! ```
//!
//! Promises: a row is there once, however often it is copied; replicas share no row that they change, so they do not wait
//! for each other. Plain SQL, without extensions.

mod client;
mod columns;
pub(in crate::history) mod connect;
mod copy;
pub(in crate::history) mod forget;
mod mirror;
mod names;
pub(in crate::history) mod read;
pub(in crate::history) mod replica;
mod schema;
mod value;
