//! The priority of the threads that nobody waits for.

/// How much the kernel prefers the workers.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Lowers this thread's priority below the workers'. Only Linux has priorities for threads.
pub(super) fn step_back() {
    #[cfg(target_os = "linux")]
    let _refused = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}
