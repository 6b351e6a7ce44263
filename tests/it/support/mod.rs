//! What the tests are made of: a scripted backend, a raw client, and the proxy between them.

pub(crate) mod authority;
pub(crate) mod backend;
pub(crate) mod cargo;
pub(crate) mod client;
pub(crate) mod dns;
pub(crate) mod fixture;
pub(crate) mod golden;
#[cfg(target_os = "linux")]
pub(crate) mod hanging;
pub(crate) mod helper;
pub(crate) mod http2;
pub(crate) mod nvml;
pub(crate) mod ollama;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod python;
pub(crate) mod rig;
pub(crate) mod secure;
pub(crate) mod servers;
pub(crate) mod simulator;
pub(crate) mod small_disk;
pub(crate) mod tools;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails. Nothing is measured against it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Looks until there is something to return. For what another process, or a thread without a signal of its own, does to
/// files: the system reports a file's change before what was committed to it can be read, so there is no event to wait
/// for. Each look costs a question to the files, which paces it.
///
/// # Panics
/// With what the last look found missing, after [`PATIENCE`].
pub(crate) fn look_until<T>(look: impl FnMut() -> Result<T, String>) -> T {
    look_for(PATIENCE, look)
}

/// The same for so long: where what is looked at goes on every ten seconds or more slowly.
///
/// # Panics
/// With what the last look found missing.
pub(crate) fn look_for<T>(patience: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(missing) => assert!(begun.elapsed() < patience, "{missing}"),
        }
        std::thread::yield_now();
    }
}

/// One demo at a time, as on a desk: each takes the usual ports where they are free.
#[cfg(target_os = "linux")]
pub(crate) fn one_demo() -> MutexGuard<'static, ()> {
    static DEMO: Mutex<()> = Mutex::new(());
    DEMO.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds back the other tests that load or measure the machine, until it is dropped.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
