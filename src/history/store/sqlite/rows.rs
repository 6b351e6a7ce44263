//! An exchange as a row of the table, and back. Both go through the columns in one order.

use hashbrown::HashMap;
use rusqlite::types::Value;
use rusqlite::{Row as SqlRow, Statement, ToSql};

use crate::exchange::trace::{ParentSpan, TraceId};
use crate::history::codes::Coded;
use crate::history::conversation::{ConversationId, RowConversation, Salt};
use crate::history::id::RowId;
use crate::history::names::{NameId, Names};
use crate::history::query::Exchange;
use crate::history::row::{Entry, Flags, Row};
use crate::history::units::{Count, Span};

/// The columns that are written, in the order in which they are bound and read.
pub(super) const COLUMNS: &str = "id, weight, trace, parent, backend, model, tenant, client, conversation, \
    messages, endpoint, method, dialect, operation, status, outcome, error, phase, finish, cold, flags, sources, attempts, queue_us, placed_us, dial_us, \
    sent_us, uploaded_us, head_us, ttfb_us, ttft_us, answer_us, duration_us, load_us, prefill_us, decode_us, overhead_us, \
    max_gap_us, tpot_us, tps, stalls, events, prompt_tokens, generated_tokens, cached_tokens, reasoning_tokens, \
    drafted_tokens, accepted_tokens, prompt_chars, request_bytes, response_bytes, progress_bytes, cost_nano, number";

/// The statement that inserts a row. A row that is there already stays as it is.
pub(super) fn insert() -> String {
    let places = vec!["?"; COLUMNS.split(',').count()].join(", ");
    format!("INSERT OR IGNORE INTO exchanges ({COLUMNS}) VALUES ({places})")
}

/// Binds one value after the other.
struct Binder<'a, 'b> {
    statement: &'a mut Statement<'b>,
    at: usize,
    result: rusqlite::Result<()>,
}

impl Binder<'_, '_> {
    fn put(&mut self, value: impl ToSql) {
        self.at += 1;
        if self.result.is_ok() {
            self.result = self.statement.raw_bind_parameter(self.at, value);
        }
    }

    fn span(&mut self, span: Span) {
        self.put(span.micros().map(to_signed));
    }

    fn count(&mut self, count: Count) {
        self.put(count.value().map(to_signed));
    }
}

fn to_signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Inserts an entry. `name` gives the numbers that names have in the file.
pub(super) fn write(
    statement: &mut Statement<'_>,
    entry: &Entry,
    salt: Salt,
    name: impl Fn(NameId) -> Option<i64>,
) -> rusqlite::Result<usize> {
    let Entry { id, weight, row } = entry;
    let mut to = Binder { statement, at: 0, result: Ok(()) };
    to.put(id.0);
    to.put(weight);
    to.put(row.trace.bytes());
    to.put(row.parent.map(|parent| parent.span));
    [row.backend, row.model, row.tenant, row.client].into_iter().for_each(|id| to.put(name(id)));
    to.put(row.conversation.map(|conversation| salt.keep(conversation).0));
    to.count(row.messages);
    to.put(name(row.endpoint));
    to.put(row.method.code());
    to.put(row.dialect.code());
    to.put(row.operation.code());
    to.put(row.status);
    to.put(row.outcome.code());
    to.put(row.error.map(Coded::code));
    to.put(row.phase.code());
    to.put(row.finish.map(Coded::code));
    to.put(row.cold.map(Coded::code));
    to.put(row.flags.0);
    to.put(sources(row));
    to.put(row.attempts);
    let spans = [row.queued, row.placed, row.dialled, row.sent, row.uploaded, row.head, row.first_byte];
    spans.into_iter().for_each(|span| to.span(span));
    let spans = [row.first_token, row.first_answer, row.duration, row.load, row.prefill, row.decode, row.overhead];
    spans.into_iter().for_each(|span| to.span(span));
    to.span(row.largest_gap);
    to.span(row.per_token);
    to.put(Some(row.rate).filter(|rate| rate.is_finite()).map(f64::from));
    let counts = [row.stalls, row.events, row.prompt, row.generated, row.cached, row.reasoning];
    counts.into_iter().for_each(|count| to.count(count));
    [row.drafted, row.accepted, row.prompt_characters].into_iter().for_each(|count| to.count(count));
    to.put(to_signed(row.request_bytes));
    to.put(to_signed(row.response_bytes));
    to.put((row.progress_bytes != u64::MAX).then_some(to_signed(row.progress_bytes)));
    to.put(row.cost());
    to.put(row.number);
    to.result?;
    statement.raw_execute()
}

/// The source of each count, plus one, in four bits each.
fn sources(row: &Row) -> u8 {
    let [prompt, generated] = row.sources.map(|source| source.map_or(0, |source| source.code() + 1));
    prompt | generated << 4
}

/// Reads one value after the other.
struct Reader<'a, 'b> {
    row: &'a SqlRow<'b>,
    at: usize,
    names: &'a HashMap<i64, NameId>,
}

impl Reader<'_, '_> {
    fn value<T: rusqlite::types::FromSql>(&mut self) -> rusqlite::Result<T> {
        self.at += 1;
        self.row.get(self.at - 1)
    }

    fn name(&mut self) -> rusqlite::Result<NameId> {
        let number: Option<i64> = self.value()?;
        Ok(number.and_then(|number| self.names.get(&number)).copied().unwrap_or_default())
    }

    /// A value of a closed set; `None` for one that only a newer release knows.
    fn known<T: Coded>(&mut self) -> rusqlite::Result<Option<T>> {
        let code: Option<u8> = self.value()?;
        Ok(code.and_then(T::from_code))
    }

    fn span(&mut self) -> rusqlite::Result<Span> {
        let micros: Option<i64> = self.value()?;
        Ok(micros.and_then(|micros| u64::try_from(micros).ok()).map_or(Span::UNKNOWN, Span::from_micros))
    }

    fn count(&mut self) -> rusqlite::Result<Count> {
        let count: Option<i64> = self.value()?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).into())
    }

    fn bytes(&mut self) -> rusqlite::Result<u64> {
        let bytes: Option<i64> = self.value()?;
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::MAX))
    }
}

/// Reads an entry from a row of [`COLUMNS`]. `None` where it has a value that only a newer release knows.
pub(super) fn read(row: &SqlRow<'_>, names: &HashMap<i64, NameId>) -> rusqlite::Result<Option<Entry>> {
    let mut from = Reader { row, at: 0, names };
    let (id, weight) = (RowId(from.value()?), from.value()?);
    let (trace, parent): ([u8; 16], Option<[u8; 8]>) = (from.value()?, from.value()?);
    let (backend, model, tenant, client) = (from.name()?, from.name()?, from.name()?, from.name()?);
    let (conversation, messages, endpoint): (Option<[u8; 8]>, _, _) = (from.value()?, from.count()?, from.name()?);
    let (method, dialect, operation, status) = (from.known()?, from.known()?, from.known()?, from.value()?);
    let (outcome, error, phase, finish, cold) =
        (from.known()?, from.known()?, from.known()?, from.known()?, from.known()?);
    let (flags, sources, attempts): (_, u8, _) = (Flags(from.value()?), from.value()?, from.value()?);
    let (Some(method), Some(dialect), Some(operation)) = (method, dialect, operation) else { return Ok(None) };
    let (Some(outcome), Some(phase)) = (outcome, phase) else { return Ok(None) };
    let source = |bits: u8| bits.checked_sub(1).and_then(Coded::from_code);
    let parent = parent.map(|span| ParentSpan { span, sampled: flags.contains(Flags::SAMPLED) });
    let mut row = Row {
        trace: TraceId::from_random(u128::from_be_bytes(trace)),
        number: 0,
        parent,
        backend,
        model,
        tenant,
        client,
        conversation: conversation.map(|kept| RowConversation::Kept(ConversationId(kept))),
        messages,
        endpoint,
        method,
        dialect,
        operation,
        status,
        outcome,
        error,
        phase,
        finish,
        cold,
        flags,
        sources: [source(sources & 15), source(sources >> 4)],
        attempts,
        queued: from.span()?,
        placed: from.span()?,
        dialled: from.span()?,
        sent: from.span()?,
        uploaded: from.span()?,
        head: from.span()?,
        first_byte: from.span()?,
        first_token: from.span()?,
        first_answer: from.span()?,
        duration: from.span()?,
        load: from.span()?,
        prefill: from.span()?,
        decode: from.span()?,
        overhead: from.span()?,
        largest_gap: from.span()?,
        per_token: from.span()?,
        rate: from.value::<Option<f64>>()?.map_or(f32::NAN, |rate| rate as f32),
        stalls: from.count()?,
        events: from.count()?,
        prompt: from.count()?,
        generated: from.count()?,
        cached: from.count()?,
        reasoning: from.count()?,
        drafted: from.count()?,
        accepted: from.count()?,
        prompt_characters: from.count()?,
        request_bytes: from.bytes()?,
        response_bytes: from.bytes()?,
        progress_bytes: from.bytes()?,
        cost: from.value::<Option<i64>>()?.unwrap_or(i64::MIN),
    };
    // A copy of an earlier release has none.
    row.number = from.value::<Option<u32>>()?.unwrap_or(0);
    Ok(Some(Entry { id, weight, row }))
}

/// A value for a statement that is composed.
pub(super) fn integer(value: i64) -> Value {
    Value::Integer(value)
}

/// With its names.
pub(super) fn named(Entry { id, weight, row }: Entry, names: &Names) -> Exchange {
    Exchange {
        id,
        weight,
        backend: names.name(row.backend),
        model: names.name(row.model),
        tenant: names.name(row.tenant),
        client: names.name(row.client),
        endpoint: names.name(row.endpoint),
        row,
    }
}
