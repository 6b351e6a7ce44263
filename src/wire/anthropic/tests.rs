//! What Anthropic's events mean, as different servers send them. Written from the protocol, not recorded: Anthropic
//! itself and vLLM.

use crate::wire::budget::DecodeBudget;
use crate::wire::event::{Event, FinishReason, Tokens, Usage};
use crate::wire::reader::{Engine, Head, Reader, Reported};
use crate::wire::route::Route;
use crate::wire::testing::{ReaderOutput, read_every_split};

/// Events named as Anthropic names them: by their type.
fn stream(events: &[&str]) -> ReaderOutput {
    let name = |event: &str| event.split('"').nth(3).unwrap_or_default().to_owned();
    let body: String = events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event))).collect();
    read_every_split("/v1/messages", "text/event-stream; charset=utf-8", body)
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":1,"service_tier":"standard"}}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn delta(delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#)
}

#[test]
fn only_text_thinking_and_tool_data_are_token_bearing() {
    let answer = Some(Tokens { answer: true, ..Tokens::default() });
    let cases = [
        (r#"{"type":"text_delta","text":"x"}"#, answer),
        (r#"{"type":"input_json_delta","partial_json":"{"}"#, answer),
        (r#"{"type":"thinking_delta","thinking":"x"}"#, Some(Tokens { thinking: true, ..Tokens::default() })),
        (r#"{"type":"text_delta","text":""}"#, None),
        (r#"{"type":"input_json_delta","partial_json":""}"#, None),
        (r#"{"type":"signature_delta","signature":"x"}"#, None),
        (r#"{"type":"citations_delta","citation":{"cited_text":"x"}}"#, None),
    ];
    for (said, tokens) in cases {
        let output = stream(&[&delta(said)]);
        assert_eq!(output.events, tokens.map(Event::Tokens).into_iter().collect::<Vec<_>>(), "{said}");
    }
    assert_eq!(stream(&[r#"{"type":"ping"}"#]).events, []);
}

/// As in every dialect, a tool's call begins with its name.
#[test]
fn the_start_of_a_block_is_token_bearing() {
    let answer = Some(Tokens { answer: true, ..Tokens::default() });
    let thinking = Some(Tokens { thinking: true, ..Tokens::default() });
    for (block, tokens) in [
        (r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#, answer),
        (r#"{"type":"server_tool_use","id":"t","name":"web_search","input":{}}"#, answer),
        (r#"{"type":"text","text":"x"}"#, answer),
        (r#"{"type":"text","text":""}"#, None),
        (r#"{"type":"thinking","thinking":"","signature":""}"#, None),
        (r#"{"type":"redacted_thinking","data":"x"}"#, thinking),
        (r#"{"type":"web_search_tool_result","tool_use_id":"t","content":[{"title":"x"}]}"#, None),
    ] {
        let output = stream(&[&format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#)]);
        assert_eq!(output.events, tokens.map(Event::Tokens).into_iter().collect::<Vec<_>>(), "{block}");
    }
}

#[test]
fn the_prompt_is_what_was_new_and_what_was_cached() {
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":15,"output_tokens_details":{"thinking_tokens":4}}}"#;
    let output = stream(&[START, &delta(r#"{"type":"text_delta","text":"x"}"#), end, STOP]);
    let usage = Usage {
        last: true,
        prompt: Some(1125),
        generated: Some(15),
        cached: Some(1000),
        reasoning: Some(4),
        choices: 1,
        ..Usage::default()
    };
    assert_eq!(output.usage(), Some(usage));
    assert!(output.has(Event::Finish(FinishReason::MaxTokens)) && output.has(Event::Terminal));
}

#[test]
fn a_zero_at_the_end_does_not_replace_the_input_of_the_start() {
    let end =
        |usage: &str| format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{{{usage}}}}}"#);
    let prompt = |usage| stream(&[START, &end(usage), STOP]).usage().and_then(|usage| usage.prompt);
    assert_eq!(prompt(r#""input_tokens":0,"output_tokens":9"#), Some(1125), "a default");
    assert_eq!(
        prompt(r#""input_tokens":0,"cache_read_input_tokens":900,"output_tokens":9"#),
        Some(1000),
        "all was cached"
    );
}

#[test]
fn the_prompt_of_an_abandoned_stream_is_known_from_its_start() {
    let output = stream(&[START]);
    let usage = output.usage().expect("stated");
    assert_eq!((usage.last, usage.prompt, usage.generated), (false, Some(1125), None), "one token is a placeholder");
    assert!(output.is_cut());
}

#[test]
fn an_estimate_is_never_counted() {
    // Ollama.
    let start = r#"{"type":"message_start","message":{"id":"msg_3c1ec4a9b55e9336ae71e333","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":6,"output_tokens":0}}}"#;
    assert_eq!(stream(&[start]).usage(), None);
    let end =
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":14,"output_tokens":19}}"#;
    let usage = stream(&[start, end, STOP]).usage().expect("stated");
    assert_eq!((usage.prompt, usage.generated, usage.cached), (Some(14), Some(19), None));
}

#[test]
fn vllm_names_itself_by_its_id_and_is_believed() {
    let start = r#"{"type":"message_start","message":{"id":"chatcmpl-1","content":[],"model":"m","stop_reason":null,"usage":{"input_tokens":9,"output_tokens":0}}}"#;
    assert_eq!(stream(&[start]).usage().and_then(|usage| usage.prompt), Some(9));
}

#[test]
fn an_error_wrapped_or_bare_fails_the_answer() {
    let wrapped = stream(&[START, r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#]);
    assert!(wrapped.has(Event::Error) && !wrapped.has(Event::Terminal));
    // llama.cpp: only the event's name identifies it.
    let bare = read_every_split(
        "/v1/messages",
        "text/event-stream",
        "event: error\ndata: {\"code\":500,\"message\":\"x\",\"type\":\"server_error\"}\n\n",
    );
    assert_eq!(bare.events, [Event::Error]);
    let whole = read_every_split(
        "/v1/messages",
        "application/json",
        r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#,
    );
    assert_eq!(whole.events, [Event::Error]);
}

#[test]
fn a_last_event_without_its_blank_line_counts() {
    let body = format!("event: message_start\ndata: {START}\n\nevent: message_stop\ndata: {STOP}\n");
    assert!(read_every_split("/v1/messages", "text/event-stream", body).has(Event::Terminal));
}

/// Written from the protocol, not recorded: vLLM ends after an error without a word.
#[test]
fn vllm_fails_without_an_end() {
    let start = r#"{"type":"message_start","message":{"id":"chatcmpl-1","content":[],"model":"m","stop_reason":null,"usage":{"input_tokens":9,"output_tokens":0}}}"#;
    let error = r#"{"type":"error","error":{"type":"internal_error","message":"EngineCore"}}"#;
    let output = stream(&[start, &delta(r#"{"type":"text_delta","text":"x"}"#), error]);
    assert_eq!((output.tokens(), output.events.last()), (1, Some(&Event::Error)));
    assert_eq!(output.usage().map(|usage| (usage.last, usage.prompt)), Some((false, Some(9))));
}

/// Reads a stream as that of a server that was recognised.
fn served_by(engine: Engine, events: &[&str]) -> Option<(bool, Option<u64>, Option<u64>)> {
    let head = Head {
        status: 200,
        content_type: Some(b"text/event-stream"),
        content_encoding: None,
        reported: Reported::default(),
    };
    let mut reader = Reader::new(Route::of("POST", "/v1/messages"), &head, &DecodeBudget::unlimited());
    reader.set_engine(engine);
    let mut told = None;
    for event in events {
        reader.read(format!("data: {event}\n\n").as_bytes(), &mut |event, _| {
            if let Event::Usage(usage) = event {
                told = Some((usage.last, usage.prompt, usage.cached));
            }
        });
    }
    told
}

/// SGLang states the whole prompt, and what of it was cached.
#[test]
fn sglangs_cached_tokens_are_a_part_of_the_prompt() {
    let start = r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0}}}"#;
    let end = |cached: u64| {
        format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{{"input_tokens":1125,"output_tokens":15,"cache_read_input_tokens":{cached}}}}}"#
        )
    };
    assert_eq!(served_by(Engine::Sglang, &[start, &end(1000)]), Some((true, Some(1125), Some(1000))));
    assert_eq!(served_by(Engine::Sglang, &[start, &end(0)]), Some((true, Some(1125), None)), "it may not report it");
    assert_eq!(served_by(Engine::Other, &[start, &end(1000)]), Some((true, Some(2125), Some(1000))));
    assert_eq!(served_by(Engine::Unknown, &[start, &end(1000)]), Some((true, Some(2125), Some(1000))));
}

#[test]
fn a_recognised_server_takes_precedence_over_the_form_of_ids() {
    let start = |id: &str| {
        format!(
            r#"{{"type":"message_start","message":{{"id":"{id}","model":"m","usage":{{"input_tokens":9,"output_tokens":0}}}}}}"#
        )
    };
    let stated = Some((false, Some(9), None));
    for (engine, id, expected) in [
        (Engine::Unknown, "msg_1", None),
        (Engine::Unknown, "chatcmpl-1", stated),
        (Engine::Ollama, "msg_1", None),
        (Engine::Ollama, "chatcmpl-1", None),
        (Engine::Other, "msg_1", stated),
        (Engine::Other, "chatcmpl-1", stated),
    ] {
        assert_eq!(served_by(engine, &[&start(id)]), expected, "{engine:?} {id}");
    }
}
