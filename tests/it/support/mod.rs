//! What the tests are made of: a scripted backend, a raw client, and the proxy between them.

pub(crate) mod authority;
pub(crate) mod backend;
pub(crate) mod cargo;
pub(crate) mod client;
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
pub(crate) mod simulator;
pub(crate) mod tools;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long anything may take before a test fails. Nothing is measured against it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Holds back the other tests that load or measure the machine, until it is dropped.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
