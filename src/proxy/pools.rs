//! The pools of one thread, one for each backend.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use super::alarm::Alarm;
use super::pool::Pool;
use crate::fleet::{Fleet, Member};

/// Idle connections by backend.
pub(super) struct Pools {
    pools: RefCell<Vec<(Arc<Member>, Rc<Pool>)>>,
    /// The client limit and the number of threads, from which the size of a pool follows.
    max_connections: u64,
    threads: NonZeroUsize,
    alarm: Alarm,
}

impl Pools {
    pub(super) fn new(max_connections: u64, threads: NonZeroUsize, alarm: Alarm) -> Self {
        Self { pools: RefCell::default(), max_connections, threads, alarm }
    }

    /// The pool of a backend. Replaced by a new one where the idle limit has changed.
    pub(super) fn of(&self, member: &Arc<Member>) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let limit = member.settings.pool_idle;
        if let Some((_, pool)) = pools.iter().find(|(known, pool)| known.is_same(member) && pool.keeps_for(limit)) {
            return pool.clone();
        }
        // The old pool's sweep keeps it alive until its last connection is dropped.
        pools.retain(|(known, pool)| {
            let goes = known.is_same(member);
            if goes {
                pool.clear();
            }
            !goes
        });
        let pool = Pool::new(limit, self.max_connections, self.threads, self.alarm.clone());
        pools.push((member.clone(), pool.clone()));
        pool
    }

    /// Drops the connections to backends that are not in the fleet.
    pub(super) fn keep_only(&self, fleet: &Fleet) {
        let stays = |known: &Member| fleet.members().iter().any(|member| member.is_same(known));
        self.pools.borrow_mut().retain(|(known, pool)| {
            let stays = stays(known);
            if !stays {
                pool.clear();
            }
            stays
        });
    }

    /// Drops every idle connection. False where there was none.
    pub(super) fn clear(&self) -> bool {
        self.pools.borrow().iter().fold(false, |any, (_, pool)| pool.clear() || any)
    }
}
