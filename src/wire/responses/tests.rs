//! What the events of responses mean. Written from the protocol, not recorded: `OpenAI` itself, vLLM and LM Studio.

use crate::wire::event::{Event, FinishReason, Tokens};
use crate::wire::testing::{ReaderOutput, read_every_split};

fn stream(events: &[&str]) -> ReaderOutput {
    let body: String = events.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect();
    read_every_split("/v1/responses", "text/event-stream", body)
}

#[test]
fn only_deltas_are_token_bearing() {
    let answer = Tokens { answer: true, ..Tokens::default() };
    let thinking = Tokens { thinking: true, ..Tokens::default() };
    let cases = [
        (r#"{"type":"response.output_text.delta","delta":"x","obfuscation":"abc"}"#, Some(answer)),
        (r#"{"delta":"x","logprobs":[],"type":"response.output_text.delta"}"#, Some(answer)),
        (
            r#"{"type":"response.output_text.delta","delta":"x","logprobs":[{},{}]}"#,
            Some(Tokens { listed: Some(2), ..answer }),
        ),
        (r#"{"type":"response.refusal.delta","delta":"x"}"#, Some(answer)),
        (r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#, Some(answer)),
        (r#"{"type":"response.custom_tool_call_input.delta","delta":"x"}"#, Some(answer)),
        (r#"{"type":"response.mcp_call_arguments.delta","delta":"x"}"#, Some(answer)),
        (r#"{"type":"response.code_interpreter_call_code.delta","delta":"x"}"#, Some(answer)),
        (r#"{"type":"response.audio.delta","delta":"eHh4"}"#, Some(answer)),
        (r#"{"type":"response.reasoning_text.delta","delta":"x"}"#, Some(thinking)),
        (r#"{"type":"response.reasoning_summary_text.delta","delta":"x"}"#, Some(thinking)),
        (
            r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f","arguments":""}}"#,
            Some(answer),
        ),
        (r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#, None),
        (r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"f","arguments":"{}"}}"#, None),
        (r#"{"type":"response.output_text.delta","delta":""}"#, None),
        (r#"{"type":"response.output_text.done","text":"whole"}"#, None),
        (r#"{"type":"response.output_item.done","item":{"content":[{"text":"whole"}]}}"#, None),
        (r#"{"type":"response.function_call_arguments.done","arguments":"whole"}"#, None),
    ];
    for (event, tokens) in cases {
        assert_eq!(stream(&[event]).events, tokens.map(Event::Tokens).into_iter().collect::<Vec<_>>(), "{event}");
    }
}

fn ended(kind: &str, more: &str) -> ReaderOutput {
    stream(&[&format!(
        r#"{{"type":"response.{kind}","response":{{"model":"m","status":"{kind}",{more}"usage":{{"input_tokens":9,"input_tokens_details":{{"cached_tokens":4}},"output_tokens":7,"output_tokens_details":{{"reasoning_tokens":3}},"total_tokens":16}}}}}}"#
    )])
}

#[test]
fn the_last_event_has_the_counts_and_the_reason() {
    let output = ended("completed", "");
    let usage = output.usage().expect("stated");
    assert_eq!((usage.last, usage.prompt, usage.generated), (true, Some(9), Some(7)));
    assert_eq!((usage.cached, usage.reasoning), (Some(4), Some(3)));
    assert!(output.has(Event::Finish(FinishReason::Completed)) && output.has(Event::Terminal));
    let cut = ended("incomplete", r#""incomplete_details":{"reason":"max_output_tokens"},"#);
    assert!(cut.has(Event::Finish(FinishReason::Incomplete)) && cut.has(Event::Terminal));
    let filtered = ended("incomplete", r#""incomplete_details":{"reason":"content_filter"},"#);
    assert!(filtered.has(Event::Finish(FinishReason::ContentFilter)) && filtered.has(Event::Terminal));
    let failed = ended("failed", r#""error":{"code":"server_error","message":"x"},"#);
    assert!(failed.has(Event::Finish(FinishReason::Failed)) && failed.has(Event::Error));
    assert!(!failed.has(Event::Terminal) && failed.usage().is_some(), "what it took is known");
    for kind in ["failed", "cancelled"] {
        let bare = stream(&[&format!(r#"{{"type":"response.{kind}","response":{{"model":"m"}}}}"#)]);
        assert!(bare.has(Event::Error) && !bare.has(Event::Terminal), "{kind}");
    }
}

#[test]
fn constant_zeros_are_unknown_and_a_cache_alone_is_believed() {
    let usage = |details: &str| {
        let body = format!(r#"{{"status":"completed","usage":{{"input_tokens":9,"output_tokens":7{details}}}}}"#);
        let usage = read_every_split("/v1/responses", "application/json", body).usage().expect("stated");
        (usage.cached, usage.reasoning)
    };
    let zeros = r#","input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":0}"#;
    assert_eq!(usage(zeros), (None, None), "Ollama");
    assert_eq!(usage(r#","input_tokens_details":{"cached_tokens":0}"#), (Some(0), None), "llama.cpp");
    assert_eq!(usage(&zeros.replacen(":0", ":5", 1)), (Some(5), None));
    assert_eq!(usage(""), (None, None));
}

#[test]
fn a_bare_error_fails_the_answer_and_a_stream_without_its_end_is_cut() {
    let delta = r#"{"type":"response.output_text.delta","delta":"x"}"#;
    let failed = stream(&[delta, r#"{"type":"error","code":"x","message":"x","param":null,"sequence_number":3}"#]);
    assert!(failed.has(Event::Error) && !failed.has(Event::Terminal));
    assert!(stream(&[delta]).is_cut());
    assert!(stream(&[delta, "[DONE]"]).is_cut(), "there is no such marker here");
}

#[test]
fn a_response_that_is_only_begun_has_no_finish_reason() {
    let body = r#"{"object":"response","status":"queued","background":true,"error":null,"model":"m","usage":null}"#;
    let output = read_every_split("/v1/responses", "application/json", body);
    assert_eq!(output.events, [Event::Model("m"), Event::NoTokens, Event::Terminal]);
}
