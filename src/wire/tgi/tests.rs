//! What TGI's own answers mean. Written from the protocol, not recorded.

use std::time::Duration;

use crate::wire::budget::DecodeBudget;
use crate::wire::event::{Event, FinishReason, Timings, Tokens};
use crate::wire::reader::{Head, Reader, Reported};
use crate::wire::route::Route;
use crate::wire::testing::{ReaderOutput, read_every_split};

/// TGI writes no space behind the colon.
fn stream(events: &[&str]) -> ReaderOutput {
    let body: String = events.iter().map(|event| format!("data:{event}\n\n")).collect();
    read_every_split("/generate_stream", "text/event-stream", body)
}

fn token(index: u64, text: &str, special: bool) -> String {
    format!(
        r#"{{"index":{index},"token":{{"id":7,"text":"{text}","logprob":-0.5,"special":{special}}},"generated_text":null,"details":null}}"#
    )
}

#[test]
fn each_event_is_one_token_and_special_ones_have_no_text() {
    let last = token(4, "</s>", true).replace(r#""generated_text":null"#, r#""generated_text":"abc""#).replace(
        r#""details":null"#,
        r#""details":{"finish_reason":"eos_token","generated_tokens":4,"seed":null,"input_length":9}"#,
    );
    let output = stream(&[&token(1, "a", false), &token(2, "<x>", true), &token(3, "b", false), &last]);
    let tokens = |listed| Event::Tokens(Tokens { answer: true, thinking: false, listed: Some(listed), choice: 0 });
    assert_eq!((output.tokens(), output.has(tokens(1)), output.has(tokens(2))), (2, true, true));
    let usage = output.usage().expect("reported");
    assert_eq!((usage.last, usage.prompt, usage.generated), (true, Some(9), Some(4)));
    assert!(output.has(Event::Finish(FinishReason::EosToken)) && output.has(Event::Terminal));
}

#[test]
fn without_details_the_number_of_the_last_event_counts() {
    let last = token(2, "b", false).replace(r#""generated_text":null"#, r#""generated_text":"""#);
    let usage = stream(&[&token(1, "a", false), &last]).usage().expect("numbered");
    assert_eq!((usage.last, usage.prompt, usage.generated), (true, None, Some(2)));
    let left = stream(&[&token(1, "a", false)]);
    assert_eq!(left.usage().map(|usage| (usage.last, usage.generated)), Some((false, Some(1))));
    assert!(left.is_cut());
}

#[test]
fn an_error_fails_the_answer() {
    let output = stream(&[&token(1, "a", false), r#"{"error":"Request failed","error_type":"generation"}"#]);
    assert!(output.has(Event::Error) && !output.has(Event::Terminal));
}

#[test]
fn the_head_of_a_whole_answer_counts_where_the_body_does_not() {
    let fields = [
        ("x-compute-type", "gpu+optimized"),
        ("x-prompt-tokens", "9"),
        ("x-generated-tokens", "4"),
        ("x-total-time", "120"),
        ("x-validation-time", "1"),
        ("x-queue-time", "7"),
        ("x-inference-time", "112"),
        ("x-time-per-token", "28"),
    ];
    let read = |path: &str, body: &str| {
        let route = Route::of("POST", path);
        let value = |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_bytes());
        let reported = Reported::parse(route, value);
        let head = Head { status: 200, content_type: Some(b"application/json"), content_encoding: None, reported };
        let (mut reader, mut usage, mut timings) = (Reader::new(route, &head, &DecodeBudget::unlimited()), None, None);
        reader.read(body.as_bytes(), &mut |event, _| match event {
            Event::Usage(told) => usage = Some((told.last, told.prompt, told.generated)),
            Event::Timings(told) => timings = Some(told),
            _ => {}
        });
        (usage, timings)
    };
    let millis = |millis| Some(Duration::from_millis(millis));
    let timings = Some(Timings { total: millis(120), decode: millis(112), ..Timings::default() });
    for (path, body) in [("/", r#"[{"generated_text":"abc"}]"#), ("/generate", r#"{"generated_text":"abc"}"#)] {
        let (usage, told) = read(path, body);
        assert_eq!((usage, told), (Some((true, Some(9), Some(4))), timings), "{path}");
    }
    let details =
        r#"{"generated_text":"abc","details":{"finish_reason":"length","generated_tokens":5,"input_length":8}}"#;
    assert_eq!(read("/generate", details).0, Some((true, Some(8), Some(5))));
    let chat = r#"{"choices":[{"index":0,"message":{"content":"abc"},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":5}}"#;
    assert_eq!(read("/v1/chat/completions", chat), (Some((true, Some(8), Some(5))), timings), "its OpenAI routes too");
    assert_eq!(read("/api/chat", "{}"), (None, None), "no other server has such fields");
}

#[test]
fn absurd_fields_are_unknown() {
    let route = Route::of("POST", "/generate");
    for value in ["", "-1", "1.5", "x", "99999999999999999999", "\u{e9}"] {
        assert_eq!(Reported::parse(route, |_| Some(value.as_bytes())), Reported::default(), "{value}");
    }
    let zeros = Reported::parse(route, |_| Some(b"0"));
    assert_eq!((zeros.total, zeros.inference), (None, None), "zero is not known");
    let unmarked = |name: &str| (name != "x-compute-type").then_some(&b"9"[..]);
    assert_eq!(Reported::parse(Route::of("POST", "/v1/chat/completions"), unmarked), Reported::default(), "not TGI");
}
