//! What llama.cpp's own answers mean, where no recording exists: several prompts, progress, errors, embeddings.

use crate::wire::event::{Event, FinishReason, Tokens};
use crate::wire::testing::{ReaderOutput, read_every_split};

fn stream(events: &[&str]) -> ReaderOutput {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    read_every_split("/completion", "text/event-stream", body)
}

fn chunk(index: u64, text: &str, generated: u64) -> String {
    format!(
        r#"{{"index":{index},"content":"{text}","tokens":[7],"stop":false,"id_slot":0,"tokens_predicted":{generated},"tokens_evaluated":11}}"#
    )
}

fn last(index: u64, generated: u64) -> String {
    format!(
        r#"{{"index":{index},"content":"","tokens":[],"stop":true,"model":"m","tokens_predicted":{generated},"tokens_evaluated":11,"prompt":"\"stop\":false {{","stop_type":"limit","timings":{{"cache_n":0,"prompt_n":11,"prompt_ms":2.5,"predicted_n":{generated},"predicted_ms":10.0,"draft_n":4,"draft_n_accepted":3}}}}"#
    )
}

#[test]
fn an_abandoned_stream_is_counted_so_far() {
    let output = stream(&[&chunk(0, "a", 1), &chunk(0, "", 2), &chunk(0, "b", 3)]);
    let usage = output.usage().expect("running");
    assert_eq!((usage.last, usage.prompt, usage.generated), (false, Some(11), Some(3)));
    let tokens = |listed| Event::Tokens(Tokens { answer: true, thinking: false, listed: Some(listed), choice: 0 });
    assert!(output.has(tokens(1)) && output.has(tokens(2)), "a token without text goes with the next text");
    assert!(output.is_cut());
}

#[test]
fn several_prompts_are_counted_separately_and_added_up() {
    let events = [chunk(0, "a", 1), chunk(1, "x", 1), chunk(1, "y", 2), last(0, 2), chunk(1, "z", 3), last(1, 4)];
    let output = stream(&events.each_ref().map(String::as_str));
    let usage = output.usage().expect("reported");
    assert_eq!((usage.last, usage.prompt, usage.generated, usage.choices), (true, Some(22), Some(6), 2));
    assert_eq!((usage.cached, usage.drafted, usage.draft_accepted), (Some(0), Some(8), Some(6)));
    assert_eq!(output.events.iter().filter(|event| **event == Event::Terminal).count(), 1);
    assert!(stream(&events[..5].iter().map(String::as_str).collect::<Vec<_>>()).is_cut());
}

#[test]
fn an_array_of_whole_answers_is_added_up() {
    let whole = |index, generated| last(index, generated).replace(r#""content":"""#, r#""content":"text""#);
    for path in ["/completion", "/infill"] {
        let output = read_every_split(path, "application/json", format!("[{},{}]", whole(0, 5), whole(1, 6)));
        let usage = output.usage().expect("reported");
        assert_eq!((usage.last, usage.prompt, usage.generated), (true, Some(22), Some(11)), "{path}");
        assert_eq!((output.tokens(), output.defects.len()), (0, 0));
        assert!(output.has(Event::Finish(FinishReason::Limit)) && output.has(Event::Terminal));
    }
}

#[test]
fn progress_of_the_prompt_is_not_token_bearing() {
    let progress = r#"{"index":0,"content":"","tokens":[],"stop":false,"tokens_predicted":0,"tokens_evaluated":11,"prompt_progress":{"total":11,"cache":0,"processed":4,"time_ms":3}}"#;
    assert_eq!(stream(&[progress, ":", progress]).tokens(), 0);
}

#[test]
fn an_error_fails_the_answer() {
    let output = stream(&[&chunk(0, "a", 1), r#"{"error":{"code":500,"message":"x","type":"server_error"}}"#]);
    assert!(output.has(Event::Error) && !output.has(Event::Terminal));
}

#[test]
fn embeddings_are_whole_without_any_count() {
    let output = read_every_split(
        "/embedding",
        "application/json",
        r#"[{"index":0,"embedding":[[0.5,-1e-3]]},{"index":1,"embedding":[[1]]}]"#,
    );
    assert_eq!((output.events, output.defects.len()), (vec![Event::Terminal], 0));
}

#[test]
fn a_replay_is_not_read() {
    let body = format!("data: {}\n\n", last(0, 5));
    assert_eq!(read_every_split("/v1/stream", "text/event-stream", body).events, []);
}

#[test]
fn completions_and_embeddings_in_the_shape_of_openai_are_read_as_such() {
    let chunks = [
        r#"{"choices":[{"text":"x","index":0,"logprobs":null,"finish_reason":null}],"model":"m"}"#,
        r#"{"choices":[{"text":"","index":0,"finish_reason":"stop"}],"model":"m","usage":{"prompt_tokens":4,"completion_tokens":1}}"#,
        "[DONE]",
    ];
    let body: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let output = read_every_split("/completions", "text/event-stream", &body);
    assert_eq!(output, read_every_split("/v1/completions", "text/event-stream", &body));
    assert_eq!((output.tokens(), output.has(Event::Terminal)), (1, true));
    let embedding = r#"{"object":"list","data":[{"embedding":[0.5],"index":0}],"model":"e","usage":{"prompt_tokens":6,"total_tokens":6}}"#;
    let output = read_every_split("/embeddings", "application/json", embedding);
    assert_eq!(output.usage().map(|usage| (usage.last, usage.prompt, usage.generated)), Some((true, Some(6), None)));
}

/// llama.cpp until autumn 2025 put errors into a field of their own.
#[test]
fn a_field_named_error_is_an_error_in_the_stream() {
    let error = "error: {\"code\":500,\"message\":\"x\",\"type\":\"server_error\"}\n\n";
    for (path, first) in [
        ("/completion", chunk(0, "a", 1)),
        ("/v1/chat/completions", r#"{"choices":[{"index":0,"delta":{"content":"x"}}]}"#.to_owned()),
    ] {
        for end in [error, error.trim_end()] {
            let output = read_every_split(path, "text/event-stream", format!("data: {first}\n\n{end}"));
            assert_eq!((output.tokens(), output.events.last()), (1, Some(&Event::Error)), "{path} {end:?}");
            assert!(output.defects.is_empty() && !output.has(Event::Terminal));
        }
    }
    let marked = format!("data: {}\n\n{error}data: [DONE]\n\n", r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#);
    assert!(!read_every_split("/v1/chat/completions", "text/event-stream", marked).has(Event::Terminal));
    for nothing in ["error:\n\n", "error: \n\n", "error\n\n", "errors: x\n\n"] {
        let output =
            read_every_split("/completion", "text/event-stream", format!("data: {}\n\n{nothing}", chunk(0, "a", 1)));
        assert!(!output.has(Event::Error), "{nothing:?}");
    }
}
