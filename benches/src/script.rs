//! The requests and answers of client and backend.
//!
//! The client requests a pace and a number of chunks in a header field, so that the backend needs no configuration and
//! every contestant forwards the same bytes. Each chunk has one mark, a byte that occurs nowhere else, followed by the
//! instant of its writing: the client counts and times chunks without parsing the framing, which a proxy may change.

use std::time::{Duration, Instant};

/// Occurs once in each chunk, and nowhere else in a response.
pub const MARK: u8 = b'~';

/// Digits of nanoseconds after a mark.
pub const STAMP_DIGITS: usize = 16;

/// Ends every streamed answer.
pub const LAST_BYTES: &[u8] = b"\r\n0\r\n\r\n";

/// The header field with the spec of the answer, in lower case.
pub const FIELD: &[u8] = b"x-bench: ";

const STAMP: &str = "~0000000000000000";

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerForm {
    /// One JSON value per line, as Ollama streams.
    Ndjson,
    /// Server-sent events, as `OpenAI` streams.
    Sse,
    /// One JSON value with its length in the head.
    Whole,
}

impl AnswerForm {
    const fn path(self) -> &'static str {
        match self {
            Self::Ndjson => "/api/chat",
            Self::Sse => "/v1/chat/completions",
            Self::Whole => "/api/generate",
        }
    }

    /// The form that a request's first line asks for: whole on every path that does not stream. `None` is a question
    /// about the backend itself.
    #[must_use]
    pub fn of_request(head: &[u8]) -> Option<Self> {
        let path = head.strip_prefix(b"POST ")?;
        let streams = [Self::Ndjson, Self::Sse].into_iter().find(|form| path.starts_with(form.path().as_bytes()));
        Some(streams.unwrap_or(Self::Whole))
    }
}

/// The answer that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerSpec {
    /// Its form.
    pub form: AnswerForm,
    /// Time between two chunks; zero is unpaced. The first chunk is written at once.
    pub pace: Duration,
    /// Chunks before the closing one. `None` is a stream that ends when the client disconnects.
    pub chunks: Option<u64>,
    /// Index into [`models`] of the model that the answer names; it is written at once. `None` is the first model, at
    /// the pace.
    pub model: Option<usize>,
}

impl AnswerSpec {
    /// One whole answer.
    pub const WHOLE: Self = Self::of(AnswerForm::Whole, Duration::ZERO);

    /// An endless stream at a pace, or a whole answer.
    #[must_use]
    pub const fn of(form: AnswerForm, pace: Duration) -> Self {
        Self { form, pace, chunks: None, model: None }
    }

    /// With so many chunks.
    #[must_use]
    pub const fn with_chunks(self, chunks: u64) -> Self {
        Self { chunks: Some(chunks), ..self }
    }

    /// With the name of the model at this index.
    #[must_use]
    pub const fn with_model(self, model: usize) -> Self {
        Self { model: Some(model), ..self }
    }

    /// The request for this answer, head and body.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        let body = match self.form {
            AnswerForm::Whole => format!(r#"{{"model":"bench","prompt":"{PROMPT}","stream":false}}"#),
            AnswerForm::Ndjson | AnswerForm::Sse => {
                format!(r#"{{"model":"bench","messages":[{{"role":"user","content":"{PROMPT}"}}],"stream":true}}"#)
            }
        };
        self.post(self.form.path(), &body)
    }

    /// The request with another path and body.
    #[must_use]
    pub fn post(&self, path: &str, body: &str) -> Vec<u8> {
        // Models are numbered from 1; 0 stands for a request without a model.
        let (pace, chunks) = (self.pace.as_micros(), self.chunks.unwrap_or(0));
        let model = self.model.map_or(0, |model| model + 1);
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nx-bench: {pace} {chunks} {model}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Parses a request's head. `None` is a question about the backend itself.
    #[must_use]
    pub fn parse(head: &[u8]) -> Option<Self> {
        let form = AnswerForm::of_request(head)?;
        let mut numbers = field(head, FIELD)?.split(|byte| *byte == b' ').map(number);
        let (pace, chunks, model) = (numbers.next()??, numbers.next()??, numbers.next()??);
        Some(Self {
            form,
            pace: Duration::from_micros(pace),
            chunks: (chunks > 0).then_some(chunks),
            model: usize::try_from(model).ok()?.checked_sub(1),
        })
    }
}

const PROMPT: &str =
    "Why does a proxy that only looks on cost anything at all? Answer in two or three sentences, please.";

/// The value of a header field. `name` is in lower case and ends in `: `.
#[must_use]
pub fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let value =
            line.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name)).map(|_| &line[name.len()..])?;
        Some(value.strip_suffix(b"\r").unwrap_or(value))
    })
}

/// A number in decimal digits. `None` for anything else.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// The clock of client and backend: nanoseconds since the benchmark started.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).expect("a benchmark is over before 500 years")
    }
}

/// The backend's answers, framed and ready to be written.
#[derive(Debug)]
pub struct Lines {
    head: Vec<u8>,
    chunk: Vec<u8>,
    stamp: usize,
    last: Vec<u8>,
}

impl Lines {
    /// Answers of one form, with the first model's name.
    #[must_use]
    pub fn of(form: AnswerForm) -> Self {
        Self::with_model(form, "bench")
    }

    fn with_model(form: AnswerForm, model: &str) -> Self {
        let (kind, chunk, last) = match form {
            AnswerForm::Ndjson => ("application/x-ndjson", NDJSON.to_owned(), NDJSON_LAST.to_owned()),
            AnswerForm::Sse => {
                ("text/event-stream", format!("data: {SSE}\n\n"), format!("data: {SSE_LAST}\n\ndata: [DONE]\n\n"))
            }
            AnswerForm::Whole => return Self::whole(&WHOLE.replace("bench", model)),
        };
        let [chunk, last] = [chunk, last].map(|text| text.replace("bench", model));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{DATE}Transfer-Encoding: chunked\r\n\r\n");
        let chunk = framed(&chunk.replace('~', STAMP)).into_bytes();
        let stamp = memchr::memchr(MARK, &chunk).expect("every chunk has a mark") + 1;
        Self { head: head.into_bytes(), chunk, stamp, last: (framed(&last) + "0\r\n\r\n").into_bytes() }
    }

    /// A whole answer.
    fn whole(body: &str) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{DATE}Content-Length: {length}\r\n\r\n{body}"
        );
        Self { head: head.into_bytes(), chunk: Vec::new(), stamp: 0, last: Vec::new() }
    }

    /// The answer to a question about the backend itself: its models, as many as can have labels.
    #[must_use]
    pub fn about() -> Self {
        let models: Vec<String> = models().map(|name| format!(r#"{{"name":"{name}","model":"{name}"}}"#)).collect();
        Self::whole(&format!(r#"{{"version":"0.13.1","models":[{}]}}"#, models.join(",")))
    }

    /// A whole answer, or a stream with all of its chunks, that names one of the [`models`].
    #[must_use]
    pub fn at_once(spec: &AnswerSpec, model: usize, nanos: u64) -> Vec<u8> {
        let mut lines = Self::with_model(spec.form, &models().nth(model).unwrap_or_default());
        let mut text = lines.head.clone();
        for _ in 0..spec.chunks.unwrap_or(0) {
            text.extend_from_slice(lines.chunk(nanos));
        }
        text.extend_from_slice(&lines.last);
        text
    }

    /// The response's head; for a whole answer, everything.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// A chunk stamped with this instant.
    pub fn chunk(&mut self, mut nanos: u64) -> &[u8] {
        for digit in self.chunk[self.stamp..self.stamp + STAMP_DIGITS].iter_mut().rev() {
            *digit = b'0' + (nanos % 10) as u8;
            nanos /= 10;
        }
        &self.chunk
    }

    /// The closing chunk and the end of the body.
    #[must_use]
    pub fn last(&self) -> &[u8] {
        &self.last
    }
}

fn framed(chunk: &str) -> String {
    format!("{:x}\r\n{chunk}\r\n", chunk.len())
}

const DATE: &str = "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

const NDJSON: &str = "{\"model\":\"bench\",\"created_at\":\"2026-01-01T00:00:00.123456789Z\",\
    \"message\":{\"role\":\"assistant\",\"content\":\" ~\"},\"done\":false}\n";

const NDJSON_LAST: &str = "{\"model\":\"bench\",\"created_at\":\"2026-01-01T00:00:09.123456789Z\",\
    \"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\
    \"total_duration\":9123456789,\"load_duration\":1234567,\"prompt_eval_count\":26,\"prompt_eval_duration\":123456789,\
    \"eval_count\":298,\"eval_duration\":8123456789}\n";

const SSE: &str = "{\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"bench\",\
    \"system_fingerprint\":\"fp_ollama\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\" ~\"},\
    \"finish_reason\":null}]}";

const SSE_LAST: &str = "{\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1767225609,\
    \"model\":\"bench\",\"system_fingerprint\":\"fp_ollama\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\
    \"content\":\"\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":298,\
    \"total_tokens\":324}}";

const WHOLE: &str = "{\"model\":\"bench\",\"created_at\":\"2026-01-01T00:00:00.123456789Z\",\"response\":\"Looking on means \
    that every byte is copied into the process and out of it again, and each copy is a call to the system. Counting adds \
    to that what the reading of each line costs, and good counting adds little.\",\"done\":true,\"done_reason\":\"stop\",\
    \"context\":[1,2,3,4,5,6,7,8],\"total_duration\":5043500667,\"load_duration\":5025959,\"prompt_eval_count\":26,\
    \"prompt_eval_duration\":325953000,\"eval_count\":290,\"eval_duration\":4709213000}";

/// The backend's models.
pub fn models() -> impl Iterator<Item = String> {
    let others =
        (1..inferometer::backend::catalogue::DEFAULT_MAX_MODELS).map(|model| format!("bench-{model:03}:latest"));
    std::iter::once("bench:latest".to_owned()).chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_parsed_from_its_request() {
        for form in [AnswerForm::Ndjson, AnswerForm::Sse] {
            let spec = AnswerSpec::of(form, Duration::from_millis(20)).with_chunks(7);
            assert_eq!(AnswerSpec::parse(&spec.request()), Some(spec));
            assert_eq!(AnswerSpec::parse(&spec.with_model(3).request()), Some(spec.with_model(3)));
        }
        assert_eq!(AnswerSpec::parse(&AnswerSpec::WHOLE.request()), Some(AnswerSpec::WHOLE));
        assert_eq!(AnswerSpec::parse(b"GET /api/tags HTTP/1.1\r\n\r\n"), None);
    }

    #[test]
    fn each_chunk_has_one_mark_and_its_instant_and_the_rest_has_none() {
        for form in [AnswerForm::Ndjson, AnswerForm::Sse] {
            let mut lines = Lines::of(form);
            let chunk = lines.chunk(1_234_567).to_vec();
            let marks: Vec<usize> = memchr::memchr_iter(MARK, &chunk).collect();
            assert_eq!(marks.len(), 1);
            assert_eq!(number(&chunk[marks[0] + 1..][..STAMP_DIGITS]), Some(1_234_567));
            assert!(!lines.head().contains(&MARK) && !lines.last().contains(&MARK));
            assert!(lines.last().ends_with(LAST_BYTES));
        }
    }
}
