//! Errors, the newest first: the failed exchanges of every day together with grave events.

use std::time::Instant;

use hashbrown::HashMap;
use rusqlite::types::Value;

use super::page::condition;
use super::{OpenDay, Reading};
use crate::exchange::outcome::ErrorType;
use crate::history::codes::Coded;
use crate::history::journal::kind::Severity;
use crate::history::query::errors::{ErrorCount, Grade, of_exchange};
use crate::history::query::lists::{List, ListFilter, ListQuery, ListedError, ListedEvent, MAX_LIST};
use crate::history::query::{Exchange, Filter, Range};
use crate::history::store::error::StoreError;

impl Reading {
    /// Errors, the newest first. Their levels are those of [`Grade`].
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn errors(&self, query: &ListQuery) -> Result<List<ListedError>, StoreError> {
        // Both lists from their beginning, so that what is left out is left out of both together.
        let wanted = query.limit.min(MAX_LIST).saturating_add(query.offset);
        let mut found = self.failed_exchanges(query, wanted)?;
        let events = self.grave_events(query, wanted)?;
        found.total += events.total;
        found.entries.extend(events.entries);
        found.entries.sort_by_key(|error| std::cmp::Reverse(error.at));
        found.entries = found.entries.into_iter().skip(query.offset).take(query.limit.min(MAX_LIST)).collect();
        Ok(found)
    }

    fn failed_exchanges(&self, query: &ListQuery, wanted: usize) -> Result<List<ListedError>, StoreError> {
        let mut found = List { entries: Vec::new(), total: 0 };
        let codes = codes(&query.filter);
        let filter = exchanges(&query.filter);
        if codes.is_empty() || query.filter.state.is_some() {
            return Ok(found);
        }
        if let Some(answer) = self.remotely(|remote| remote.failed(query.range, &filter, &codes, wanted)) {
            return answer.map(|(exchanges, total)| List { entries: exchanges.iter().filter_map(of).collect(), total });
        }
        let deadline = self.deadline();
        for day in self.days_of(query.range) {
            let Some(day) = self.day(day, deadline)? else { continue };
            let Some((condition, values)) = self.errors_of(&day, query.range, &filter, &codes) else { continue };
            found.total += day.count(&condition, &values)?;
            let rest = wanted - found.entries.len();
            if rest > 0 && Instant::now() < deadline {
                let newest = format!("{condition} ORDER BY id DESC LIMIT {rest}");
                let exchanges = day.select(&self.names, &newest, &values)?;
                found.entries.extend(exchanges.iter().filter_map(of));
            }
        }
        Ok(found)
    }

    fn errors_of(
        &self,
        day: &OpenDay,
        range: Range,
        filter: &Filter,
        codes: &[String],
    ) -> Option<(String, Vec<Value>)> {
        let (condition, values) = condition(day, &self.names, range, filter)?;
        Some((format!("{condition} AND error IN ({})", codes.join(", ")), values))
    }

    fn grave_events(&self, query: &ListQuery, wanted: usize) -> Result<List<ListedError>, StoreError> {
        let is_wanted = |grade: Grade| query.filter.levels.as_ref().is_none_or(|it| it.contains(&grade.as_str()));
        let grave = Severity::ALL.into_iter().filter(|severity| Grade::of_event(*severity).is_some_and(is_wanted));
        let levels = grave.map(Severity::as_str).collect();
        let filter = ListFilter { levels: Some(levels), ..query.filter.clone() };
        let events = self.events(&ListQuery { range: query.range, filter, offset: 0, limit: wanted })?;
        Ok(List { entries: events.entries.into_iter().filter_map(of_event).collect(), total: events.total })
    }
}

impl Reading {
    /// How many errors of each kind a range has, the failed exchanges and the grave events.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn error_counts(&self, range: Range) -> Result<Vec<ErrorCount>, StoreError> {
        let everything = ListFilter::default();
        let filter = exchanges(&everything);
        let (mut counts, deadline) = (HashMap::new(), self.deadline());
        let remote = self.remotely(|remote| remote.failed_by_error(range, &filter));
        match remote {
            Some(answer) => counts.extend(answer?),
            None => {
                for day in self.days_of(range) {
                    let Some(day) = self.day(day, deadline)? else { continue };
                    let Some((condition, values)) = condition(&day, &self.names, range, &filter) else { continue };
                    for (error, count) in day.count_by_error(&condition, &values)? {
                        *counts.entry(error).or_default() += count;
                    }
                }
            }
        }
        let of_exchanges = counts.into_iter().filter_map(|(code, count)| {
            let error = ErrorType::from_code(code)?;
            Some(ErrorCount { what: error.as_str().into(), grade: of_exchange(error).0, count })
        });
        let mut all: Vec<_> = of_exchanges.collect();
        for severity in Severity::ALL {
            if let Some(grade) = Grade::of_event(severity) {
                let counted = self.count_events(range, severity)?;
                all.extend(counted.into_iter().map(|(what, count)| ErrorCount { what, grade, count }));
            }
        }
        Ok(all)
    }

    /// How many events of a severity there are of each kind. Of more than a list has, the others count as `other`.
    fn count_events(&self, range: Range, severity: Severity) -> Result<HashMap<Box<str>, u64>, StoreError> {
        let filter = ListFilter { levels: Some(vec![severity.as_str()]), ..ListFilter::default() };
        let found = self.events(&ListQuery { range, filter, offset: 0, limit: MAX_LIST })?;
        let mut counts: HashMap<Box<str>, u64> = HashMap::new();
        let others = found.total.saturating_sub(found.entries.len() as u64);
        found.entries.into_iter().for_each(|event| *counts.entry(event.what).or_default() += 1);
        counts.extend((others > 0).then(|| ("other".into(), others)));
        Ok(counts)
    }
}

impl OpenDay {
    /// How many rows a condition selects, by the number of their error.
    fn count_by_error(&self, condition: &str, values: &[Value]) -> Result<Vec<(u8, u64)>, StoreError> {
        let count = format!("SELECT error, count(*) FROM exchanges {condition} AND error IS NOT NULL GROUP BY error");
        let counted = || {
            let mut count = self.connection.prepare(&count)?;
            let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
            count.query_map(rusqlite::params_from_iter(values), pair)?.collect::<Result<Vec<_>, _>>()
        };
        counted().map_err(|error: rusqlite::Error| StoreError::of(&error, &self.path))
    }

    /// How many rows a condition selects.
    fn count(&self, condition: &str, values: &[Value]) -> Result<u64, StoreError> {
        let count = format!("SELECT count(*) FROM exchanges {condition}");
        let counted = self.connection.query_row(&count, rusqlite::params_from_iter(values), |row| row.get::<_, i64>(0));
        counted.map(i64::unsigned_abs).map_err(|error| StoreError::of(&error, &self.path))
    }
}

/// The numbers of the errors that fit.
fn codes(filter: &ListFilter) -> Vec<String> {
    let fits = |error: &ErrorType| {
        let level = of_exchange(*error).0.as_str();
        filter.levels.as_ref().is_none_or(|levels| levels.contains(&level))
            && filter.what.as_deref().is_none_or(|what| what == error.as_str())
            && filter.component.as_deref().is_none_or(|component| component == error.origin().as_str())
    };
    ErrorType::ALL.iter().copied().filter(fits).map(|error| error.code().to_string()).collect()
}

fn exchanges(filter: &ListFilter) -> Filter {
    let shared = |text: &Option<Box<str>>| text.as_deref().map(Into::into);
    Filter {
        backend: shared(&filter.backend),
        model: shared(&filter.resource),
        client: shared(&filter.who),
        failed: true,
        ..Filter::default()
    }
}

fn of(exchange: &Exchange) -> Option<ListedError> {
    let error = exchange.row.error?;
    let (grade, message) = of_exchange(error);
    Some(ListedError {
        at: exchange.id.millis(),
        severity: grade.as_str(),
        what: error.as_str().into(),
        component: error.origin().as_str().into(),
        message: message.into(),
        backend: exchange.backend.clone(),
        resource: exchange.model.clone(),
        who: exchange.tenant.clone().or_else(|| exchange.client.clone()),
        status: Some(exchange.row.status),
        trace: Some(exchange.row.trace),
    })
}

fn of_event(event: ListedEvent) -> Option<ListedError> {
    let severity = Severity::ALL.into_iter().find(|severity| severity.as_str() == &*event.severity)?;
    Some(ListedError {
        at: event.at,
        severity: Grade::of_event(severity)?.as_str(),
        message: event.what.replace('_', " ").into(),
        what: event.what,
        component: event.component,
        backend: event.backend.map(Into::into),
        resource: event.subject.map(Into::into),
        who: event.who.map(Into::into),
        status: None,
        trace: event.trace,
    })
}
