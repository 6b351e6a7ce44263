//! Where elements begin and end, whatever the head says and however the bytes are split.

use crate::wire::event::{Defect, Event};
use crate::wire::reader::Framing;
use crate::wire::testing::{read_every_split, read_pieces};

const CHAT: &str = "/api/chat";
const V1: &str = "/v1/chat/completions";
const NDJSON: &str = "application/x-ndjson";
const SSE: &str = "text/event-stream";
const JSON: &str = "application/json; charset=utf-8";

const TOKEN: &str = r#"{"model":"m","message":{"content":"a"},"done":false}"#;
const END: &str = r#"{"model":"m","message":{"content":""},"done":true,"done_reason":"stop"}"#;
const DELTA: &str = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn an_element_is_emitted_with_the_offset_past_its_newline() {
    let output = read_every_split(CHAT, NDJSON, format!("{TOKEN}\n{END}\n"));
    let first = TOKEN.len() as u64 + 1;
    assert_eq!(&output.offsets[..2], &[first, first]);
    assert_eq!(output.offsets.last(), Some(&(first + END.len() as u64 + 1)));
    assert!(output.has(Event::Terminal));
}

#[test]
fn blank_lines_crlf_and_a_byte_order_mark_change_nothing() {
    let output = read_every_split(CHAT, NDJSON, format!("\u{feff}\r\n\n {TOKEN} \r\n\r\n{TOKEN}\r\n{END}\r\n\n"));
    assert_eq!((output.tokens(), output.defects.len()), (2, 0));
    assert!(output.has(Event::Terminal));
}

#[test]
fn several_values_on_a_line_are_several_elements() {
    let output = read_every_split(CHAT, NDJSON, format!("{TOKEN}{TOKEN} {TOKEN}\n{END}\n"));
    assert_eq!((output.tokens(), output.defects.len()), (3, 0));
    assert_eq!(output.offsets[0], TOKEN.len() as u64, "one ends where the next begins");
}

#[test]
fn a_last_line_without_its_newline_counts_if_it_is_whole() {
    assert!(read_every_split(CHAT, NDJSON, format!("{TOKEN}\n{END}")).has(Event::Terminal));
    let cut = read_every_split(CHAT, NDJSON, format!("{TOKEN}\n{}", &END[..END.len() - 1]));
    assert!(cut.is_cut());
    assert_eq!(cut.defects, [], "an element that was left is no defect");
}

#[test]
fn junk_is_a_defect_and_the_next_line_is_read() {
    for junk in ["<html>", "{\"model\":\"x\",", "{\"a\":tru}x", "{\"message\":{\"content\":\"b", "[[", "nope", "}"] {
        let output = read_every_split(CHAT, NDJSON, format!("{junk}\n{TOKEN}\n{END}\n"));
        assert_eq!(output.defects.iter().filter(|(kind, _)| *kind == Defect::Json).count(), 1, "{junk}");
        assert_eq!(output.tokens(), 1, "{junk}");
        assert!(output.has(Event::Terminal), "{junk}");
    }
}

#[test]
fn an_unreadable_last_element_does_not_count_as_cut() {
    assert!(read_every_split(CHAT, NDJSON, format!("{TOKEN}\n")).is_cut());
    assert!(!read_every_split(CHAT, NDJSON, format!("{TOKEN}\njunk\n")).is_cut());
    assert!(read_every_split(CHAT, NDJSON, "").is_cut());
}

#[test]
fn events_end_in_any_line_end() {
    for line_end in ["\n", "\r\n", "\r"] {
        let body = format!("data: {DELTA}\n\ndata: {STOP}\n\ndata: [DONE]\n\n").replace('\n', line_end);
        let output = read_every_split(V1, SSE, &body);
        assert_eq!((output.tokens(), output.defects.len(), output.framing), (1, 0, Framing::Sse), "{line_end:?}");
        assert!(output.has(Event::Terminal), "{line_end:?}");
        let end = "data: ".len() + DELTA.len() + line_end.len() + 1;
        assert_eq!(output.offsets[0], end as u64, "past the blank line, or past its CR");
    }
}

#[test]
fn lines_other_than_data_are_ignored() {
    let fields =
        ":\n\n: ping\n\nevent: ping\n\nid: 7\nretry: 10\n\ndatabase: x\ndat\nfoo\n:x\n\nevent: ping\ndata: {}\n\n\n\n";
    let output =
        read_every_split(V1, SSE, format!("{fields}data:{DELTA}\n\n{fields}data: {STOP}\nid: 1\n\ndata: [DONE]\n\n"));
    assert_eq!((output.tokens(), output.defects.len()), (1, 0));
    assert!(output.has(Event::Terminal));
}

#[test]
fn several_data_lines_are_one_value() {
    let (head, tail) = DELTA.split_at(DELTA.find(":[").expect("there") + 1);
    let output = read_every_split(V1, SSE, format!("data: {head}\ndata:\ndata\n: x\ndata: {tail}\n\n"));
    assert_eq!((output.tokens(), output.defects.len()), (1, 0));
}

#[test]
fn an_unterminated_event_counts_if_it_is_whole() {
    for tail in ["", "\n", "\r", " "] {
        let output = read_every_split(V1, SSE, format!("data: {STOP}\n\ndata: [DONE]{tail}"));
        assert!(output.has(Event::Terminal), "{tail:?}");
        assert_eq!(read_every_split(V1, SSE, format!("data: {DELTA}{tail}")).tokens(), 1, "{tail:?}");
    }
    let cut = read_every_split(V1, SSE, format!("data: {DELTA}\n\ndata: {}", &STOP[..STOP.len() - 1]));
    assert!(cut.is_cut());
    assert_eq!(cut.defects, []);
}

#[test]
fn junk_in_an_event_ends_with_the_event() {
    for junk in
        ["data: <html>", "data: {\"choices\":[{\"delta\":{\"content\":\"x", "data: [DO", "data: [DONE]x", "data: {}{}"]
    {
        let output = read_every_split(V1, SSE, format!("{junk}\n\ndata: {DELTA}\n\n"));
        assert_eq!(output.tokens(), 1, "{junk}");
        assert!(!output.defects.is_empty() && !output.has(Event::Terminal), "{junk}");
    }
}

#[test]
fn an_event_named_error_is_an_error() {
    for data in ["{\"message\":\"no\"}", "plain words"] {
        assert!(read_every_split(V1, SSE, format!("event: error\ndata: {data}\n\n")).has(Event::Error), "{data}");
    }
    for name in ["errors", "erro", "err or", ""] {
        assert!(!read_every_split(V1, SSE, format!("event: {name}\ndata: {{}}\n\n")).has(Event::Error), "{name}");
    }
    assert!(
        !read_every_split(V1, SSE, "event: error\n\ndata: {}\n\n").has(Event::Error),
        "the name is that of one event"
    );
}

#[test]
fn the_first_byte_corrects_a_wrong_head() {
    let lines = format!("{TOKEN}\n{TOKEN}\n{END}\n");
    for media in [JSON, "", "text/plain", "application/octet-stream", NDJSON, SSE] {
        let output = read_every_split(CHAT, media, &lines);
        assert_eq!((output.framing, output.tokens()), (Framing::Ndjson, 2), "lines as {media}");
        assert!(output.has(Event::Terminal));
    }
    for media in [JSON, "", "text/plain; charset=utf-8", NDJSON, SSE] {
        for opening in ["", ": x\n\n", "event: x\n", "\u{feff}", "\r\n"] {
            let output = read_every_split(V1, media, format!("{opening}data: {DELTA}\n\n"));
            assert_eq!((output.framing, output.tokens()), (Framing::Sse, 1), "events as {media} after {opening:?}");
        }
    }
}

#[test]
fn one_value_is_whole_unless_it_can_only_be_part_of_a_stream() {
    let whole = r#"{"model":"m","message":{"content":"all of it"},"done":true,"done_reason":"stop"}"#;
    for media in [JSON, "text/plain", ""] {
        let output = read_every_split(CHAT, media, format!("{whole}\n"));
        assert_eq!((output.framing, output.tokens()), (Framing::Json, 0), "{media}");
        assert_eq!(output.offsets.last(), Some(&(whole.len() as u64)), "emitted at its brace");
        assert!(output.has(Event::Terminal));
    }
    let part = read_every_split(CHAT, JSON, format!("{TOKEN}\n"));
    assert_eq!((part.framing, part.tokens()), (Framing::Ndjson, 1));
    assert!(part.is_cut());
    let pretty = whole.replace(',', ",\n  ").replace('{', "{\n");
    assert!(read_every_split(CHAT, JSON, pretty).has(Event::Terminal), "line ends inside are space");
}

#[test]
fn a_whole_value_that_breaks_off_is_cut() {
    assert!(read_every_split(CHAT, JSON, &END[..20]).is_cut());
    assert!(!read_every_split(CHAT, JSON, "").is_cut());
    assert!(!read_every_split(CHAT, JSON, "<html>").is_cut(), "not understood");
}

#[test]
fn a_body_that_is_neither_is_opaque_and_a_defect() {
    let output = read_every_split(CHAT, "text/html", "<html>{}</html>");
    assert_eq!(
        (output.framing, output.defects.as_slice(), output.is_cut()),
        (Framing::Opaque, &[(Defect::Json, 1)][..], false)
    );
}

#[test]
fn a_line_of_any_length_is_read_in_constant_memory() {
    let mut pieces = vec![br#"{"model":"m","response":"x","context":["#.to_vec()];
    pieces.extend((0..1024).map(|_| b"123456,".repeat(9362)));
    pieces.push(br#"1],"thinking":""#.to_vec());
    pieces.extend((0..64).map(|_| vec![b'z'; 65_536]));
    pieces.push(b"\",\"eval_count\":7,\"done\":true}\n".to_vec());
    let output = read_pieces("/api/generate", NDJSON, pieces.iter().map(Vec::as_slice));
    assert_eq!((output.usage().and_then(|usage| usage.generated), output.tokens()), (Some(7), 1));
    assert_eq!(output.offsets.last(), Some(&(pieces.iter().map(|piece| piece.len() as u64).sum())));
    assert!(size_of::<crate::wire::reader::Reader>() < 4096, "all there is");
}

#[test]
fn invalid_utf8_in_content_changes_nothing() {
    let mut body = TOKEN.replace("\"a\"", "\"\u{1}\"").into_bytes();
    body.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 0xff);
    body.push(b'\n');
    assert_eq!(read_every_split(CHAT, NDJSON, body).tokens(), 1);
}
