//! The new entries of lists, looked for in the history while somebody listens.

use std::time::Instant;

use super::topic::{Push, Topic, push};
use crate::api::endpoints::{exchanges, logs};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, resolve};
use crate::history::query::lists::{ListFilter, ListQuery};
use crate::history::query::{Filter, MAX_PAGE, PageQuery, Range};

/// Most new entries of a look. What comes faster is in the GET.
const MAX_NEW: usize = MAX_PAGE;

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
        let query = ListQuery { range, filter: ListFilter::default(), offset: 0, limit: MAX_NEW };
        let Maybe::Known(found) = parts.asked(move |reading| reading.log_lines(&query)).await else { return };
        let new: Vec<_> = found.entries.into_iter().filter(|line| line.id > last).collect();
        let last = new.first().map_or(last, |line| line.id);
        // A line is in the file some time after it was logged.
        self.lines = Some((from.max(to - 10_000), last));
        for line in new.into_iter().rev() {
            publish(Topic::Logs, push(Topic::Logs, &parts.text(now), &resolve(&logs::line(line))));
        }
    }

    async fn read_exchanges(&mut self, parts: &Parts, now: Instant, publish: &impl Fn(Topic, Push)) {
        let to = parts.millis(now) + 1;
        let last = *self.exchanges.get_or_insert(crate::history::id::RowId::first_of(to).0);
        let from = crate::history::id::RowId(last).millis().min(to) - 1_000;
        let query =
            PageQuery { range: Range { from, to: to + 1 }, filter: Filter::default(), offset: 0, limit: MAX_NEW };
        let Maybe::Known(page) = parts.asked(move |reading| reading.page(&query)).await else { return };
        let new: Vec<_> = page.exchanges.iter().filter(|exchange| exchange.id.0 > last).collect();
        self.exchanges = Some(new.first().map_or(last, |exchange| exchange.id.0));
        for exchange in new.into_iter().rev() {
            publish(Topic::Exchanges, push(Topic::Exchanges, &parts.text(now), &exchanges::listed(exchange)));
        }
    }
}
