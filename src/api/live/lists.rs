//! The new entries of lists, looked for in the history while somebody listens.

use std::time::Instant;

use super::topic::{Push, Topic, lagged, push};
use crate::api::endpoints::{exchanges, logs};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, resolve};
use crate::history::query::lists::{ListFilter, ListQuery};
use crate::history::query::{Exchange, Filter, MAX_PAGE, PageQuery, Range};
use crate::history::{Reading, StoreError};

/// Most new entries of a look that are pushed, the newest. What comes faster is in the GET.
const MAX_NEW: usize = MAX_PAGE;

/// Most new entries that are counted.
const MAX_COUNTED: usize = 5_000;

/// How far each list has been read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The first millisecond that was not looked at, and the last id of a line.
    lines: Option<(i64, i64)>,
    /// The last id of an exchange.
    exchanges: Option<i64>,
}

impl Tail {
    /// Publishes what is new of the lists that have listeners.
    pub(super) async fn read(
        &mut self,
        parts: &Parts,
        listeners: impl Fn(Topic) -> usize,
        publish: impl Fn(Topic, Push),
    ) {
        let now = Instant::now();
        if listeners(Topic::Logs) == 0 {
            self.lines = None;
        } else {
            self.read_lines(parts, now, &publish).await;
        }
        if listeners(Topic::Exchanges) == 0 {
            self.exchanges = None;
        } else {
            self.read_exchanges(parts, now, &publish).await;
        }
    }

    async fn read_lines(&mut self, parts: &Parts, now: Instant, publish: &impl Fn(Topic, Push)) {
        let to = parts.millis(now) + 1;
        let (from, last) = *self.lines.get_or_insert((to, 0));
        let range = Range { from: from.min(to), to: to + 1 };
        let query = ListQuery { range, filter: ListFilter::default(), offset: 0, limit: MAX_COUNTED };
        let Maybe::Known(found) = parts.asked(move |reading| reading.log_lines(&query)).await else { return };
        let new: Vec<_> = found.entries.into_iter().filter(|line| line.id > last).collect();
        let last = new.first().map_or(last, |line| line.id);
        // A line is in the file some time after it was logged.
        self.lines = Some((from.max(to - 10_000), last));
        say_missed(Topic::Logs, new.len(), publish);
        for line in new.into_iter().take(MAX_NEW).rev() {
            publish(Topic::Logs, push(Topic::Logs, &parts.text(now), &resolve(&logs::line(line))));
        }
    }

    async fn read_exchanges(&mut self, parts: &Parts, now: Instant, publish: &impl Fn(Topic, Push)) {
        let to = parts.millis(now) + 1;
        let last = *self.exchanges.get_or_insert(crate::history::id::RowId::first_of(to).0);
        let from = crate::history::id::RowId(last).millis().min(to) - 1_000;
        let range = Range { from, to: to + 1 };
        let Maybe::Known(new) = parts.asked(move |reading| newer(reading, range, last)).await else { return };
        self.exchanges = Some(new.first().map_or(last, |exchange| exchange.id.0));
        say_missed(Topic::Exchanges, new.len(), publish);
        for exchange in new.iter().take(MAX_NEW).rev() {
            publish(Topic::Exchanges, push(Topic::Exchanges, &parts.text(now), &exchanges::listed(exchange)));
        }
    }
}

/// The rows of exchanges after this one, the newest first.
fn newer(reading: &Reading, range: Range, last: i64) -> Result<Vec<Exchange>, StoreError> {
    let mut new = Vec::new();
    while new.len() < MAX_COUNTED {
        let (filter, offset) = (Filter::default(), new.len());
        let page = reading.newest(&PageQuery { range, filter, offset, limit: MAX_PAGE })?;
        let count = page.exchanges.len();
        new.extend(page.exchanges.into_iter().take_while(|exchange| exchange.id.0 > last));
        if new.len() < offset + count || !page.has_more {
            break;
        }
    }
    Ok(new)
}

/// Says how many of the new entries are not pushed.
fn say_missed(topic: Topic, new: usize, publish: &impl Fn(Topic, Push)) {
    if new > MAX_NEW {
        publish(topic, lagged(topic, (new - MAX_NEW) as u64));
    }
}
