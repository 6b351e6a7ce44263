//! Waits for a time without a timer in the thread's own loop.
//!
//! A loop that has a timer reads the clock twice more, and arms a timer of the system, each time it waits for sockets: 0.4 µs
//! of a request that takes 14. So what a thread waits for all the time, with no request in progress, is waited for on the
//! runtime that has started the thread. Time limits of requests and connections are not: they begin and end with each.

use std::time::Instant;

use tokio::runtime::Handle;
use tokio::time::sleep_until;

/// Waits on another runtime; by default, on that of the caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarm(Option<Handle>);

impl Alarm {
    /// On the runtime that this is called in.
    pub(super) fn here() -> Self {
        Self(Handle::try_current().ok())
    }

    /// Waits until this time.
    pub(super) async fn until(&self, at: Instant) {
        let waited = match &self.0 {
            // A sleep belongs to the runtime in which it is made.
            Some(runtime) => runtime.spawn(async move { sleep_until(at.into()).await }).await.is_ok(),
            None => false,
        };
        // That runtime has ended.
        if !waited {
            sleep_until(at.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::JoinHandle;
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    use super::*;

    const LENGTH: Duration = Duration::from_millis(20);

    /// An alarm of a runtime that runs until the returned value is dropped.
    fn elsewhere() -> (Running, Alarm) {
        let (end, ended) = oneshot::channel::<()>();
        let (give, given) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
            runtime.block_on(async {
                give.send(Alarm::here()).expect("it is waited for");
                let _dropped = ended.await;
            });
        });
        (Running(Some((end, thread))), given.recv().expect("an alarm"))
    }

    struct Running(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

    impl Drop for Running {
        fn drop(&mut self) {
            if let Some((end, thread)) = self.0.take() {
                drop(end);
                thread.join().expect("it does not panic");
            }
        }
    }

    #[test]
    fn a_loop_without_timers_waits_by_another_one() {
        let (_other, alarm) = elsewhere();
        let begun = Instant::now();
        Builder::new_current_thread().build().expect("a runtime").block_on(alarm.until(begun + LENGTH));
        assert!(begun.elapsed() >= LENGTH);
    }

    #[test]
    fn where_the_other_one_has_ended_it_waits_by_itself() {
        let (other, alarm) = elsewhere();
        drop(other);
        let begun = Instant::now();
        Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(alarm.until(begun + LENGTH));
        assert!(begun.elapsed() >= LENGTH);
    }
}
