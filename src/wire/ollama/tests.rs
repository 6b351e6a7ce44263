//! What Ollama's objects mean, good and bad.

use std::time::Duration;

use crate::wire::event::{Defect, Event, FinishReason, Progress, Timings, Tokens, TransferStep, Usage};
use crate::wire::reader::Framing;
use crate::wire::testing::{ReaderOutput, read_every_split};

fn stream(lines: &[&str]) -> ReaderOutput {
    read_every_split("/api/chat", "application/x-ndjson", lines.join("\n") + "\n")
}

fn pull(lines: &[&str]) -> ReaderOutput {
    read_every_split("/api/pull", "application/x-ndjson", lines.join("\n") + "\n")
}

const ANSWER: Tokens = Tokens { answer: true, thinking: false, listed: None, choice: 0 };

#[test]
fn only_text_thinking_and_tools_are_token_bearing() {
    let cases = [
        (r#"{"message":{"role":"assistant","content":"x"}}"#, Some(ANSWER)),
        (r#"{"response":"x","done":false}"#, Some(ANSWER)),
        (r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]}}"#, Some(ANSWER)),
        (
            r#"{"message":{"content":"","thinking":"x"}}"#,
            Some(Tokens { answer: false, thinking: true, listed: None, choice: 0 }),
        ),
        (r#"{"response":"y","thinking":"x"}"#, Some(Tokens { answer: true, thinking: true, listed: None, choice: 0 })),
        (r#"{"message":{"role":"assistant","content":"","images":null,"tool_calls":[]}}"#, None),
        (r#"{"response":"","context":[1,2]}"#, None),
        (r#"{"model":"","created_at":"now"}"#, None),
    ];
    for (line, tokens) in cases {
        assert_eq!(stream(&[line]).events, tokens.map(Event::Tokens).into_iter().collect::<Vec<_>>(), "{line}");
    }
}

#[test]
fn listed_tokens_without_text_go_with_the_next_text() {
    let output = stream(&[
        r#"{"response":"","logprobs":[{},{}]}"#,
        r#"{"response":"x","logprobs":[{"token":"x","top_logprobs":[{},{}]}]}"#,
        r#"{"response":"y"}"#,
    ]);
    let listed = |listed| Event::Tokens(Tokens { listed, ..ANSWER });
    assert_eq!(output.events, [listed(Some(3)), listed(None)]);
}

#[test]
fn the_model_is_emitted_when_it_changes() {
    let output = stream(&[r#"{"model":"a"}"#, r#"{"model":"a"}"#, r#"{"model":""}"#, r#"{"model":"b"}"#]);
    assert_eq!(output.events, [Event::Model("a"), Event::Model("b")]);
    assert_eq!(read_every_split("/api/chat", "application/x-ndjson", b"{\"model\":\"\xff\"}\n").events, []);
}

#[test]
fn a_model_that_runs_elsewhere_is_reported_once() {
    let line = r#"{"model":"a","remote_model":"b","remote_host":"https://c","response":"x"}"#;
    let output = stream(&[line, line]);
    assert_eq!(output.events, [Event::Model("a"), Event::Elsewhere, Event::Tokens(ANSWER), Event::Tokens(ANSWER)]);
    assert!(!stream(&[r#"{"model":"a","remote_model":"","response":"x"}"#]).has(Event::Elsewhere));
}

#[test]
fn the_end_has_counts_durations_and_reason() {
    let line = r#"{"done":true,"done_reason":"length","total_duration":9,"load_duration":1,"prompt_eval_count":14,"prompt_eval_duration":2,"prompt_eval_cached_count":0,"eval_count":3,"eval_duration":4}"#;
    let nanos = |nanos| Some(Duration::from_nanos(nanos));
    let usage =
        Usage { last: true, prompt: Some(14), generated: Some(3), cached: Some(0), choices: 1, ..Usage::default() };
    let timings = Timings { load: nanos(1), prefill: nanos(2), decode: nanos(4), total: nanos(9) };
    let end = [Event::Usage(usage), Event::Timings(timings), Event::Finish(FinishReason::Length), Event::Terminal];
    assert_eq!(stream(&[line]).events, end);
}

#[test]
fn done_or_a_reason_is_the_end() {
    assert!(stream(&[r#"{"done":true}"#]).has(Event::Terminal));
    assert!(stream(&[r#"{"done_reason":"stop"}"#]).has(Event::Terminal), "some relays forget done");
    for line in [r#"{"done":false,"done_reason":""}"#, r#"{"done":false,"done_reason":null}"#, r#"{"done":null}"#, "{}"]
    {
        assert!(stream(&[line]).is_cut(), "{line}");
    }
    let twice = stream(&[r#"{"done":true,"eval_count":1}"#, r#"{"done":true,"eval_count":2}"#]);
    assert_eq!(twice.usage().and_then(|usage| usage.generated), Some(2), "the last one counts");
}

#[test]
fn zero_durations_are_unknown() {
    let output =
        stream(&[r#"{"done":true,"total_duration":0,"load_duration":0,"prompt_eval_duration":0,"eval_duration":0}"#]);
    assert_eq!(output.events, [Event::Terminal]);
    let output = stream(&[r#"{"done":true,"prompt_eval_count":null,"eval_count":0}"#]);
    assert_eq!(output.usage().map(|usage| (usage.prompt, usage.generated)), Some((None, Some(0))));
}

#[test]
fn a_count_of_zero_beside_text_is_unknown() {
    let last = r#"{"response":"","done":true,"prompt_eval_count":9,"eval_count":0}"#;
    let streamed = stream(&[r#"{"response":"x","done":false}"#, last]);
    let whole =
        read_every_split("/api/generate", "application/json", last.replace(r#""response":"""#, r#""response":"x""#));
    for output in [streamed, whole] {
        assert_eq!(output.usage().map(|usage| (usage.prompt, usage.generated)), Some((Some(9), None)));
    }
}

/// Ollama without streaming, where it gives a generation up (a repeated token, a runner that closes): the text so far.
#[test]
fn a_whole_answer_that_is_not_done_is_cut_and_no_stream() {
    let body = r#"{"model":"m","created_at":"now","response":"la la","done":false}"#;
    let output = read_every_split("/api/generate", "application/json; charset=utf-8", body);
    assert_eq!((output.framing, output.is_cut()), (Framing::Json, true));
    let relabelled = read_every_split("/api/generate", "application/json", format!("{body}\n"));
    assert_eq!((relabelled.framing, relabelled.is_cut(), relabelled.tokens()), (Framing::Ndjson, true, 1));
}

#[test]
fn bad_numbers_are_unknown_and_the_rest_is_read() {
    for bad in ["-1", "1.5", "1e400", "18446744073709551616", "NaN", "\"5\"", "{}", "[5]", "true"] {
        let output = stream(&[&format!(r#"{{"eval_count":{bad},"prompt_eval_count":2.0,"done":true}}"#)]);
        let counts = output.usage().map(|usage| (usage.prompt, usage.generated));
        assert_eq!(counts, Some((Some(2), None)), "{bad}");
        assert!(matches!(output.defects[..], [(Defect::Number | Defect::Type, 1)]), "{bad}");
        assert!(output.has(Event::Terminal), "{bad}");
    }
    let duplicate = stream(&[r#"{"eval_count":1,"done":false,"eval_count":2,"done":true}"#]);
    assert_eq!(duplicate.usage().and_then(|usage| usage.generated), Some(2));
}

#[test]
fn an_error_inside_a_success_is_an_error_and_no_end() {
    let output = stream(&[r#"{"response":"x"}"#, r#"{"error":"an error was encountered"}"#]);
    assert_eq!(output.events, [Event::Tokens(ANSWER), Event::Error]);
    for fine in [r#"{"error":""}"#, r#"{"error":null}"#, r#"{"error":false}"#] {
        assert!(!stream(&[fine]).has(Event::Error), "{fine}");
    }
    assert_eq!(read_every_split("/api/chat", "application/json", r#"{"error":"x"}"#).events, [Event::Error]);
}

#[test]
fn loading_is_whole_and_ends() {
    let body = r#"{"model":"m","created_at":"now","response":"","done":true,"done_reason":"load"}"#;
    let output = read_every_split("/api/generate", "application/json; charset=utf-8", body);
    assert_eq!(output.events, [Event::Model("m"), Event::Finish(FinishReason::Load), Event::Terminal]);
    assert_eq!(output.framing, Framing::Json);
}

#[test]
fn an_embedding_ends_with_its_object_and_never_counts_as_cut() {
    let body = r#"{"model":"e","embeddings":[[0.1,-2],[3]],"total_duration":5,"prompt_eval_count":4}"#;
    let output = read_every_split("/api/embed", "application/json", body);
    assert!(output.has(Event::Terminal));
    assert_eq!(output.usage().map(|usage| (usage.prompt, usage.generated)), Some((Some(4), None)));
    assert_eq!(
        read_every_split("/api/embeddings", "application/json", r#"{"embedding":[0.5]}"#).events,
        [Event::Terminal]
    );
    assert!(!read_every_split("/api/embed", "application/json", &body[..30]).is_cut());
}

#[test]
fn a_rendered_template_is_whole_though_it_is_not_done() {
    let body = r#"{"model":"m","response":"","done":false,"_debug_info":{"rendered_template":"x"}}"#;
    let output = read_every_split("/api/generate", "application/json; charset=utf-8", body);
    assert_eq!((output.framing, output.is_cut()), (Framing::Json, false));
}

#[test]
fn bytes_are_summed_over_layers() {
    let output = pull(&[
        r#"{"status":"pulling manifest"}"#,
        r#"{"status":"pulling a","digest":"sha256:a","total":100}"#,
        r#"{"status":"pulling a","digest":"sha256:a","total":100,"completed":40}"#,
        r#"{"status":"pulling b","digest":"sha256:b","total":10,"completed":10}"#,
        r#"{"status":"pulling a","digest":"sha256:a","total":100,"completed":100}"#,
        r#"{"status":"success"}"#,
    ]);
    let progress = |completed, total| Event::Progress(Progress { completed, total, found: 0 });
    let moved = [progress(0, 100), progress(40, 100), progress(50, 110), progress(110, 110)];
    let (steps, others): (Vec<Event<'_>>, Vec<Event<'_>>) =
        output.events.iter().copied().partition(|event| matches!(event, Event::Step(_)));
    assert_eq!(steps, [Event::Step(TransferStep::PullingManifest), Event::Step(TransferStep::Pulling)], "each once");
    assert_eq!(others[..4], moved);
    assert_eq!(others[4..], [Event::Finish(FinishReason::Success), Event::Terminal]);
}

/// Ollama reports the layers of a model that is up to date, or of a transfer that it takes up again, as done so far.
#[test]
fn bytes_that_were_in_place_before_were_not_moved() {
    let output = pull(&[
        r#"{"status":"pulling a","digest":"sha256:a","total":4661211808,"completed":4661211808}"#,
        r#"{"status":"pulling b","digest":"sha256:b","total":2000000000,"completed":1500000000}"#,
        r#"{"status":"pulling b","digest":"sha256:b","total":2000000000,"completed":1600000000}"#,
        r#"{"status":"pulling b","digest":"sha256:b","total":2000000000,"completed":2000000000}"#,
        r#"{"status":"pulling c","digest":"sha256:c","total":1000,"completed":1000}"#,
        r#"{"status":"success"}"#,
    ]);
    let moved: Vec<u64> = output
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Progress(progress) => Some(progress.completed),
            _ => None,
        })
        .collect();
    assert_eq!(moved, [0, 0, 100_000_000, 500_000_000, 500_001_000]);
    let last = output.events.iter().rev().find_map(|event| match event {
        Event::Progress(progress) => Some(progress.completed + progress.found),
        _ => None,
    });
    assert_eq!(last, Some(4_661_211_808 + 2_000_000_000 + 1_000), "all of it is in place");
}

#[test]
fn any_number_of_layers_is_summed_in_bounded_memory() {
    let lines: Vec<_> = (0..200)
        .map(|layer| format!(r#"{{"status":"x","digest":"sha256:{layer}","total":2,"completed":2}}"#))
        .collect();
    let output = crate::wire::testing::read_pieces(
        "/api/pull",
        "application/x-ndjson",
        lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]),
    );
    assert_eq!(output.events.last(), Some(&Event::Progress(Progress { completed: 400, found: 0, total: 400 })));
}

#[test]
fn a_transfer_without_success_is_cut_or_failed() {
    assert!(pull(&[r#"{"status":"pulling manifest"}"#]).is_cut());
    let failed = pull(&[r#"{"status":"pulling manifest"}"#, r#"{"error":"file does not exist"}"#]);
    assert_eq!(failed.events, [Event::Step(TransferStep::PullingManifest), Event::Error]);
    let strange = pull(&[r#"{"status":"success, nearly"}"#, r#"{"status":"a word of its own"}"#]);
    assert_eq!(strange.events, [Event::Step(TransferStep::Other)], "what a backend makes up is not repeated");
    let whole = read_every_split("/api/create", "application/json", r#"{"status":"success"}"#);
    assert_eq!((whole.framing, whole.has(Event::Terminal)), (Framing::Json, true));
}

/// Written from the protocol, not recorded: SGLang and Docker's model runner in Ollama's words.
#[test]
fn an_end_without_counts_is_an_end() {
    let output = stream(&[
        r#"{"model":"m","message":{"role":"assistant","content":"x","images":null},"done":false}"#,
        r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":null,"eval_count":null}"#,
    ]);
    assert_eq!((output.tokens(), output.usage(), output.defects.len()), (1, None, 0));
    assert!(output.has(Event::Finish(FinishReason::Stop)) && output.has(Event::Terminal));
}

/// Ollama before 0.3.
#[test]
fn a_load_that_is_answered_without_a_reason_is_a_load() {
    let body = r#"{"model":"m","created_at":"now","response":"","done":true}"#;
    let load = [Event::Model("m"), Event::Finish(FinishReason::Load), Event::Terminal];
    assert_eq!(read_every_split("/api/generate", "application/json", body).events, load);
    let chat = r#"{"model":"m","created_at":"now","message":{"role":"assistant","content":""},"done":true}"#;
    assert_eq!(read_every_split("/api/chat", "application/x-ndjson", format!("{chat}\n")).events, load);
    for generation in [
        r#"{"response":"x","done":true}"#,
        r#"{"response":"","done":true,"eval_count":0}"#,
        r#"{"response":"","done":true,"total_duration":5}"#,
        r#"{"response":"","done":true,"image":"AAAA"}"#,
        r#"{"response":""}"#,
        r#"{"embedding":[0.5]}"#,
    ] {
        let output = read_every_split("/api/generate", "application/json", generation);
        assert!(!output.has(Event::Finish(FinishReason::Load)), "{generation}");
    }
    let spoken = stream(&[r#"{"message":{"content":"x"},"done":false}"#, r#"{"message":{"content":""},"done":true}"#]);
    assert!(!spoken.has(Event::Finish(FinishReason::Load)) && spoken.has(Event::Terminal));
}

#[test]
fn an_image_and_a_rendered_template_have_no_tokens_by_nature() {
    let image = stream(&[
        r#"{"model":"m","response":"","done":false,"completed":1,"total":2}"#,
        r#"{"model":"m","response":"","image":"AAAA","done":true,"done_reason":"stop"}"#,
    ]);
    assert_eq!((image.tokens(), image.has(Event::NoTokens), image.has(Event::Terminal)), (0, true, true));
    let body = r#"{"model":"m","response":"","done":false,"_debug_info":{"rendered_template":"x"}}"#;
    assert!(read_every_split("/api/generate", "application/json", body).has(Event::NoTokens));
}

#[test]
fn an_aborted_answer_is_no_success() {
    for reason in ["abort", "aborted", "error", "cancelled"] {
        let output = stream(&[&format!(r#"{{"done":true,"done_reason":"{reason}","eval_count":1}}"#)]);
        assert!(output.has(Event::Error) && !output.has(Event::Terminal), "{reason}");
    }
}

/// llama.cpp answers `/api/chat` with what it answers on `/v1/chat/completions`.
#[test]
fn a_chat_in_the_shape_of_openai_is_read_as_such_streamed_and_whole() {
    let chunks = [
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"x"}}],"model":"m"}"#,
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"x"}}],"model":"m"}"#,
        r#"{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"model":"m","timings":{"cache_n":1,"prompt_n":3,"prompt_ms":0.5,"predicted_n":2,"predicted_ms":1.5}}"#,
    ];
    let streamed: String = chunks.iter().chain(&["[DONE]"]).map(|chunk| format!("data: {chunk}\n\n")).collect();
    let there = read_every_split("/v1/chat/completions", "text/event-stream", &streamed);
    let here = read_every_split("/api/chat", "text/event-stream", &streamed);
    assert_eq!(here, there);
    assert_eq!((here.tokens(), here.has(Event::Terminal), here.is_cut()), (2, true, false));
    assert!(read_every_split("/api/chat", "text/event-stream", &streamed[..streamed.len() / 2]).is_cut());
    let failed = format!("data: {}\n\ndata: {{\"error\":{{\"code\":500}}}}\n\ndata: [DONE]\n\n", chunks[2]);
    let failed = read_every_split("/api/chat", "text/event-stream", failed);
    assert_eq!(failed.events.last(), Some(&Event::Error));
    let whole = r#"{"usage":{"prompt_tokens":4,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}},"choices":[{"finish_reason":"length","index":0,"message":{"role":"assistant","content":"xy"}}],"model":"m","object":"chat.completion"}"#;
    let output = read_every_split("/api/chat", "application/json; charset=utf-8", whole);
    assert_eq!(output, read_every_split("/v1/chat/completions", "application/json; charset=utf-8", whole));
    let usage = output.usage().expect("stated");
    assert_eq!((usage.last, usage.prompt, usage.generated, usage.cached), (true, Some(4), Some(2), Some(1)));
    assert!(output.has(Event::Finish(FinishReason::Length)) && output.has(Event::Terminal));
}

#[test]
fn a_stray_field_of_another_shape_is_ignored() {
    let output = stream(&[
        r#"{"message":{"content":"x"},"usage":{"completion_tokens":9},"choices":[],"done":false}"#,
        r#"{"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2,"timings":{"predicted_n":7},"usage":{"prompt_tokens":9}}"#,
    ]);
    let usage = output.usage().expect("stated");
    assert_eq!((usage.prompt, usage.generated, output.tokens()), (Some(3), Some(2), 1));
    assert!(output.has(Event::Terminal));
}
