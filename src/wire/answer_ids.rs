//! Reads the ids that a server gives to its answers, by which later requests name them.
//!
//! Sources: openai-python `types` (`id` of responses, chat completions, files, batches and conversations), SGLang
//! `meta_info.id`, LM Studio's REST documentation (`response_id`, `job_id`). In a stream each element repeats the id, so
//! only the first few are read; LM Studio says it in the last.

use std::rc::Rc;

use super::budget::DecodeBudget;
use super::coding::{Coding, Side};
use super::dialect::{DialectParser, Element};
use super::event::Event;
use super::framing::Stream;
use super::head::declared;
use super::json::{Object, Value, Visit, Want};
use super::reader::Head;
use super::route::{BodyFormat, Route};

/// Elements of a stream without an id after which none is expected.
const MAX_ELEMENTS: u32 = 4;

/// Most ids that are kept until they are taken: those of the answers to one list of prompts.
const MAX_IDS: usize = 256;

/// Scans the body of one answer.
#[derive(Debug)]
pub struct AnswerIds {
    stream: Box<Stream<Ids>>,
    coding: Coding,
}

#[derive(Debug)]
struct Ids {
    found: Vec<Box<[u8]>>,
    /// One was found, and may have been taken already.
    has_found: bool,
    /// An element with an id has ended.
    is_over: bool,
    /// Elements that may still have one.
    left: u32,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Id,
    /// The end of one of several answers.
    Each,
}

static OBJECT: Object<Field> = Object::new(&[
    ("id", ID),
    ("response_id", ID),
    ("job_id", ID),
    ("response", Want::Object(&RESPONSE)),
    ("meta_info", Want::Object(&RESPONSE)),
    ("result", Want::Object(&RESULT)),
]);
static RESPONSE: Object<Field> = Object::new(&[("id", ID)]);
static RESULT: Object<Field> = Object::new(&[("response_id", ID)]);
static ONE_OF_MANY: Want<Field> = Want::Object(&OBJECT);
const ID: Want<Field> = Want::Text(Field::Id);

impl AnswerIds {
    /// For the answer with this head; `None` where it has no id that a later request could name.
    #[must_use]
    pub fn of(route: Route, head: &Head<'_>, budget: &Rc<DecodeBudget>) -> Option<Self> {
        if !route.gives_id() || !(200..300).contains(&head.status) {
            return None;
        }
        let left = if route.format == BodyFormat::LmStudio { u32::MAX } else { MAX_ELEMENTS };
        let ids = Ids { found: Vec::new(), has_found: false, is_over: false, left };
        let coding = Coding::parse(head.content_encoding, Side::Response, budget);
        Some(Self { stream: Stream::new(ids, declared(head.content_type)), coding })
    }

    /// Reads the next piece, and passes each id to `found`. Returns whether there may be more.
    pub fn read(&mut self, piece: &[u8], found: &mut impl FnMut(&[u8])) -> bool {
        let Self { stream, coding } = self;
        match coding {
            Coding::Plain => stream.read(piece, &mut |_, _| {}),
            Coding::Coded(decoder) => {
                if decoder.decode(piece, &mut |bytes| stream.read(bytes, &mut |_, _| {})).is_err() {
                    *coding = Coding::Unknown;
                }
            }
            Coding::Unknown => {}
        }
        let ids = stream.dialect_mut();
        ids.found.drain(..).for_each(|id| found(&id));
        !ids.is_over && ids.left > 0 && !matches!(self.coding, Coding::Unknown)
    }
}

impl Visit<Field> for Ids {
    fn value(&mut self, field: Field, value: Value<'_>) {
        if let (Field::Id, Value::Text(id)) = (field, value)
            && !id.is_empty()
            && self.found.len() < MAX_IDS
        {
            self.found.push(id.into());
            self.has_found = true;
        }
    }
}

impl DialectParser for Ids {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;
    const MANY: Option<(Field, &'static Want<Field>)> = Some((Field::Each, &ONE_OF_MANY));

    fn element(&mut self, _element: Element, _emit: &mut impl FnMut(Event<'_>)) {
        self.is_over |= self.has_found;
        self.left = self.left.saturating_sub(1);
    }

    fn discard(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    fn done_marker(&mut self, _emit: &mut impl FnMut(Event<'_>)) {
        self.is_over = true;
    }

    fn is_part(&self) -> bool {
        false
    }

    fn is_open(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::reader::Reported;

    /// The ids of a body that comes in pieces of this size, and whether more was expected at its end.
    fn ids(path: &str, content_type: &str, body: &str, size: usize) -> (Vec<String>, bool) {
        let head = Head {
            status: 200,
            content_type: Some(content_type.as_bytes()),
            content_encoding: None,
            reported: Reported::default(),
        };
        let mut scanner = AnswerIds::of(Route::of("POST", path), &head, &DecodeBudget::unlimited()).expect("ids");
        let (mut all, mut expects) = (Vec::new(), true);
        for piece in body.as_bytes().chunks(size) {
            if expects {
                expects = scanner.read(piece, &mut |id| all.push(String::from_utf8_lossy(id).into_owned()));
            }
        }
        (all, expects)
    }

    #[test]
    fn the_id_of_an_answer_is_found_wherever_servers_put_it() {
        let sse = "text/event-stream";
        for (path, content_type, body, expected) in [
            ("/v1/responses", "application/json", r#"{"output":[{"id":"msg_1"}],"id":"resp_1"}"#, "resp_1"),
            (
                "/v1/responses",
                sse,
                "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_2\"}}\n\n",
                "resp_2",
            ),
            ("/v1/chat/completions", "application/json", r#"{"choices":[{"id":"x"}],"id":"chatcmpl-3"}"#, "chatcmpl-3"),
            ("/v1/chat/completions", sse, ": hello\n\ndata: {\"id\":\"chatcmpl-4\",\"choices\":[]}\n\n", "chatcmpl-4"),
            ("/generate", "application/json", r#"{"text":"x","meta_info":{"id":"rid-5"}}"#, "rid-5"),
            ("/generate", sse, "data: {\"text\":\"x\",\"meta_info\":{\"id\":\"rid-6\"}}\n\n", "rid-6"),
            ("/api/v1/chat", "application/json", r#"{"output":[],"response_id":"resp_7"}"#, "resp_7"),
            ("/api/v1/models/download", "application/json", r#"{"job_id":"job_8"}"#, "job_8"),
            ("/v1/files", "application/json", r#"{"id":"file-9","object":"file"}"#, "file-9"),
            ("/v1/batches", "application/json", r#"{"id":"batch_10"}"#, "batch_10"),
        ] {
            for size in [1, 7, body.len()] {
                let (found, expects) = ids(path, content_type, body, size);
                assert_eq!(found, [expected], "{path} in pieces of {size}");
                assert!(!expects, "{path} in pieces of {size}: nothing more is read");
            }
        }
    }

    #[test]
    fn every_answer_to_a_list_of_prompts_has_an_id() {
        let body = r#"[{"text":"a","meta_info":{"id":"r1"}},{"text":"b","meta_info":{"id":"r2"}}]"#;
        for size in [1, body.len()] {
            assert_eq!(ids("/generate", "application/json", body, size).0, ["r1", "r2"]);
        }
    }

    #[test]
    fn only_the_first_elements_of_a_stream_are_read_but_for_lm_studio() {
        let late = "data: {\"a\":1}\n\n".repeat(10) + "data: {\"id\":\"late\"}\n\n";
        assert_eq!(ids("/v1/chat/completions", "text/event-stream", &late, 5), (vec![], false));
        let late = "event: x\ndata: {\"type\":\"message.delta\"}\n\n".repeat(10)
            + "event: chat.end\ndata: {\"type\":\"chat.end\",\"result\":{\"response_id\":\"resp_9\"}}\n\n";
        assert_eq!(ids("/api/v1/chat", "text/event-stream", &late, 5).0, ["resp_9"]);
    }

    #[test]
    fn what_no_later_request_can_name_is_not_read() {
        let ok = Head { status: 200, content_type: None, content_encoding: None, reported: Reported::default() };
        let of = |path, status| {
            AnswerIds::of(Route::of("POST", path), &Head { status, ..ok }, &DecodeBudget::unlimited()).is_some()
        };
        assert!(of("/v1/responses", 200) && !of("/v1/responses", 404));
        assert!(!of("/api/chat", 200) && !of("/api/tags", 200) && !of("/v1/messages", 200));
    }
}
