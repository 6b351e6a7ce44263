//! Any split, any interleaving of choices, any junk between: the sums stay right, and nothing breaks.

use inferometer::wire::event::{Event, Usage};
use inferometer::wire::reader::{Head, Reader, Reported};
use inferometer::wire::route::Route;

use super::{read, readable};

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

const JUNK: [&str; 8] = [
    ": ping\n\n",
    ":\r\n\r\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "id: 7\nretry: 10\n\n",
    "data: \n\n",
    "\n\n\n",
    "data: {\"unknown\":{\"deep\":[[[{}]]]}}\n\n",
    "nonsense\n\n",
];

/// Reads in pieces of random size. Returns the token events and the last counts.
fn run(path: &str, body: &str, random: &mut Random) -> (u64, Usage, bool) {
    let head = Head {
        status: 200,
        content_type: Some(b"text/event-stream"),
        content_encoding: None,
        reported: Reported::default(),
    };
    let mut reader = Reader::new(Route::of("POST", path), &head);
    let (mut tokens, mut usage, mut terminal) = (0, Usage::default(), false);
    let mut emit = |event: Event<'_>, _| match event {
        Event::Tokens(_) => tokens += 1,
        Event::Usage(told) => usage = told,
        Event::Terminal => terminal = true,
        _ => {}
    };
    let mut rest = body.as_bytes();
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(1 + random.below(rest.len().min(90)));
        reader.read(piece, &mut emit);
        rest = more;
    }
    reader.end(&mut emit);
    (tokens, usage, terminal)
}

/// Choices of random length, each in order, interleaved at random with junk between. Returns the body and the length
/// of each choice.
fn interleaved(random: &mut Random, event: impl Fn(usize, usize, bool) -> String) -> (String, Vec<usize>) {
    let lengths: Vec<usize> = (0..1 + random.below(5)).map(|_| 1 + random.below(20)).collect();
    // Every choice is begun before any ends, as servers that answer several at once do.
    let mut body: String = (0..lengths.len()).map(|choice| event(choice, 1, false)).collect();
    let mut told = vec![1; lengths.len()];
    loop {
        let open: Vec<usize> = (0..lengths.len()).filter(|choice| told[*choice] <= lengths[*choice]).collect();
        let Some(choice) = (!open.is_empty()).then(|| open[random.below(open.len())]) else { return (body, lengths) };
        told[choice] += 1;
        body += &event(choice, told[choice], told[choice] > lengths[choice]);
        body += JUNK[random.below(JUNK.len())];
    }
}

#[test]
fn running_counts_of_interleaved_choices_are_summed() {
    let random = &mut Random(0x2545_F491_4F6C_DD1D);
    for round in 0..200 {
        let openai = |choice, count, last| {
            let (finish, usage) = if last { ("\"stop\"", count) } else { ("null", count) };
            format!(
                "data: {{\"choices\":[{{\"index\":{choice},\"delta\":{{\"content\":\"x\"}},\"finish_reason\":{finish}}}],\"usage\":{{\"prompt_tokens\":7,\"completion_tokens\":{usage}}}}}\n\n"
            )
        };
        let (body, lengths) = interleaved(random, openai);
        let total = lengths.iter().map(|length| length + 1).sum::<usize>() as u64;
        let (tokens, usage, terminal) = run("/v1/chat/completions", &(body + "data: [DONE]\n\n"), random);
        assert_eq!((tokens, usage.generated, usage.prompt), (total, Some(total), Some(7)), "round {round}");
        assert!(terminal && usage.last);

        let llama = |choice, count, last| {
            format!(
                "data: {{\"index\":{choice},\"content\":\"x\",\"stop\":{last},\"tokens_predicted\":{count},\"tokens_evaluated\":7}}\n\n"
            )
        };
        let (body, lengths) = interleaved(random, llama);
        let total = lengths.iter().map(|length| length + 1).sum::<usize>() as u64;
        let (tokens, usage, terminal) = run("/completion", &body, random);
        assert_eq!((tokens, usage.generated), (total, Some(total)), "round {round}");
        assert_eq!((usage.prompt, terminal, usage.last), (Some(7 * lengths.len() as u64), true, true), "round {round}");

        let sglang = |choice, count, last| {
            let finish = if last { "{\"type\":\"stop\"}" } else { "null" };
            format!(
                "data: {{\"index\":{choice},\"text\":\"x\",\"meta_info\":{{\"prompt_tokens\":7,\"completion_tokens\":{count},\"finish_reason\":{finish}}}}}\n\n"
            )
        };
        let (body, lengths) = interleaved(random, sglang);
        let total = lengths.iter().map(|length| length + 1).sum::<usize>() as u64;
        let (tokens, usage, terminal) = run("/generate", &(body + "data: [DONE]\n\n"), random);
        assert_eq!((tokens, usage.generated, terminal), (total, Some(total), true), "round {round}");
    }
}

#[test]
fn junk_between_the_events_of_a_recorded_stream_changes_nothing_but_offsets() {
    let random = &mut Random(0x9E37_79B9_7F4A_7C15);
    for mut fixture in readable().filter(|fixture| fixture.expect["framing"] == "sse") {
        let plain = read(&fixture, [fixture.body.as_slice()]);
        let body = String::from_utf8(fixture.body).unwrap();
        let junk = || JUNK.iter().filter(|junk| !junk.contains("unknown") && !junk.contains("data: \n"));
        let choices: Vec<&str> = junk().copied().collect();
        fixture.body = body
            .split_inclusive("\n\n")
            .flat_map(|event| [event, choices[random.below(choices.len())]])
            .collect::<String>()
            .into_bytes();
        let mut noisy = read(&fixture, [fixture.body.as_slice()]);
        (noisy.first_token, noisy.first_answer) = (plain.first_token, plain.first_answer);
        noisy.last_offset = plain.last_offset;
        assert_eq!(noisy, plain, "{}", fixture.name);
    }
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
