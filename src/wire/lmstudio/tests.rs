//! What the answers of LM Studio's own APIs mean. Written from its documentation, not recorded.

use std::time::Duration;

use crate::wire::event::{Event, Timings, Tokens};
use crate::wire::testing::{ReaderOutput, read_every_split};

fn stream(events: &[&str]) -> ReaderOutput {
    let name = |event: &str| event.split('"').nth(3).unwrap_or_default().to_owned();
    let body: String = events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event))).collect();
    read_every_split("/api/v1/chat", "text/event-stream", body)
}

const END: &str = r#"{"type":"chat.end","result":{"model_instance_id":"m","output":[{"type":"message","content":"whole"}],"stats":{"input_tokens":329,"total_output_tokens":268,"reasoning_output_tokens":5,"tokens_per_second":43.7,"time_to_first_token_seconds":0.78,"model_load_time_seconds":2.5},"response_id":"resp_1"}}"#;

#[test]
fn deltas_are_token_bearing_and_the_end_has_the_counts() {
    let output = stream(&[
        r#"{"type":"chat.start","model_instance_id":"m"}"#,
        r#"{"type":"model_load.progress","model_instance_id":"m","progress":0.5}"#,
        r#"{"type":"prompt_processing.progress","progress":0.5}"#,
        r#"{"type":"reasoning.delta","content":"x"}"#,
        r#"{"type":"tool_call.arguments","tool":"f","arguments":{"a":1}}"#,
        r#"{"type":"message.delta","content":"x"}"#,
        r#"{"type":"message.delta","content":""}"#,
        END,
    ]);
    let told: Vec<_> = output
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Tokens(Tokens { answer, thinking, .. }) => Some((*answer, *thinking)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(false, true), (true, false), (true, false)]);
    let usage = output.usage().expect("reported");
    assert_eq!((usage.last, usage.prompt, usage.generated, usage.reasoning), (true, Some(329), Some(268), Some(5)));
    assert!(output.has(Event::Timings(Timings { load: Some(Duration::from_millis(2500)), ..Timings::default() })));
    assert_eq!((output.events.first(), output.events.last()), (Some(&Event::Model("m")), Some(&Event::Terminal)));
}

#[test]
fn an_end_after_an_error_completes_nothing() {
    let output = stream(&[r#"{"type":"error","error":{"type":"internal_error","message":"x"}}"#, END]);
    assert!(output.has(Event::Error) && !output.has(Event::Terminal) && output.usage().is_some());
}

#[test]
fn a_stream_without_its_end_is_cut() {
    assert!(stream(&[r#"{"type":"message.delta","content":"x"}"#]).is_cut());
}

#[test]
fn a_whole_answer_counts() {
    let body = r#"{"model_instance_id":"m","output":[{"type":"message","content":"x"}],"stats":{"input_tokens":3,"total_output_tokens":2}}"#;
    let output = read_every_split("/api/v1/chat", "application/json", body);
    assert_eq!(output.usage().map(|usage| (usage.prompt, usage.generated)), Some((Some(3), Some(2))));
    assert_eq!((output.tokens(), output.events.last()), (0, Some(&Event::Terminal)));
}

#[test]
fn the_older_api_is_the_other_one_with_stats() {
    let body = r#"{"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"content":"x"}}],"usage":{"prompt_tokens":24,"completion_tokens":53,"total_tokens":77},"stats":{"tokens_per_second":51.4,"time_to_first_token":0.111,"generation_time":0.954,"stop_reason":"eosFound"}}"#;
    let output = read_every_split("/api/v0/chat/completions", "application/json", body);
    assert!(output.has(Event::Timings(Timings { decode: Some(Duration::from_millis(954)), ..Timings::default() })));
    assert_eq!(output.usage().and_then(|usage| usage.generated), Some(53));
}

#[test]
fn a_tools_call_begins_with_its_name() {
    let output = stream(&[
        r#"{"type":"tool_call.start","tool":"f","provider_info":{"type":"plugin"}}"#,
        r#"{"type":"tool_call.arguments","tool":"f","arguments":{"a":1}}"#,
        r#"{"type":"tool_call.arguments","tool":"f","arguments":{}}"#,
        r#"{"type":"tool_call.success","tool":"f","arguments":{"a":1},"output":"x"}"#,
    ]);
    assert_eq!(output.tokens(), 2);
}
