//! What SGLang's own answers mean. Written from the protocol, not recorded.

use std::time::Duration;

use crate::wire::event::{Event, FinishReason, Timings};
use crate::wire::testing::{ReaderOutput, read_every_split};

fn stream(events: &[&str]) -> ReaderOutput {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    read_every_split("/generate", "text/event-stream", body)
}

fn chunk(text: &str, generated: u64, more: &str) -> String {
    format!(
        r#"{{"text":"{text}","meta_info":{{"id":"x","finish_reason":null,"prompt_tokens":5,"weight_version":"default","completion_tokens":{generated},"cached_tokens":2}}{more}}}"#
    )
}

fn last(text: &str, generated: u64, reason: &str) -> String {
    let reason = format!(r#"{{"type":"{reason}","length":8}}"#);
    chunk(text, generated, "")
        .replace("null", &reason)
        .replace(r#""cached_tokens":2"#, r#""cached_tokens":2,"e2e_latency":1.5"#)
}

#[test]
fn text_is_cumulative_and_so_are_counts() {
    let output =
        stream(&[&chunk("a", 1, ""), &chunk("ab", 3, ""), &chunk("ab", 3, ""), &last("abc", 4, "length"), "[DONE]"]);
    let usage = output.usage().expect("reported");
    assert_eq!(output.tokens(), 3, "what did not grow bore nothing");
    assert_eq!((usage.last, usage.prompt, usage.generated, usage.cached), (true, Some(5), Some(4), Some(2)));
    assert!(output.has(Event::Finish(FinishReason::Length)) && output.has(Event::Terminal));
    assert!(output.has(Event::Timings(Timings { total: Some(Duration::from_millis(1500)), ..Timings::default() })));
}

#[test]
fn an_abandoned_stream_is_counted_so_far() {
    let output = stream(&[&chunk("a", 1, ""), &chunk("ab", 2, "")]);
    assert_eq!(output.usage().map(|usage| (usage.last, usage.generated)), Some((false, Some(2))));
    assert!(output.is_cut());
}

#[test]
fn an_error_or_an_abort_before_the_marker_fails_the_answer() {
    for end in [r#"{"error":{"message":"x"}}"#.to_owned(), last("a", 1, "abort")] {
        let output = stream(&[&chunk("a", 1, ""), &end, "[DONE]"]);
        assert!(output.has(Event::Error) && !output.has(Event::Terminal), "{end}");
    }
}

#[test]
fn several_prompts_are_added_up_streamed_and_whole() {
    let index = |chunk: String, index: u64| chunk.replacen('{', &format!(r#"{{"index":{index},"#), 1);
    let events = [
        index(chunk("a", 1, ""), 0),
        index(chunk("x", 1, ""), 1),
        index(last("ab", 2, "stop"), 0),
        index(last("xyz", 3, "stop"), 1),
        "[DONE]".to_owned(),
    ];
    let streamed = stream(&events.each_ref().map(String::as_str));
    let whole = read_every_split(
        "/generate",
        "application/json",
        format!("[{},{}]", last("ab", 2, "stop"), last("xyz", 3, "stop")),
    );
    for output in [streamed, whole] {
        let usage = output.usage().expect("reported");
        assert_eq!((usage.last, usage.prompt, usage.generated, usage.choices), (true, Some(10), Some(5), 2));
        assert_eq!((output.defects.len(), output.events.last()), (0, Some(&Event::Terminal)));
    }
}

/// SGLang started with `--skip-tokenizer-init`.
#[test]
fn token_ids_without_text_are_tokens() {
    let ids = |ids: &str, generated: u64| {
        format!(
            r#"{{"output_ids":{ids},"meta_info":{{"prompt_tokens":5,"completion_tokens":{generated},"finish_reason":null}}}}"#
        )
    };
    let output = stream(&[&ids("[1]", 1), &ids("[1,2,3]", 3), &ids("[1,2,3]", 3), &ids("[]", 4)]);
    let listed = |event: &Event<'_>| if let Event::Tokens(tokens) = event { Some(tokens.listed) } else { None };
    assert_eq!(output.events.iter().filter_map(listed).collect::<Vec<_>>(), [None, Some(2)]);
    assert_eq!(output.usage().and_then(|usage| usage.generated), Some(4));
}

#[test]
fn choices_are_counted_separately() {
    let output =
        stream(&[&chunk("a", 1, r#","index":0"#), &chunk("a", 2, r#","index":1"#), &chunk("ab", 4, r#","index":1"#)]);
    let of =
        |event: &Event<'_>| if let Event::Tokens(tokens) = event { Some((tokens.choice, tokens.listed)) } else { None };
    assert_eq!(output.events.iter().filter_map(of).collect::<Vec<_>>(), [(0, None), (1, None), (1, Some(2))]);
}
