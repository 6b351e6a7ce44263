//! Measures inferometer, a bare TCP relay and nginx, in turns within one run.
//!
//! | module | what it does |
//! |---|---|
//! | `script` | the requests and answers of client and backend |
//! | `backend` | a simulated backend that answers at once and streams at a pace |
//! | `client` | sends requests, counts and times answers |
//! | `contestant` | starts and stops the measured programs |
//! | `account` | CPU time and memory of a process, from the operating system |
//! | `machine` | the machine, and the assignment of cores |
//! | `load` | the tests, and running one against one contestant |
//! | `flat` | costs that must not grow with the length of a stream or the size of a request |
//! | `rush` | a thousand clients at once |
//! | `scrape` | the impact of a scrape on streams |
//! | `watchers` | that of many clients of the second listener |
//! | `fleet` | what a second backend costs a request |
//! | `choice` | the choice among several backends, without the proxy |
//! | `endpoints` | how long the dashboard API takes over a long history |
//! | `report` | medians, ratios and remarks as Markdown |
//! | `chunks` | one plain chunk of each dialect and framing |
//! | `observed` | the observation without the proxy, to count its instructions |
//!
//! The main measure is the CPU time of the measured process: wall time over loopback hardly differs between good
//! proxies. Everything stays on loopback addresses and ends with the run. Linux only, as it reads `/proc`.

pub mod choice;
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
pub mod endpoints;
#[cfg(target_os = "linux")]
pub mod flat;
#[cfg(target_os = "linux")]
pub mod fleet;
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
#[cfg(target_os = "linux")]
pub mod watchers;
