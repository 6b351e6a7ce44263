//! The events of `OpenAI` objects, from any server.

use std::time::Duration;

use crate::wire::event::{Defect, Event, FinishReason, Timings, Tokens, Usage};
use crate::wire::reader::Framing;
use crate::wire::testing::{ReaderOutput, read_every_split, read_pieces};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

fn stream(path: &str, events: &[&str]) -> ReaderOutput {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    read_every_split(path, "text/event-stream", body)
}

fn chat(events: &[&str]) -> ReaderOutput {
    stream(CHAT, events)
}

/// Prompt, generated, and whether it is final.
fn counts(output: &ReaderOutput) -> Option<(Option<u64>, Option<u64>, bool)> {
    output.usage().map(|usage| (usage.prompt, usage.generated, usage.last))
}

const ANSWER: Tokens = Tokens { answer: true, thinking: false, listed: None, choice: 0 };
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn only_text_thinking_and_tools_are_token_bearing() {
    let thinking = Tokens { answer: false, thinking: true, listed: None, choice: 0 };
    let cases = [
        (r#"{"role":"assistant","content":"x"}"#, Some(ANSWER)),
        (r#"{"refusal":"no"}"#, Some(ANSWER)),
        (r#"{"reasoning":"x"}"#, Some(thinking)),
        (r#"{"reasoning_content":"x","content":null}"#, Some(thinking)),
        (r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}"#, Some(ANSWER)),
        (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#, Some(ANSWER)),
        (r#"{"function_call":{"arguments":"{"}}"#, Some(ANSWER)),
        (r#"{"role":"assistant","content":null}"#, None),
        (r#"{"role":"assistant","content":"","refusal":null}"#, None),
        (r#"{"tool_calls":[{"index":0,"function":{"arguments":""}}]}"#, None),
        (r#"{"tool_calls":[],"function_call":null}"#, None),
        ("{}", None),
        ("null", None),
    ];
    for (delta, tokens) in cases {
        let output = chat(&[&format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)]);
        assert_eq!(output.events, tokens.map(Event::Tokens).into_iter().collect::<Vec<_>>(), "{delta}");
    }
    assert_eq!(stream(COMPLETIONS, &[r#"{"choices":[{"text":"x","index":0}]}"#]).tokens(), 1);
    assert_eq!(stream(COMPLETIONS, &[r#"{"choices":[{"text":"","index":0}]}"#]).tokens(), 0);
}

#[test]
fn each_choice_of_an_object_is_an_event_of_its_own() {
    let choice = r#"{"index":0,"delta":{"content":"x"}}"#;
    assert_eq!(chat(&[&format!(r#"{{"choices":[{choice},{choice}]}}"#)]).tokens(), 2);
    let many = format!(r#"{{"choices":[{}]}}"#, [choice; 9].join(","));
    assert_eq!(chat(&[&many]).tokens(), 9);
    let many = format!(r#"{{"choices":[{}]}}"#, [choice; 200].join(","));
    assert_eq!(
        read_pieces(CHAT, "text/event-stream", [format!("data: {many}\n\n").as_bytes()]).tokens(),
        128,
        "beyond the last place they share it"
    );
    let two = chat(&[r#"{"choices":[{"index":3,"delta":{"content":"x"}},{"index":1,"delta":{"content":"x"}}]}"#]);
    let of = |choice| Event::Tokens(Tokens { choice, ..ANSWER });
    assert_eq!(two.events, [of(3), of(1)]);
}

#[test]
fn listed_tokens_are_emitted_once() {
    let output = chat(&[
        r#"{"choices":[{"delta":{"content":""},"logprobs":{"content":[{}]}}]}"#,
        r#"{"choices":[{"delta":{"content":"x"},"logprobs":{"content":[{},{}],"refusal":null}}]}"#,
        r#"{"choices":[{"delta":{"content":"x"},"token_ids":[5,6,7],"logprobs":null}]}"#,
    ]);
    let listed = |listed| Event::Tokens(Tokens { listed, ..ANSWER });
    assert_eq!(output.events, [listed(Some(3)), listed(Some(3))]);
    let old = stream(COMPLETIONS, &[r#"{"choices":[{"text":"x","logprobs":{"tokens":["a","b"]}}]}"#]);
    assert_eq!(old.events, [listed(Some(2))]);
}

#[test]
fn the_marker_is_the_end_only_after_a_finish_and_without_an_error() {
    assert!(chat(&[STOP, "[DONE]"]).has(Event::Terminal));
    let delta = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}"#;
    assert!(chat(&[delta, "[DONE]"]).is_cut());
    assert!(chat(&["[DONE]"]).is_cut());
    let failed = chat(&[delta, r#"{"error":{"message":"no","code":500}}"#, "[DONE]"]);
    assert_eq!(failed.events, [Event::Tokens(ANSWER), Event::Error]);
    let late = chat(&[STOP, r#"{"error":{"message":"no"}}"#, "[DONE]"]);
    assert!(late.has(Event::Error) && !late.has(Event::Terminal));
}

#[test]
fn a_stream_whose_choices_all_finished_is_not_cut() {
    assert!(!chat(&[STOP]).is_cut());
    let other = r#"{"choices":[{"index":1,"delta":{"content":"x"},"finish_reason":null}]}"#;
    assert!(chat(&[other, STOP]).is_cut());
    let empty = r#"{"choices":[{"index":0,"delta":{},"finish_reason":""}]}"#;
    assert!(chat(&[empty]).is_cut(), "an empty reason is none");
}

#[test]
fn an_error_that_ollama_swallows_leaves_the_stream_cut() {
    let output = chat(&[
        r#"{"model":"m","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}"#,
        r#"{"model":"","choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}"#,
    ]);
    assert_eq!(output.events, [Event::Model("m"), Event::Tokens(ANSWER)]);
    assert!(output.is_cut());
}

#[test]
fn usage_at_the_end_is_final_and_null_is_none() {
    let delta = r#"{"choices":[{"index":0,"delta":{"content":"x"}}],"usage":null}"#;
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":14,"completion_tokens":19,"total_tokens":33,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":5,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#;
    let expected = Usage {
        last: true,
        prompt: Some(14),
        generated: Some(19),
        cached: Some(0),
        reasoning: Some(5),
        choices: 1,
        ..Usage::default()
    };
    assert_eq!(chat(&[delta, STOP, usage, "[DONE]"]).usage(), Some(expected));
    assert_eq!(chat(&[delta, STOP, "[DONE]"]).usage(), None);
}

#[test]
fn zeros_are_no_usage() {
    let zeros =
        r#"{"choices":[{"text":"x","index":0}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    assert_eq!(stream(COMPLETIONS, &[zeros]).usage(), None);
    let real = r#"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5}}"#;
    assert_eq!(counts(&stream(COMPLETIONS, &[zeros, real])), Some((Some(4), Some(1), true)));
}

#[test]
fn running_counts_are_summed_over_choices_until_the_total_comes() {
    let running = |index: u32, generated: u32, finish: &str| {
        format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"x"}},"finish_reason":{finish}}}],"usage":{{"prompt_tokens":7,"completion_tokens":{generated}}}}}"#
        )
    };
    let mut events = vec![running(0, 3, "null"), running(1, 2, "null"), running(0, 4, "null")];
    let read_every_split = |events: &[String]| counts(&chat(&events.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(read_every_split(&events), Some((Some(7), Some(6), false)));
    events.extend([running(0, 5, "\"stop\""), running(1, 3, "\"stop\"")]);
    assert_eq!(read_every_split(&events), Some((Some(7), Some(8), true)), "every choice reported its last");
    events.push(r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}}"#.into());
    assert_eq!(read_every_split(&events), Some((Some(7), Some(9), true)), "the total is what counts");
}

#[test]
fn closing_reports_of_several_choices_are_summed() {
    let other = STOP.replace(r#""index":0"#, r#""index":1"#);
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":10}}"#;
    assert_eq!(counts(&chat(&[STOP, &other, usage, usage])), Some((Some(7), Some(20), true)));
    assert_eq!(counts(&chat(&[STOP, usage, usage])), Some((Some(7), Some(10), true)), "the same said twice");
}

#[test]
fn llama_cpp_timings_are_reported_counts() {
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":13,"prompt_n":1,"prompt_ms":0.925,"predicted_n":19,"predicted_ms":2.811,"draft_n":8,"draft_n_accepted":6}}"#;
    let output = chat(&[end, "[DONE]"]);
    let usage = output.usage().expect("counts");
    assert_eq!((usage.prompt, usage.cached, usage.generated), (Some(14), Some(13), Some(19)));
    assert_eq!((usage.drafted, usage.draft_accepted, usage.last), (Some(8), Some(6), true));
    let nanos = |nanos| Some(Duration::from_nanos(nanos));
    assert!(output.has(Event::Timings(Timings {
        prefill: nanos(925_000),
        decode: nanos(2_811_000),
        ..Timings::default()
    })));
    let running = r#"{"choices":[{"index":0,"delta":{"content":"x"}}],"timings":{"cache_n":0,"prompt_n":4,"prompt_ms":0,"predicted_n":2,"predicted_ms":0}}"#;
    let output = chat(&[running]);
    assert_eq!(counts(&output), Some((Some(4), Some(2), false)));
    assert_eq!(output.events.len(), 2, "zero durations are unknown");
}

#[test]
fn per_token_timings_and_closing_usage_of_two_choices_agree() {
    let part = |index: u32, finish: &str, count: u32| {
        format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"x"}},"finish_reason":{finish}}}],"timings":{{"cache_n":1,"prompt_n":3,"predicted_n":{count}}}}}"#
        )
    };
    let closing = r#"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":3},"timings":{"cache_n":1,"prompt_n":3,"predicted_n":3}}"#;
    let (a, b) = (part(0, "null", 1), part(1, "null", 1));
    let (c, d) = (part(0, "\"stop\"", 2), part(1, "\"stop\"", 2));
    assert_eq!(counts(&chat(&[&a, &b, &c, closing, &d, closing])), Some((Some(4), Some(6), true)));
}

#[test]
fn progress_of_the_prompt_is_not_token_bearing() {
    let event = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}],"prompt_progress":{"total":2002,"cache":0,"processed":2002,"time_ms":92}}"#;
    assert_eq!(chat(&[event]).events, []);
}

#[test]
fn a_whole_answer_has_no_token_events() {
    let body = r#"{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"all","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":4,"completion_tokens":19,"total_tokens":23}}"#;
    let output = read_every_split(CHAT, "application/json", body);
    assert_eq!((output.tokens(), output.framing), (0, Framing::Json));
    assert_eq!(counts(&output), Some((Some(4), Some(19), true)));
    assert!(output.has(Event::Finish(FinishReason::ToolCalls)) && output.has(Event::Terminal));
    assert_eq!(read_every_split(CHAT, "application/json", r#"{"error":{"message":"x"}}"#).events, [Event::Error]);
}

/// llama.cpp: the object of the first choice, with the choices of the others (`handle_completions_impl`).
#[test]
fn the_first_choices_tokens_are_not_those_of_a_whole_answer() {
    let body = r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":1,"message":{"content":"b"},"finish_reason":"stop"}],"model":"m","usage":{"completion_tokens":19,"prompt_tokens":14,"total_tokens":33,"prompt_tokens_details":{"cached_tokens":13}},"timings":{"cache_n":13,"prompt_n":1,"predicted_n":19}}"#;
    let usage = read_every_split(CHAT, "application/json", body).usage().expect("the prompt");
    assert_eq!((usage.prompt, usage.cached, usage.generated, usage.choices), (Some(14), Some(13), None, 2));
    let usage = read_every_split(COMPLETIONS, "application/json", body).usage().expect("the choices");
    assert_eq!((usage.prompt, usage.cached, usage.generated), (None, None, None), "each may have its own prompt");
    let others = body.replace(r#""timings""#, r#""other""#);
    assert_eq!(
        counts(&read_every_split(CHAT, "application/json", others)),
        Some((Some(14), Some(19), true)),
        "vLLM adds them up"
    );
}

#[test]
fn an_embedding_has_prompt_tokens_alone() {
    let body = r#"{"data":[{"embedding":"AAAA","index":0}],"model":"e","usage":{"prompt_tokens":6,"total_tokens":6}}"#;
    let output = read_every_split("/v1/embeddings", "application/json", body);
    assert_eq!(counts(&output), Some((Some(6), None, true)));
}

#[test]
fn values_of_another_type_are_defects_and_nothing_more() {
    let output =
        chat(&[r#"{"choices":[{"index":"0","delta":{"content":5},"finish_reason":{}}],"usage":[]}"#, STOP, "[DONE]"]);
    assert_eq!(output.defects, [(Defect::Type, 4)]);
    assert!(output.has(Event::Terminal));
    let output =
        chat(&[r#"{"choices":[{"index":1e300,"delta":{"content":"x"}},{"index":900,"delta":{"content":"x"}}]}"#]);
    assert_eq!((output.tokens(), output.defects), (2, vec![(Defect::Number, 1)]));
}

/// Written from the protocol, not recorded: vLLM with `--enable-per-request-metrics`.
#[test]
fn vllm_metrics_have_durations_and_drafts() {
    let output = chat(&[
        r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7},"metrics":{"time_to_first_token_ms":12.5,"generation_time_ms":100.0,"queue_time_ms":1.0,"speculative_decoding":{"num_draft_tokens":8,"num_accepted_draft_tokens":5}}}"#,
        "[DONE]",
    ]);
    let usage = output.usage().expect("reported");
    assert_eq!((usage.generated, usage.drafted, usage.draft_accepted), (Some(7), Some(8), Some(5)));
    let timings = Timings {
        prefill: Some(Duration::from_micros(12_500)),
        decode: Some(Duration::from_millis(100)),
        ..Timings::default()
    };
    assert!(output.has(Event::Timings(timings)));
}

/// Written from the protocol, not recorded: SGLang.
#[test]
fn an_event_with_a_name_of_its_own_says_nothing() {
    let body = "event: sglext_ids\ndata: {\"ids\":[1]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    let output = read_every_split("/v1/chat/completions", "text/event-stream", body);
    assert_eq!((output.tokens(), output.events.len(), output.defects.len()), (1, 1, 0));
}

/// Written from the protocol, not recorded: vLLM with `continuous_usage_stats`, n = 2.
#[test]
fn vllm_counts_each_choice_in_every_chunk_and_all_at_the_end() {
    let chunk = |index: u32, delta: &str, finish: &str, generated: u32| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish},"token_ids":null}}],"usage":{{"prompt_tokens":9,"total_tokens":{},"completion_tokens":{generated}}}}}"#,
            9 + generated
        )
    };
    let role = r#"{"role":"assistant","content":""}"#;
    let (text, thought) = (r#"{"content":"x"}"#, r#"{"reasoning":"x"}"#);
    let mut events = vec![
        chunk(0, role, "null", 0),
        chunk(1, role, "null", 0),
        chunk(0, thought, "null", 1),
        chunk(1, thought, "null", 3),
        chunk(0, text, "null", 4),
    ];
    let read_every_split = |events: &[String]| chat(&events.iter().map(String::as_str).collect::<Vec<_>>());
    let left = read_every_split(&events);
    assert_eq!((left.tokens(), counts(&left)), (3, Some((Some(9), Some(7), false))), "left by its client");
    events.extend([chunk(1, text, "\"length\"", 5), chunk(0, text, "\"stop\"", 6)]);
    events.push(
        r#"{"id":"chatcmpl-1","model":"m","choices":[],"usage":{"prompt_tokens":9,"total_tokens":20,"completion_tokens":11,"prompt_tokens_details":{"cached_tokens":8,"created_cache_tokens":0,"multimodal_tokens":{}},"completion_tokens_details":{"reasoning_tokens":4}}}"#.into(),
    );
    events.push("[DONE]".into());
    let output = read_every_split(&events);
    let usage = output.usage().expect("reported");
    assert_eq!((usage.last, usage.prompt, usage.generated, usage.choices), (true, Some(9), Some(11), 2));
    assert_eq!((usage.cached, usage.reasoning), (Some(8), Some(4)));
    assert_eq!((output.events.last(), output.defects.len()), (Some(&Event::Terminal), 0));
}

/// Written from the protocol, not recorded: vLLM fails in mid-stream, and marks the end all the same.
#[test]
fn vllm_sends_an_error_and_then_the_marker() {
    let output = chat(&[
        r#"{"model":"m","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#,
        r#"{"error":{"message":"EngineDeadError","type":"InternalServerError","param":null,"code":500}}"#,
        "[DONE]",
    ]);
    assert_eq!(output.events.last(), Some(&Event::Error));
    assert_eq!(counts(&output), Some((Some(9), Some(1), false)), "counted so far");
}

/// Written from the protocol, not recorded: vLLM merges what it made while its client did not read.
#[test]
fn token_ids_count_exactly_where_chunks_hold_several() {
    let chunk = |ids: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"x"}},"token_ids":{ids}}}]}}"#);
    let output = chat(&[&chunk("[1]"), &chunk("[2,3,4]"), &chunk("[5,6]")]);
    let listed = |event: &Event<'_>| if let Event::Tokens(tokens) = event { tokens.listed } else { None };
    assert_eq!((output.tokens(), output.events.iter().filter_map(listed).sum::<u64>()), (3, 6));
}

/// Written from the protocol, not recorded: SGLang names thinking and its count in its own way.
#[test]
fn sglang_counts_thinking_outside_the_details() {
    let output = chat(&[
        r#"{"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null},"finish_reason":null}],"usage":null}"#,
        r#"{"model":"m","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"x"},"finish_reason":null}],"usage":null}"#,
        r#"{"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop","matched_stop":2}],"usage":null}"#,
        r#"{"model":"m","choices":[],"usage":{"prompt_tokens":9,"total_tokens":14,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"reasoning_tokens":3}}"#,
        "[DONE]",
    ]);
    let usage = output.usage().expect("reported");
    assert_eq!((usage.generated, usage.cached, usage.reasoning, output.tokens()), (Some(5), Some(4), Some(3), 1));
    let aborted = chat(&[r#"{"error":{"message":"aborted","type":"abort","code":503}}"#, "[DONE]"]);
    assert_eq!(aborted.events, [Event::Error]);
}

/// Written from the protocol, not recorded: TGI's errors on `OpenAI`'s routes.
#[test]
fn tgi_fails_inside_a_stream_with_a_status_of_its_own() {
    let failed = chat(&[r#"{"error":{"message":"Input validation error","http_status_code":422}}"#, "[DONE]"]);
    assert_eq!(failed.events, [Event::Error]);
}

#[test]
fn one_aborted_result_of_several_fails_the_answer() {
    for reasons in [["abort", "stop"], ["stop", "abort"]] {
        let choices = reasons.map(|reason| format!(r#"{{"text":"x","finish_reason":"{reason}"}}"#)).join(",");
        let generations =
            reasons.map(|reason| format!(r#"{{"text":"x","meta_info":{{"finish_reason":{{"type":"{reason}"}}}}}}"#));
        let completions = reasons.map(|reason| format!(r#"{{"content":"x","stop":true,"stop_type":"{reason}"}}"#));
        let texts =
            reasons.map(|reason| format!(r#"{{"generated_text":"x","details":{{"finish_reason":"{reason}"}}}}"#));
        for (path, body) in [
            (COMPLETIONS, format!(r#"{{"choices":[{choices}]}}"#)),
            ("/generate", format!("[{}]", generations.join(","))),
            ("/completion", format!("[{}]", completions.join(","))),
            ("/", format!("[{}]", texts.join(","))),
        ] {
            let output = read_every_split(path, "application/json", &body);
            assert!(output.has(Event::Finish(FinishReason::Abort)), "{path} {reasons:?} {:?}", output.events);
            assert!(output.has(Event::Error) && !output.has(Event::Terminal), "{path} {reasons:?}");
        }
    }
}

/// vLLM ends a request that it gave up with this reason, and marks the end all the same.
#[test]
fn an_aborted_answer_is_no_success_on_any_route() {
    for reason in ["abort", "error"] {
        let chat_end = format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
        let streamed = chat(&[&chat_end, "[DONE]"]);
        assert!(streamed.has(Event::Error) && !streamed.has(Event::Terminal), "{reason}");
        let whole = format!(r#"{{"choices":[{{"index":0,"message":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#);
        for path in [CHAT, COMPLETIONS, "/api/v0/chat/completions"] {
            let output = read_every_split(path, "application/json", &whole);
            assert!(output.has(Event::Error) && !output.has(Event::Terminal), "{path} {reason}");
        }
        for (path, body) in [
            ("/v1/messages", format!(r#"{{"type":"message","stop_reason":"{reason}","usage":{{"output_tokens":1}}}}"#)),
            ("/completion", format!(r#"{{"content":"x","stop":true,"stop_type":"{reason}"}}"#)),
            ("/generate", format!(r#"{{"text":"x","meta_info":{{"finish_reason":{{"type":"{reason}"}}}}}}"#)),
            ("/generate_stream", format!(r#"{{"generated_text":"x","details":{{"finish_reason":"{reason}"}}}}"#)),
        ] {
            let output = read_every_split(path, "application/json", &body);
            assert!(output.has(Event::Error) && !output.has(Event::Terminal), "{path} {reason}");
        }
    }
    let cancelled = read_every_split("/v1/responses", "application/json", r#"{"status":"cancelled","usage":null}"#);
    assert!(cancelled.has(Event::Error) && !cancelled.has(Event::Terminal));
}

/// Mistral's models that think.
#[test]
fn a_content_that_is_a_list_is_read_by_its_parts() {
    let thinking = Tokens { answer: false, thinking: true, listed: None, choice: 0 };
    for (content, tokens) in [
        (r#"[{"type":"thinking","thinking":[{"type":"text","text":"x"}]}]"#, Some(thinking)),
        (r#"[{"type":"thinking","thinking":"x"}]"#, Some(thinking)),
        (r#"[{"type":"thinking","thinking":[{"type":"text","text":""}]}]"#, None),
        (r#"[{"type":"text","text":"x"}]"#, Some(ANSWER)),
        (r#"[{"type":"text","text":""}]"#, None),
        (r#"[{"type":"reference","reference_ids":[1]}]"#, None),
        ("[]", None),
        ("null", None),
    ] {
        let output = chat(&[&format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{content}}}}}]}}"#)]);
        assert_eq!(output.events, tokens.map(Event::Tokens).into_iter().collect::<Vec<_>>(), "{content}");
        assert_eq!(output.defects, [], "{content}");
    }
}

#[test]
fn sound_is_an_answer() {
    for (audio, bears) in [
        (r#"{"id":"audio_1","data":"eHh4"}"#, true),
        (r#"{"id":"audio_1","transcript":"x"}"#, true),
        (r#"{"id":"audio_1","expires_at":1}"#, false),
        (r#"{"data":""}"#, false),
        ("null", false),
    ] {
        let output = chat(&[&format!(r#"{{"choices":[{{"index":0,"delta":{{"audio":{audio}}}}}]}}"#)]);
        assert_eq!(output.tokens(), usize::from(bears), "{audio}");
    }
}

#[test]
fn choices_without_an_index_are_numbered_in_order() {
    let running = |text: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"content":"{text}"}},"finish_reason":"stop"}},{{"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
        )
    };
    let output = chat(&[&running("x")]);
    assert_eq!((output.tokens(), output.is_cut()), (2, true), "the second goes on");
}

fn held(output: &ReaderOutput) -> Vec<Option<u64>> {
    let listed = |event: &Event<'_>| if let Event::Tokens(tokens) = event { Some(tokens.listed) } else { None };
    output.events.iter().filter_map(listed).collect()
}

/// vLLM and SGLang send one event per few tokens if so configured, or if their client does not read.
#[test]
fn the_growth_of_a_cumulative_count_is_the_tokens_of_a_chunk() {
    let chunk = |index: u32, text: &str, generated: u64| {
        format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"{text}"}}}}],"usage":{{"prompt_tokens":9,"completion_tokens":{generated}}}}}"#
        )
    };
    let events = [
        chunk(0, "", 0),
        chunk(0, "x", 1),
        chunk(1, "x", 2),
        chunk(0, "x", 4),
        chunk(1, "x", 3),
        chunk(0, "", 6),
        chunk(0, "x", 7),
        chunk(0, "x", 7),
        chunk(0, "x", 900_000),
    ];
    let output = chat(&events.each_ref().map(String::as_str));
    assert_eq!(held(&output), [None, None, Some(3), Some(1), Some(3), None, None]);
}

/// A single report, in the object of the last text, does not count that text's tokens.
#[test]
fn a_single_cumulative_count_is_not_the_tokens_of_its_chunk() {
    let delta = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}"#;
    let last = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":500}}"#;
    let output = chat(&[delta, delta, last, "[DONE]"]);
    assert_eq!(held(&output), [None, None, None]);
    assert_eq!(counts(&output), Some((Some(9), Some(500), true)));
}

#[test]
fn tokens_listed_without_text_stay_with_their_choice() {
    let chunk = |index: u32, text: &str, ids: &str| {
        format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"{text}"}},"token_ids":{ids}}}]}}"#)
    };
    let events = [chunk(0, "", "[1,2]"), chunk(1, "x", "[3]"), chunk(0, "x", "[4]"), chunk(0, "x", "[5]")];
    assert_eq!(held(&chat(&events.each_ref().map(String::as_str))), [Some(1), Some(3), Some(1)]);
}
