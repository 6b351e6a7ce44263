//! Threads that no request waits for: their priority, and the time that they take.

use std::time::Duration;

/// How much the kernel prefers the workers, on Linux: on a busy core, a thread that stepped back gets a quarter of a
/// worker's share, and a chunk that arrives for a worker preempts it.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Lowers this thread's priority below the workers', and that of the threads that it will create. Only Linux has
/// priorities for threads; elsewhere the call would change the whole process.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    let _refused = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}

/// The processor time that this thread has taken so far.
#[must_use]
pub fn processor_time() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap_or_default()
}
