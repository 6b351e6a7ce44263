//! A semaphore whose permits go to the lowest rank first.
//!
//! Promises: within a rank the longest waiting is first; a caller that is dropped while it waits or holds a permit
//! returns it; the queue is bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The order in which waiting callers get a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Has authenticated recently.
    Known,
    /// Has given no wrong password lately.
    Stranger,
    /// Has given a wrong password lately.
    Guesser,
}

pub(super) struct PrioritySemaphore(Mutex<Queue>);

struct Queue {
    free: usize,
    /// Callers that may wait; for [`Rank::Known`] twice as many.
    max_waiting: usize,
    /// The number of the last caller that waited.
    last: u64,
    waiting: BTreeMap<(Rank, u64), oneshot::Sender<Permit>>,
}

/// Dropping it passes it to the next caller.
pub(super) struct Permit(Arc<PrioritySemaphore>);

impl PrioritySemaphore {
    pub(super) fn new(permits: usize, max_waiting: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Queue { free: permits, max_waiting, last: 0, waiting: BTreeMap::new() })))
    }

    /// Waits for a permit. `None`, at once, where the queue is full.
    pub(super) async fn acquire(self: &Arc<Self>, rank: Rank) -> Option<Permit> {
        let permit = {
            let mut queue = self.queue();
            if queue.free > 0 {
                queue.free -= 1;
                return Some(Permit(self.clone()));
            }
            queue.waiting.retain(|_, waiting| !waiting.is_closed());
            let max = if rank == Rank::Known { 2 * queue.max_waiting } else { queue.max_waiting };
            if queue.waiting.len() >= max {
                return None;
            }
            queue.last += 1;
            let (give, permit) = oneshot::channel();
            let key = (rank, queue.last);
            queue.waiting.insert(key, give);
            permit
        };
        permit.await.ok()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.queue();
            queue.waiting.retain(|_, waiting| !waiting.is_closed());
            let next = queue.waiting.pop_first();
            queue.free += usize::from(next.is_none());
            next
        };
        if let Some((_, give)) = next {
            // If the receiver has been dropped since, `send` returns the permit; dropping that passes it on.
            let _ = give.send(Self(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_lowest_rank_goes_first_and_a_caller_that_leaves_blocks_no_other() {
        let semaphore = PrioritySemaphore::new(1, 3);
        let held = semaphore.acquire(Rank::Guesser).await.expect("a free permit");
        let (tell, mut served) = tokio::sync::mpsc::unbounded_channel();
        let wait = |rank: Rank| {
            let (semaphore, tell) = (semaphore.clone(), tell.clone());
            tokio::spawn(async move {
                let permit = semaphore.acquire(rank).await;
                let _ = tell.send((rank, permit.is_some()));
            })
        };
        let waiting = [Rank::Guesser, Rank::Stranger, Rank::Guesser].map(wait);
        tokio::task::yield_now().await;
        wait(Rank::Stranger);
        assert_eq!(served.recv().await, Some((Rank::Stranger, false)), "too many wait");
        wait(Rank::Known);
        tokio::task::yield_now().await;
        waiting[0].abort();
        tokio::task::yield_now().await;
        drop(held);
        for expected in [Rank::Known, Rank::Stranger, Rank::Guesser] {
            assert_eq!(served.recv().await, Some((expected, true)));
        }
        drop(semaphore.acquire(Rank::Guesser).await.expect("it is free again"));
        assert_eq!(semaphore.queue().free, 1);
    }
}
