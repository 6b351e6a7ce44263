//! What a second backend costs a request: the same requests to the program with one backend and with two that both have
//! the model, in turns.

use std::io;
use std::time::{Duration, Instant};

use crate::contestant::Contestant;
use crate::load::Testbed;
use crate::scrape;

/// What a request may cost with two backends, by what it costs with one.
pub const MARK: f64 = 1.10;

/// Connections of each row.
pub const CONNECTIONS: [usize; 2] = [1, 64];

/// How long the program may take to know which models both backends have.
const START: Duration = Duration::from_secs(10);

/// CPU time per request, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct FleetCost {
    /// With one backend.
    pub one: f64,
    /// With two.
    pub two: f64,
}

/// Measures one round of each, with so many connections.
///
/// # Errors
/// With the reason for the report when there is no measurement.
pub fn measure_round(testbed: &Testbed, contestant: &Contestant, connections: usize) -> Result<FleetCost, String> {
    let failed = |error: io::Error| format!("the client failed: {error}");
    let both = testbed.backend.addresses();
    let cost = |backends: usize| {
        let running = contestant.start_before(&both[..backends], &testbed.cores, "")?;
        let admin = running.admin().ok_or("it has no metrics")?;
        let begun = Instant::now();
        while scrape::listing_backends(admin).map_err(failed)? < backends {
            if begun.elapsed() > START {
                return Err("it does not know the models of both".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let sample = testbed.exchanges(&running, connections).map_err(failed)??;
        sample.cpu.ok_or_else(|| "the kernel gave no account".to_owned())
    };
    Ok(FleetCost { one: cost(1)?, two: cost(2)? })
}
