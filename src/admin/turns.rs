//! Turns at work that few may do at once, in an order of ranks.
//!
//! Promises: of those who wait, the lowest rank goes first, within a rank the one that came first; whoever goes away while
//! it waits or has its turn gives it back; no more than so many wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The order in which waiting requests are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Has been let in recently.
    Known,
    /// Has not been wrong lately.
    Stranger,
    /// Has been.
    Guesser,
}

/// Those who wait, and how many turns are free.
pub(super) struct Turns(Mutex<Queue>);

struct Queue {
    free: usize,
    /// How many may wait; [`Rank::Known`] twice as many.
    most: usize,
    came: u64,
    waiting: BTreeMap<(Rank, u64), oneshot::Sender<Turn>>,
}

/// A turn. Dropping it passes it on.
pub(super) struct Turn(Arc<Turns>);

impl Turns {
    /// So many at once, and so many who wait.
    pub(super) fn new(free: usize, most: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Queue { free, most, came: 0, waiting: BTreeMap::new() })))
    }

    /// Waits for a turn; none where too many wait already.
    pub(super) async fn take(self: &Arc<Self>, rank: Rank) -> Option<Turn> {
        let turn = {
            let mut queue = self.queue();
            if queue.free > 0 {
                queue.free -= 1;
                return Some(Turn(self.clone()));
            }
            queue.waiting.retain(|_, waiting| !waiting.is_closed());
            let most = if rank == Rank::Known { 2 * queue.most } else { queue.most };
            if queue.waiting.len() >= most {
                return None;
            }
            queue.came += 1;
            let (give, turn) = oneshot::channel();
            let place = (rank, queue.came);
            queue.waiting.insert(place, give);
            turn
        };
        turn.await.ok()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.queue();
            queue.waiting.retain(|_, waiting| !waiting.is_closed());
            let next = queue.waiting.pop_first();
            queue.free += usize::from(next.is_none());
            next
        };
        if let Some((_, give)) = next {
            // Where the receiver has gone away since, the turn comes back, is dropped, and is passed on again.
            let _ = give.send(Self(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_lowest_rank_goes_first_and_who_leaves_holds_nobody_up() {
        let turns = Turns::new(1, 3);
        let held = turns.take(Rank::Guesser).await.expect("a free turn");
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let wait = |rank: Rank| {
            let (turns, tell) = (turns.clone(), tell.clone());
            tokio::spawn(async move {
                let turn = turns.take(rank).await;
                let _ = tell.send((rank, turn.is_some()));
            })
        };
        let waiting = [Rank::Guesser, Rank::Stranger, Rank::Guesser].map(wait);
        tokio::task::yield_now().await;
        wait(Rank::Stranger);
        assert_eq!(told.recv().await, Some((Rank::Stranger, false)), "too many wait");
        wait(Rank::Known);
        tokio::task::yield_now().await;
        waiting[0].abort();
        tokio::task::yield_now().await;
        drop(held);
        for expected in [Rank::Known, Rank::Stranger, Rank::Guesser] {
            assert_eq!(told.recv().await, Some((expected, true)));
        }
        drop(turns.take(Rank::Guesser).await.expect("it is free again"));
        assert_eq!(turns.queue().free, 1);
    }
}
