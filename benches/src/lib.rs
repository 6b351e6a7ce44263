//! Measures inferometer beside a bare TCP relay and nginx, in one run and in turns.
//!
//! | module | what it does |
//! |---|---|
//! | `script` | what client and backend say to each other |
//! | `backend` | a simulated backend that answers at once and streams at a pace |
//! | `client` | asks, counts and times |
//! | `contestant` | starts and ends what is measured |
//! | `account` | CPU time and memory of a process, from the operating system |
//! | `machine` | what it runs on, and which core does what |
//! | `load` | the tests, and how one is run against one contestant |
//! | `flat` | what must not grow: with the length of a stream, with the size of a request |
//! | `rush` | a thousand clients at once |
//! | `scrape` | whether streams feel that somebody reads the metrics |
//! | `report` | medians, ratios and remarks as Markdown |
//! | `chunks` | one plain chunk of each dialect and framing |
//! | `observed` | the inspector outside of the proxy, to count its instructions |
//!
//! CPU time of the measured process decides: wall time over loopback hardly tells good proxies apart. Everything stays
//! on loopback addresses and ends with the run. The comparison is for Linux only: its accounts are those of `/proc`.

pub mod chunks;
pub mod observed;
pub mod script;

#[cfg(target_os = "linux")]
pub mod account;
#[cfg(target_os = "linux")]
pub mod backend;
#[cfg(target_os = "linux")]
pub mod client;
#[cfg(target_os = "linux")]
pub mod contestant;
#[cfg(target_os = "linux")]
pub mod flat;
#[cfg(target_os = "linux")]
pub mod load;
#[cfg(target_os = "linux")]
pub mod machine;
#[cfg(target_os = "linux")]
mod poll;
#[cfg(target_os = "linux")]
pub mod report;
#[cfg(target_os = "linux")]
mod rush;
#[cfg(target_os = "linux")]
pub mod scrape;
