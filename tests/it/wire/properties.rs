//! Any split, any interleaving of choices, any junk between: the sums stay right, and nothing breaks.

use inferometer::wire::budget::DecodeBudget;
use inferometer::wire::event::{Event, Usage};
use inferometer::wire::reader::{Head, Reader, Reported};
use inferometer::wire::route::Route;

use super::{Random, read, readable};

/// What may stand between two events without a meaning: comments, pings, keep-alives, fields and events of unknown
/// names, values without one.
const JUNK: [&str; 14] = [
    ": ping\n\n",
    ":\r\n\r\n",
    ": keep-alive\n\n",
    ": OPENROUTER PROCESSING\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: sglext_ids\ndata: {\"ids\":[1,2]}\n\n",
    "id: 7\nretry: 10\n\n",
    "data: \n\n",
    "data: null\n\n",
    "\n\n\n",
    "data: {\"unknown\":{\"deep\":[[[{}]]]}}\n\n",
    "data: {\"type\":\"what_comes_next_year\",\"delta\":{\"x\":1},\"y\":[null,true,-1e9,\"}{\"]}\n\n",
    "nonsense\n\n",
    "databases: x\neven: y\n\n",
];

/// What may stand between two lines.
const LINE_JUNK: [&str; 6] = [
    "\n",
    "\r\n",
    " \n",
    "{}\n",
    "{\"unknown\":[{\"done\":true,\"eval_count\":9}]}\n",
    "{\"done\":null,\"message\":null}\r\n",
];

/// What a reader emitted for a stream.
#[derive(Debug, Default)]
struct ReaderOutput {
    tokens: u64,
    usage: Usage,
    /// A terminal event came, and no token after it.
    terminal: bool,
    cut: bool,
}

/// Reads in pieces of random size.
fn run(path: &str, media: &str, body: &str, random: &mut Random) -> ReaderOutput {
    let head = Head {
        status: 200,
        content_type: Some(media.as_bytes()),
        content_encoding: None,
        reported: Reported::default(),
    };
    let mut reader = Reader::new(Route::of("POST", path), &head, &DecodeBudget::unlimited());
    let mut output = ReaderOutput::default();
    let mut emit = |event: Event<'_>, _| match event {
        Event::Tokens(_) => (output.tokens, output.terminal) = (output.tokens + 1, false),
        Event::Usage(told) => output.usage = told,
        Event::Terminal => output.terminal = true,
        _ => {}
    };
    let mut rest = body.as_bytes();
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(1 + random.below(rest.len().min(90)));
        reader.read(piece, &mut emit);
        rest = more;
    }
    reader.end(&mut emit);
    output.cut = reader.expects_terminal() && !output.terminal;
    output
}

fn events(path: &str, body: &str, random: &mut Random) -> ReaderOutput {
    run(path, "text/event-stream", body, random)
}

/// Choices of random length, each in order, interleaved at random: one may end before another begins. Returns the
/// events and the length of each choice. `event` is asked for the choice, its tokens so far, and whether it ends.
fn interleaved(random: &mut Random, event: impl Fn(usize, u64, bool) -> String) -> (Vec<String>, Vec<u64>) {
    let lengths: Vec<u64> = (0..1 + random.below(5)).map(|_| 1 + random.below(20) as u64).collect();
    let (mut told, mut events) = (vec![0; lengths.len()], Vec::new());
    loop {
        let open: Vec<usize> = (0..lengths.len()).filter(|choice| told[*choice] < lengths[*choice]).collect();
        let Some(choice) = (!open.is_empty()).then(|| open[random.below(open.len())]) else { return (events, lengths) };
        told[choice] += 1;
        events.push(event(choice, told[choice], told[choice] == lengths[choice]));
    }
}

/// The events with junk before, between and behind them.
fn noisy(random: &mut Random, events: &[String], junk: &[&str]) -> String {
    let mut body = String::new();
    for event in events {
        (0..random.below(3)).for_each(|_| body += junk[random.below(junk.len())]);
        body += event;
    }
    body + junk[random.below(junk.len())]
}

fn openai(choice: usize, count: u64, last: bool) -> String {
    let finish = if last { "\"stop\"" } else { "null" };
    format!(
        "data: {{\"choices\":[{{\"index\":{choice},\"delta\":{{\"content\":\"x\"}},\"finish_reason\":{finish}}}],\"usage\":{{\"prompt_tokens\":7,\"completion_tokens\":{count}}}}}\n\n"
    )
}

fn llama(choice: usize, count: u64, last: bool) -> String {
    format!(
        "data: {{\"index\":{choice},\"content\":\"x\",\"stop\":{last},\"tokens_predicted\":{count},\"tokens_evaluated\":7}}\n\n"
    )
}

fn sglang(choice: usize, count: u64, last: bool) -> String {
    let finish = if last { "{\"type\":\"stop\"}" } else { "null" };
    format!(
        "data: {{\"index\":{choice},\"text\":\"x\",\"meta_info\":{{\"prompt_tokens\":7,\"completion_tokens\":{count},\"finish_reason\":{finish}}}}}\n\n"
    )
}

#[test]
fn running_counts_of_interleaved_choices_are_summed() {
    let random = &mut Random(0x2545_F491_4F6C_DD1D);
    for round in 0..300 {
        let (told, lengths) = interleaved(random, openai);
        let total = lengths.iter().sum::<u64>();
        let body = noisy(random, &told, &JUNK);
        let output = events("/v1/chat/completions", &(body.clone() + "data: [DONE]\n\n"), random);
        assert_eq!(
            (output.tokens, output.usage.generated, output.usage.prompt),
            (total, Some(total), Some(7)),
            "{round}"
        );
        assert!(output.terminal && output.usage.last && !output.cut, "round {round}");
        let unmarked = events("/v1/chat/completions", &body, random);
        assert!(!unmarked.cut, "round {round}: every choice finished");

        let (told, lengths) = interleaved(random, llama);
        let (total, prompts) = (lengths.iter().sum::<u64>(), 7 * lengths.len() as u64);
        let output = events("/completion", &noisy(random, &told, &JUNK), random);
        assert_eq!((output.tokens, output.usage.generated, output.usage.prompt), (total, Some(total), Some(prompts)));
        assert!(output.terminal && output.usage.last && !output.cut, "round {round}");

        let (told, lengths) = interleaved(random, sglang);
        let total = lengths.iter().sum::<u64>();
        let output = events("/generate", &(noisy(random, &told, &JUNK) + "data: [DONE]\n\n"), random);
        assert_eq!((output.tokens, output.usage.generated), (total, Some(total)), "round {round}");
        assert!(output.terminal && !output.cut, "round {round}");
    }
}

/// A stream that breaks off anywhere is counted to its last event, and cut unless all that was seen had ended.
#[test]
fn a_stream_that_breaks_off_is_counted_so_far() {
    let random = &mut Random(0x0123_4567_89AB_CDEF);
    type Write = fn(usize, u64, bool) -> String;
    let dialects: [(&str, Write); 3] =
        [("/v1/chat/completions", openai), ("/completion", llama), ("/generate", sglang)];
    for round in 0..300 {
        for (path, event) in dialects {
            let (mut told, _) = interleaved(random, event);
            told.truncate(1 + random.below(told.len()));
            let output = events(path, &noisy(random, &told, &JUNK), random);
            let seen = told.len() as u64;
            assert_eq!((output.tokens, output.usage.generated), (seen, Some(seen)), "{path} round {round}");
            let choice = |event: &String| {
                event.split(':').nth(if path == "/v1/chat/completions" { 3 } else { 2 }).unwrap().to_owned()
            };
            let ends =
                |event: &&String| event.contains("stop\":true") || event.contains("\"stop\"") && path != "/completion";
            let begun: std::collections::BTreeSet<_> = told.iter().map(choice).collect();
            let ended: std::collections::BTreeSet<_> = told.iter().filter(ends).map(choice).collect();
            assert_eq!(output.cut, begun != ended, "{path} round {round}");
        }
    }
}

/// One of several blocks or items, as Anthropic's messages and responses have them: thinking, text, tools.
#[test]
fn blocks_of_one_answer_are_counted_whatever_is_between_them() {
    let random = &mut Random(0xFEDC_BA98_7654_3210);
    for round in 0..300 {
        let (told, lengths) = interleaved(random, |block, _, _| {
            let kinds = [("text_delta", "text"), ("thinking_delta", "thinking"), ("input_json_delta", "partial_json")];
            let (kind, key) = kinds[block % 3];
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{block},\"delta\":{{\"type\":\"{kind}\",\"{key}\":\"x\"}}}}\n\n"
            )
        });
        let total = lengths.iter().sum::<u64>();
        let body = noisy(random, &told, &JUNK)
            + "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":7,\"output_tokens\":9}}\n\n";
        let output = events("/v1/messages", &body, random);
        assert_eq!((output.tokens, output.usage.generated, output.cut), (total, Some(9), true), "round {round}");
        let end = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        assert!(events("/v1/messages", &(body + end), random).terminal);

        let (told, lengths) = interleaved(random, |item, _, _| {
            let kind = ["output_text", "reasoning_text", "function_call_arguments"][item % 3];
            format!(
                "event: response.{kind}.delta\ndata: {{\"type\":\"response.{kind}.delta\",\"output_index\":{item},\"delta\":\"x\"}}\n\n"
            )
        });
        let total = lengths.iter().sum::<u64>();
        let body = noisy(random, &told, &JUNK);
        let output = events("/v1/responses", &body, random);
        assert_eq!((output.tokens, output.cut), (total, true), "round {round}");
        let end = "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":7,\"output_tokens\":9}}}\n\n";
        let output = events("/v1/responses", &(body + end), random);
        assert_eq!((output.terminal, output.usage.generated), (true, Some(9)), "round {round}");
    }
}

/// Ollama's lines, TGI's and LM Studio's events: one answer a stream.
#[test]
fn single_answers_are_counted_whatever_is_between_them() {
    let random = &mut Random(0x1357_9BDF_0246_8ACE);
    for round in 0..300 {
        let length = 1 + random.below(30);
        let lines: Vec<_> = (0..length)
            .map(|_| "{\"model\":\"m\",\"message\":{\"content\":\"x\"},\"done\":false}\n".to_owned())
            .collect();
        let body = noisy(random, &lines, &LINE_JUNK);
        let output = run("/api/chat", "application/x-ndjson", &body, random);
        assert_eq!((output.tokens, output.cut), (length as u64, true), "round {round}");
        let body = body + "{\"done\":true,\"done_reason\":\"stop\",\"eval_count\":5}\n";
        let output = run("/api/chat", "application/x-ndjson", &body, random);
        assert_eq!((output.terminal, output.usage.generated, output.cut), (true, Some(5), false), "round {round}");

        let told: Vec<_> = (1..=length)
            .map(|index| {
                let whole = if index == length { "\"xx\"" } else { "null" };
                format!("data:{{\"index\":{index},\"token\":{{\"text\":\"x\",\"special\":false}},\"generated_text\":{whole}}}\n\n")
            })
            .collect();
        let output = events("/generate_stream", &noisy(random, &told, &JUNK), random);
        assert_eq!((output.tokens, output.usage.generated), (length as u64, Some(length as u64)), "round {round}");
        assert!(output.terminal && output.usage.last && !output.cut);

        let told: Vec<_> = (0..length)
            .map(|_| "event: message.delta\ndata: {\"type\":\"message.delta\",\"content\":\"x\"}\n\n".to_owned())
            .collect();
        let body = noisy(random, &told, &JUNK);
        let output = events("/api/v1/chat", &body, random);
        assert_eq!((output.tokens, output.cut), (length as u64, true), "round {round}");
        let end = "event: chat.end\ndata: {\"type\":\"chat.end\",\"result\":{\"stats\":{\"input_tokens\":7,\"total_output_tokens\":9}}}\n\n";
        let output = events("/api/v1/chat", &(body + end), random);
        assert_eq!((output.terminal, output.usage.generated), (true, Some(9)), "round {round}");
    }
}

#[test]
fn junk_between_the_events_of_a_recorded_stream_changes_nothing_but_offsets() {
    let random = &mut Random(0x9E37_79B9_7F4A_7C15);
    let mut checked = 0;
    for mut fixture in readable() {
        let (junk, end) = match fixture.expect["framing"].as_str() {
            Some("sse") => (&JUNK[..], "\n\n"),
            Some("ndjson") => (&LINE_JUNK[..], "\n"),
            _ => continue,
        };
        let plain = read(&fixture, [fixture.body.as_slice()]);
        let body = String::from_utf8(fixture.body).unwrap();
        // What breaks off in the middle of an element says nothing of what would have followed.
        if !body.ends_with(end) {
            continue;
        }
        let events: Vec<String> = body.split_inclusive(end).map(str::to_owned).collect();
        fixture.body = noisy(random, &events, junk).into_bytes();
        let mut noisy = read(&fixture, [fixture.body.as_slice()]);
        (noisy.first_token, noisy.first_answer) = (plain.first_token, plain.first_answer);
        noisy.last_offset = plain.last_offset;
        assert_eq!(noisy, plain, "{}", fixture.name);
        checked += 1;
    }
    assert!(checked > 100, "{checked} streams");
}

#[test]
fn flipped_bytes_break_nothing() {
    let random = &mut Random(7);
    for mut fixture in readable().filter(|fixture| !fixture.body.is_empty()) {
        for _ in 0..5 {
            let at = random.below(fixture.body.len());
            fixture.body[at] = u8::try_from(random.below(256)).unwrap();
        }
        let whole = read(&fixture, [fixture.body.as_slice()]);
        assert_eq!(read(&fixture, fixture.body.chunks(13)), whole, "{}", fixture.name);
    }
}
