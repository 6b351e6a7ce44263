//! The life of an exchange, with exact instants. Events are passed in as a reader would emit them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod model;

use std::sync::Mutex;

use super::names::{AsSpelled, ModelNames};
use super::outcome::{ErrorType, Outcome};
use super::placement::PlacementReason;
use super::record::{Method, Record, TokenCount};
use super::residency::Residency;
use super::sink::Sink;
use super::trace::TraceId;
use super::vocabulary::{Defects, Dialect, FinishReason, Progress, Source};
use super::*;
use crate::wire::event::{Event, Timings, Tokens, Usage};
use crate::wire::reader::Reported;
use crate::wire::request::ModelScanner;
use crate::wire::route::{BodyFormat, Operation, Route};

const CHAT: Route = Route {
    endpoint: "/api/chat",
    dialect: Dialect::Ollama,
    operation: Operation::Chat,
    format: BodyFormat::Ollama,
    names_model: true,
};
/// The head itself reports nothing.
const NOTHING: Reported = Reported { prompt_tokens: None, generated_tokens: None, total: None, inference: None };
const OK: Head<'_> = Head { status: 200, content_type: None, content_encoding: None, reported: NOTHING };
const TEXT: Event<'_> = Event::Tokens(Tokens { answer: true, thinking: false, listed: None, choice: 0 });
const THOUGHT: Event<'_> = Event::Tokens(Tokens { answer: false, thinking: true, listed: None, choice: 0 });

fn on(backend: &str) -> Placement {
    Placement { backend: backend.into(), reason: PlacementReason::Only, attempt: 1, queued: Duration::ZERO, held: None }
}

/// One call of a watch.
#[derive(Clone, Debug, PartialEq)]
enum SinkCall {
    Placed(String),
    Requested(Option<String>),
    Forwarded,
    Uploaded,
    Elsewhere,
    Answered(String),
    Phase(Phase),
    Tokens(TokenFrame),
    Progress(u64),
    Finished(Outcome),
}

#[derive(Clone, Default)]
struct Recorder {
    calls: Arc<Mutex<Vec<SinkCall>>>,
    records: Arc<Mutex<Vec<Record>>>,
    panics_on_tokens: bool,
}

impl Recorder {
    fn record_call(&self, call: SinkCall) {
        self.calls.lock().unwrap().push(call);
    }
    fn calls(&self) -> Vec<SinkCall> {
        self.calls.lock().unwrap().clone()
    }
    fn frames(&self) -> Vec<TokenFrame> {
        self.calls()
            .into_iter()
            .filter_map(|call| if let SinkCall::Tokens(frame) = call { Some(frame) } else { None })
            .collect()
    }
    fn record(&self) -> Record {
        let records = self.records.lock().unwrap();
        assert_eq!(records.len(), 1, "an exchange ends exactly once");
        records[0].clone()
    }
}

impl Sink for Recorder {
    type Watch = Self;

    fn started(&self, _start: &Start) -> Self {
        self.clone()
    }
}

impl Watch for Recorder {
    fn placed(&mut self, placement: &Placement) {
        self.record_call(SinkCall::Placed(placement.backend.to_string()));
    }
    fn requested(&mut self, model: Option<&NamedModel>) {
        self.record_call(SinkCall::Requested(model.map(|name| name.to_string())));
    }
    fn forwarded(&mut self) {
        self.record_call(SinkCall::Forwarded);
    }
    fn uploaded(&mut self, _: Instant) {
        self.record_call(SinkCall::Uploaded);
    }
    fn elsewhere(&mut self) {
        self.record_call(SinkCall::Elsewhere);
    }
    fn answered(&mut self, model: &NamedModel) {
        self.record_call(SinkCall::Answered(model.to_string()));
    }
    fn phase(&mut self, phase: Phase) {
        self.record_call(SinkCall::Phase(phase));
    }
    fn tokens(&mut self, frame: TokenFrame) {
        assert!(!self.panics_on_tokens, "on purpose");
        self.record_call(SinkCall::Tokens(frame));
    }
    fn progress(&mut self, progress: Progress) {
        self.record_call(SinkCall::Progress(progress.completed));
    }
    fn finished(&mut self, record: &Record) {
        self.record_call(SinkCall::Finished(record.outcome));
        self.records.lock().unwrap().push(record.clone());
    }
}

/// One exchange under test: instants are milliseconds after time zero, and frames of one element are 10 bytes.
struct Case {
    observation: Box<Observation>,
    recorder: Recorder,
    zero: Instant,
    streamed: bool,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Case {
    fn on(route: Route, recorder: Recorder, residency: &Arc<Residency>) -> Self {
        let zero = Instant::now();
        let start = Start {
            id: 1,
            method: Method::Post,
            route,
            trace: TraceId::from_random(1),
            parent: None,
            client: None,
            conversation: None,
            at: zero,
        };
        let settings = Settings { stall: Some(ms(5000)) };
        let context = ObservationContext { settings, residency: Arc::clone(residency), names: Arc::new(AsSpelled) };
        let mut observation = Observation::start(start, &Rc::new(context), &DecodeBudget::unlimited(), &recorder);
        observation.placed(on("local"), zero);
        Self { observation, recorder, zero, streamed: true }
    }

    fn chat() -> Self {
        Self::on(CHAT, Recorder::default(), &Arc::default())
    }

    /// A stream whose head has arrived at 10 ms.
    fn stream() -> Self {
        let mut case = Self::chat();
        case.observation.forwarded(Instant::now());
        case.observation.request_uploaded(case.zero);
        case.head(OK, 10);
        case.reading(true, true);
        case
    }

    /// A whole body whose head has arrived at 10 ms.
    fn whole() -> Self {
        let mut case = Self::stream();
        case.reading(false, false);
        case
    }

    fn at(&self, after: u64) -> Instant {
        self.zero + ms(after)
    }

    /// A whole body of a request.
    fn request(&mut self, body: &str) {
        let mut scanner = ModelScanner::default();
        scanner.read(body.as_bytes());
        self.observation.request_piece(body.len());
        self.observation.requested(&scanner.facts());
    }

    fn head(&mut self, head: Head<'_>, after: u64) {
        self.observation.responded(&head, self.at(after));
    }

    /// Replaces the reader.
    fn reading(&mut self, streamed: bool, expects_terminal: bool) {
        self.streamed = streamed;
        self.observation.reader = None;
        self.observation.failed_reading =
            Some(Box::new(BodyReading { streamed, expects_terminal, defects: Defects::default() }));
    }

    fn frame(&mut self, after: u64, events: &[Event<'_>]) -> &mut Self {
        let now = self.at(after);
        self.observation.response_frame(&[b' '; 10], now);
        let offset = self.observation.response_bytes;
        events.iter().for_each(|event| self.observation.answer.observe(*event, offset, now));
        self.observation.settle_frame(self.streamed);
        self
    }

    fn end(self, end: End, status: u16, after: u64) -> Record {
        let now = self.at(after);
        self.observation.finish(end, status, now, ms(0));
        self.recorder.record()
    }

    fn complete(self, after: u64) -> Record {
        self.end(End::Complete, 200, after)
    }
}

fn usage(last: bool, prompt: u64, generated: u64) -> Event<'static> {
    Event::Usage(Usage { last, prompt: Some(prompt), generated: Some(generated), choices: 1, ..Usage::default() })
}

#[test]
fn time_zero_is_the_call_with_the_head() {
    let mut case = Case::stream();
    case.frame(40, &[THOUGHT]).frame(55, &[TEXT]).frame(70, &[Event::Terminal]);
    let record = case.complete(90);
    assert_eq!(record.time_to_first_byte, Some(ms(40)));
    assert_eq!(record.time_to_first_token, Some(ms(40)));
    assert_eq!(record.time_to_first_answer, Some(ms(55)));
    assert_eq!((record.first_token_offset, record.first_answer_offset), (Some(10), Some(20)));
    assert_eq!(record.duration, ms(90));
    assert!(record.streamed);
}

#[test]
fn the_first_byte_is_not_yet_a_token() {
    let mut case = Case::stream();
    case.frame(20, &[]).frame(50, &[TEXT]).frame(50, &[Event::Terminal]);
    let record = case.complete(60);
    assert_eq!((record.time_to_first_byte, record.time_to_first_token), (Some(ms(20)), Some(ms(50))));
}

#[test]
fn an_empty_frame_is_no_first_byte() {
    let mut case = Case::stream();
    let now = case.at(20);
    case.observation.response_frame(b"", now);
    assert_eq!(case.complete(60).time_to_first_byte, None);
}

#[test]
fn tokens_that_are_only_listed_are_counted_but_are_no_first_token() {
    let mut case = Case::stream();
    case.frame(20, &[Event::Tokens(Tokens { listed: Some(2), ..Tokens::default() })]);
    case.frame(30, &[Event::Tokens(Tokens { answer: true, listed: Some(1), thinking: false, choice: 0 })]);
    let record = case.end(End::ClientLeft, 200, 40);
    assert_eq!((record.time_to_first_token, record.token_events), (Some(ms(30)), 1));
    assert_eq!(record.generated_tokens, Some(TokenCount { value: 3, source: Source::Logprobs }));
}

#[test]
fn the_events_of_one_frame_share_the_gap_and_the_first_frame_has_none() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT, TEXT]).frame(25, &[]).frame(50, &[TEXT, TEXT, TEXT]).frame(60, &[TEXT]);
    let frame = |events, gap: Option<u64>| TokenFrame { events, tokens: events, gap: gap.map(ms), stalled: false };
    assert_eq!(case.recorder.frames(), [frame(2, None), frame(3, Some(30)), frame(1, Some(10))]);
    assert_eq!(case.complete(70).token_events, 6);
}

fn of_choice(choice: u64, listed: Option<u64>) -> Event<'static> {
    Event::Tokens(Tokens { answer: true, thinking: false, listed, choice })
}

/// vLLM with n = 4 makes a token of each choice every 30 ms, and sends them one by one.
#[test]
fn gaps_are_measured_for_each_choice_separately() {
    let mut case = Case::stream();
    for (step, at) in [20, 50, 80].into_iter().enumerate() {
        for choice in 0..4 {
            case.frame(at + choice, &[of_choice(choice, None)]);
            let gap = case.recorder.frames().last().unwrap().gap;
            assert_eq!(gap, (step > 0).then(|| ms(30)), "choice {choice} at {at}");
        }
    }
    case.frame(110, &[of_choice(2, None), of_choice(0, None), of_choice(2, None)]);
    let frames = case.recorder.frames();
    let frame = |events, gap| TokenFrame { events, tokens: events, gap: Some(ms(gap)), stalled: false };
    assert_eq!(frames[12..], [frame(1, 30), frame(2, 28)]);
    assert_eq!(case.complete(120).token_events, 15);
}

#[test]
fn choices_above_the_limit_have_no_gaps() {
    let mut case = Case::stream();
    for at in [20, 30, 40] {
        case.frame(at, &[of_choice(127, None), of_choice(128, None), of_choice(u64::MAX, None)]);
    }
    let gaps: Vec<_> = case.recorder.frames().iter().map(|frame| (frame.events, frame.gap)).collect();
    let (first, later) = ([(1, None), (2, None)], [(1, Some(ms(10))), (2, None)]);
    assert_eq!(gaps, [first, later, later].concat());
}

#[test]
fn choices_that_only_logprobs_count_have_no_time_per_token() {
    let mut case = Case::stream();
    for at in 0..10 {
        case.frame(20 + 10 * at, &[of_choice(at % 2, Some(1))]);
    }
    case.frame(120, &[Event::Terminal]);
    let record = case.complete(120);
    assert_eq!(record.generated_tokens, Some(TokenCount { value: 10, source: Source::Logprobs }));
    assert_eq!(record.time_per_output_token, None);
}

/// The next prompt of a list begins when the one before has ended: its first token waits for nothing that was made.
#[test]
fn choices_one_after_another_have_no_gap_between_them_and_no_stall() {
    let mut case = Case::stream();
    case.frame(20, &[of_choice(0, None)]).frame(9000, &[of_choice(1, None)]).frame(9020, &[of_choice(1, None)]);
    let gaps: Vec<_> = case.recorder.frames().iter().map(|frame| (frame.gap, frame.stalled)).collect();
    assert_eq!(gaps, [(None, false), (None, false), (Some(ms(20)), false)]);
    assert_eq!(case.complete(9030).stalls, 0);
}

#[test]
fn a_stall_of_all_choices_is_one_stall() {
    let mut case = Case::stream();
    case.frame(20, &[of_choice(0, None), of_choice(1, None)]);
    case.frame(6000, &[of_choice(0, None), of_choice(1, None)]).frame(6010, &[of_choice(1, None)]);
    assert_eq!(case.complete(6020).stalls, 1);
    let mut case = Case::stream();
    case.frame(20, &[of_choice(0, None), of_choice(1, None)]);
    case.frame(6000, &[of_choice(0, None)]).frame(6001, &[of_choice(1, None)]);
    assert_eq!(case.complete(6020).stalls, 1, "the second came immediately after");
}

#[test]
fn a_frame_that_was_read_late_ends_no_gap_and_opens_none() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT]).frame(30, &[TEXT]);
    case.observation.reading_held_back();
    case.frame(9030, &[TEXT]).frame(9031, &[TEXT]).frame(9041, &[TEXT]);
    let gaps: Vec<_> = case.recorder.frames().iter().map(|frame| (frame.gap, frame.stalled)).collect();
    let expected = [None, Some(10), None, None, Some(10)].map(|gap| (gap.map(ms), false));
    assert_eq!(gaps, expected);
    case.frame(9050, &[usage(true, 3, 5), Event::Terminal]);
    let record = case.complete(9050);
    assert_eq!((record.stalls, record.token_events), (0, 5));
    assert!(record.time_per_output_token.is_some(), "the first and the last token were read as they came");
    let mut late = Case::stream();
    late.frame(20, &[TEXT]).frame(30, &[TEXT]).frame(40, &[TEXT]);
    late.observation.reading_held_back();
    late.frame(9030, &[TEXT]).frame(9031, &[usage(true, 3, 4), Event::Terminal]);
    let record = late.complete(9040);
    assert_eq!((record.time_per_output_token, record.tokens_per_second), (None, None), "the client's pace");
}

#[test]
fn an_event_that_is_known_to_hold_several_tokens_gives_as_many_samples() {
    let mut case = Case::stream();
    case.frame(20, &[of_choice(0, Some(2))]).frame(50, &[of_choice(0, Some(3)), TEXT]).frame(60, &[TEXT]);
    let frame = |events, tokens, gap: Option<u64>| TokenFrame { events, tokens, gap: gap.map(ms), stalled: false };
    assert_eq!(case.recorder.frames(), [frame(1, 2, None), frame(2, 4, Some(30)), frame(1, 1, Some(10))]);
}

#[test]
fn a_gap_above_the_threshold_is_a_stall() {
    let mut case = Case::stream();
    case.frame(10, &[TEXT]).frame(5010, &[TEXT]).frame(10_011, &[TEXT]).frame(10_012, &[Event::Terminal]);
    let stalled: Vec<bool> = case.recorder.frames().iter().map(|frame| frame.stalled).collect();
    assert_eq!(stalled, [false, false, true]);
    assert_eq!(case.complete(10_020).stalls, 1);
}

#[test]
fn a_whole_response_has_no_token_times_but_counts_and_reported_durations() {
    let mut case = Case::whole();
    let timings = Timings { load: Some(ms(5)), prefill: Some(ms(20)), decode: Some(ms(1000)), total: None };
    case.frame(900, &[TEXT, usage(true, 7, 11), Event::Timings(timings), Event::Terminal]);
    assert_eq!(case.recorder.frames(), []);
    let record = case.complete(950);
    assert!(!record.streamed);
    assert_eq!(record.time_to_first_byte, Some(ms(900)));
    assert_eq!((record.time_to_first_token, record.time_to_first_answer, record.stalls), (None, None, 0));
    assert_eq!((record.first_token_offset, record.first_answer_offset), (None, None));
    assert_eq!((record.load, record.prefill, record.decode), (Some(ms(5)), Some(ms(20)), Some(ms(1000))));
    assert_eq!((record.time_per_output_token, record.tokens_per_second), (Some(ms(100)), Some(11.0)));
}

/// A server that prints milliseconds where nanoseconds are meant.
#[test]
fn durations_that_contradict_the_observed_time_are_a_defect_and_no_samples() {
    let nanos = |nanos| Some(Duration::from_nanos(nanos));
    let timings = Timings { load: nanos(5), prefill: nanos(20), decode: nanos(900), total: nanos(925) };
    for mut case in [Case::stream(), Case::whole()] {
        case.frame(20, &[TEXT]).frame(900, &[TEXT, usage(true, 7, 11), Event::Timings(timings), Event::Terminal]);
        let record = case.complete(950);
        assert_eq!((record.load, record.prefill, record.decode), (None, None, None));
        assert_eq!(record.defects.iter().collect::<Vec<_>>(), [(Defect::Duration, 1)]);
        assert_eq!((record.outcome, record.generated_tokens.unwrap().value), (Outcome::Completed, 11));
        assert_eq!(record.time_per_output_token, None, "two events cannot be eleven tokens");
    }
}

#[test]
fn a_whole_response_without_reported_durations_has_no_rate() {
    let mut case = Case::whole();
    case.frame(500, &[TEXT]).frame(900, &[TEXT, usage(true, 7, 2)]);
    let record = case.complete(950);
    assert_eq!((record.time_per_output_token, record.tokens_per_second), (None, None));
    assert_eq!(record.generated_tokens, Some(TokenCount { value: 2, source: Source::Reported }));
}

#[test]
fn a_body_that_turns_out_to_be_a_stream_keeps_its_first_instant() {
    let mut case = Case::whole();
    case.frame(30, &[TEXT]);
    assert_eq!(case.recorder.frames(), []);
    case.reading(true, true);
    case.frame(50, &[TEXT]).frame(60, &[Event::Terminal]);
    let gaps: Vec<_> = case.recorder.frames().iter().map(|frame| frame.gap).collect();
    assert_eq!(gaps, [None, Some(ms(20))]);
    assert_eq!(case.complete(60).time_to_first_token, Some(ms(30)));
}

#[test]
fn a_stream_without_reported_durations_is_timed_as_observed() {
    let mut case = Case::stream();
    for token in 0..11 {
        case.frame(100 + token * 20, &[TEXT]);
    }
    case.frame(310, &[usage(true, 3, 11), Event::Terminal]);
    let record = case.complete(320);
    assert_eq!((record.time_per_output_token, record.tokens_per_second), (Some(ms(20)), Some(50.0)));
}

#[test]
fn counted_events_are_kept_apart_from_stated_counts() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT]).frame(30, &[TEXT]);
    let record = case.end(End::ClientLeft, 200, 40);
    assert_eq!((record.generated_tokens, record.token_events), (None, 2));
    assert_eq!(record.best_generated(), Some(TokenCount { value: 2, source: Source::Chunks }));
    assert_eq!((record.time_per_output_token, record.tokens_per_second), (None, None));
}

#[test]
fn several_choices_have_no_time_per_token() {
    let mut case = Case::stream();
    let counts = Usage { last: true, generated: Some(4), choices: 2, ..Usage::default() };
    case.frame(20, &[TEXT, TEXT]).frame(1020, &[TEXT, TEXT, Event::Usage(counts), Event::Terminal]);
    let record = case.complete(1030);
    assert_eq!((record.time_per_output_token, record.tokens_per_second), (None, Some(3.0)));
}

#[test]
fn a_load_without_text_has_no_tokens() {
    let mut case = Case::whole();
    case.frame(900, &[Event::Model("m"), Event::Finish(FinishReason::Load), Event::Terminal]);
    let record = case.complete(900);
    assert!(record.only_loads() && !record.is_generation());
    assert_eq!((record.outcome, record.prompt_tokens, record.generated_tokens), (Outcome::Completed, None, None));
}

#[test]
fn phases_follow_the_exchange_and_never_go_back() {
    let mut case = Case::chat();
    assert_eq!(case.observation.phase(), Phase::Upload);
    case.observation.forwarded(Instant::now());
    case.observation.request_uploaded(case.zero);
    assert_eq!(case.observation.phase(), Phase::Waiting);
    case.head(OK, 10);
    assert_eq!(case.observation.phase(), Phase::Prefill);
    case.reading(true, true);
    case.frame(20, &[]);
    assert_eq!(case.observation.phase(), Phase::Prefill);
    case.frame(30, &[TEXT]);
    assert_eq!(case.observation.phase(), Phase::Decode);
    case.observation.request_uploaded(case.zero);
    assert_eq!(case.observation.phase(), Phase::Decode);
    let phases: Vec<_> = case.recorder.calls().into_iter().filter(|call| matches!(call, SinkCall::Phase(_))).collect();
    assert_eq!(phases, [Phase::Waiting, Phase::Prefill, Phase::Decode].map(SinkCall::Phase));
}

#[test]
fn a_head_that_comes_before_the_upload_is_done_ends_the_upload() {
    let mut case = Case::chat();
    case.head(Head { status: 413, ..OK }, 10);
    assert_eq!(case.observation.phase(), Phase::Prefill);
    let record = case.end(End::Complete, 413, 20);
    assert_eq!((record.outcome, record.error), (Outcome::HttpError, None));
}

#[test]
fn a_client_that_leaves_is_cancelled_before_the_terminal_event_and_completed_after() {
    let mut before = Case::stream();
    before.frame(20, &[TEXT]);
    let record = before.end(End::ClientLeft, 200, 30);
    assert_eq!((record.outcome, record.phase, record.error), (Outcome::ClientCancelled, Phase::Decode, None));
    let mut after = Case::stream();
    after.frame(20, &[TEXT, Event::Terminal]);
    assert_eq!(after.end(End::ClientLeft, 200, 30).outcome, Outcome::Completed);
}

#[test]
fn a_client_that_leaves_before_a_head_waits_with_status_499() {
    let mut case = Case::chat();
    case.observation.request_uploaded(case.zero);
    let record = case.end(End::ClientLeft, CLIENT_CLOSED_REQUEST, 30);
    assert_eq!((record.outcome, record.phase, record.status), (Outcome::ClientCancelled, Phase::Waiting, 499));
}

#[test]
fn a_clean_end_without_the_terminal_event_is_truncated() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT]);
    let record = case.complete(30);
    assert_eq!((record.outcome, record.error), (Outcome::Truncated, Some(ErrorType::Truncated)));
}

#[test]
fn an_error_inside_a_success_keeps_its_status() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT]).frame(30, &[Event::Error]);
    let record = case.complete(30);
    assert_eq!((record.outcome, record.status), (Outcome::StreamError, 200));
    assert_eq!(record.error, Some(ErrorType::StreamError));
}

#[test]
fn an_error_in_the_body_of_an_error_status_is_an_http_error() {
    let mut case = Case::chat();
    case.head(Head { status: 500, ..OK }, 10);
    case.reading(false, false);
    case.frame(20, &[Event::Error]);
    let record = case.end(End::Complete, 500, 30);
    assert_eq!((record.outcome, record.error), (Outcome::HttpError, Some(ErrorType::Http5xx)));
}

/// glibc caches freed blocks of up to 1,032 bytes for each thread; larger ones cost ten times as much.
#[test]
fn an_observation_fits_into_a_block_that_allocators_cache() {
    let bytes = size_of::<Observation>();
    println!("an observation is {bytes} bytes");
    assert!(bytes <= 1024, "{bytes} bytes");
}

#[test]
fn an_observation_dropped_unfinished_is_cancelled_by_the_client() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT]).frame(45, &[TEXT]);
    let recorder = case.recorder.clone();
    drop(case.observation);
    let record = recorder.record();
    assert_eq!((record.outcome, record.status, record.phase), (Outcome::ClientCancelled, 200, Phase::Decode));
    assert_eq!((record.duration, record.overhead), (ms(45), None));
    let waiting = Case::chat();
    let recorder = waiting.recorder.clone();
    drop(waiting.observation);
    assert_eq!((recorder.record().status, recorder.record().duration), (499, ms(0)));
}

#[test]
fn after_a_fault_nothing_is_parsed_and_the_rest_stays_right() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT]);
    case.observation.defect(Defect::Panic);
    let now = case.at(30);
    case.observation.response_frame(b"12345", now);
    case.head(OK, 31);
    assert!(case.observation.reader.is_none());
    let record = case.complete(40);
    assert_eq!((record.outcome, record.error, record.status), (Outcome::Completed, None, 200));
    assert_eq!((record.response_bytes, record.duration), (15, ms(40)));
    assert_eq!((record.time_to_first_byte, record.time_to_first_token), (Some(ms(20)), Some(ms(20))));
    assert_eq!(record.defects.iter().collect::<Vec<_>>(), [(Defect::Panic, 1)]);
}

#[test]
fn a_fault_in_the_middle_of_a_call_loses_no_byte_and_no_end() {
    let recorder = Recorder { panics_on_tokens: true, ..Recorder::default() };
    let mut case = Case::on(CHAT, recorder, &Arc::default());
    case.head(OK, 10);
    case.reading(true, true);
    assert!(catch_unwind(AssertUnwindSafe(|| case.frame(20, &[TEXT]).streamed)).is_err());
    case.observation.defect(Defect::Panic);
    let record = case.complete(40);
    assert_eq!((record.response_bytes, record.outcome), (10, Outcome::Completed));
}

#[test]
fn a_fault_does_not_excuse_the_backend() {
    let mut case = Case::stream();
    case.observation.defect(Defect::Panic);
    let record = case.end(End::BackendFailed(ErrorType::Reset), 200, 40);
    assert_eq!((record.outcome, record.error), (Outcome::BackendFailed, Some(ErrorType::Reset)));
}

#[test]
fn a_tunnel_is_not_parsed_and_has_no_overhead() {
    let mut case = Case::chat();
    case.head(Head { status: 101, ..OK }, 10);
    case.observation.tunnelled();
    let record = case.end(End::ClientLeft, 101, 5000);
    assert_eq!((record.outcome, record.tunnel, record.overhead), (Outcome::Completed, true, None));
}

#[test]
fn time_that_runs_backwards_counts_as_none() {
    let mut case = Case::stream();
    case.frame(50, &[TEXT]).frame(40, &[TEXT, Event::Terminal]);
    assert_eq!(case.recorder.frames()[1].gap, Some(ms(0)));
    assert_eq!(case.complete(30).duration, ms(40));
}

/// An exchange with real bodies: the request, then pieces of the response a millisecond apart.
fn spoken(path: &str, request: &str, pieces: &[String], end: End) -> (Record, Recorder) {
    let mut case = Case::on(Route::of("POST", path), Recorder::default(), &Arc::default());
    case.request(request);
    case.observation.forwarded(Instant::now());
    case.observation.request_uploaded(case.zero);
    case.head(Head { content_type: Some(b"text/event-stream"), ..OK }, 10);
    for (piece, at) in pieces.iter().zip(11..) {
        let now = case.at(at);
        case.observation.response_frame(piece.as_bytes(), now);
    }
    let recorder = case.recorder.clone();
    let now = case.at(100);
    case.observation.finish(end, 200, now, Duration::ZERO);
    (recorder.record(), recorder)
}

/// One event of llama.cpp's own: choice, generated tokens so far, and whether it is the last of the choice.
fn native(index: u64, generated: u64, last: bool) -> String {
    let text = if last { "" } else { "x" };
    format!(
        "data: {{\"index\":{index},\"content\":\"{text}\",\"stop\":{last},\"tokens_predicted\":{generated},\"tokens_evaluated\":4}}\n\n"
    )
}

#[test]
fn choices_of_one_prompt_share_it_and_prompts_of_a_list_do_not() {
    let closing = |index: u64| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"text\":\"\",\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":4,\"completion_tokens\":19}}}}\n\n"
        )
    };
    let openai = [closing(0), closing(1), "data: [DONE]\n\n".to_owned()];
    let llama = [native(0, 19, true), native(1, 19, true)];
    for (path, pieces) in [("/v1/completions", &openai[..]), ("/completion", &llama[..])] {
        for (request, prompt) in [
            (r#"{"prompt":"x","n":2}"#, 4),
            (r#"{"prompt":["x"],"n":2}"#, 4),
            (r#"{"prompt":["x","y"]}"#, 8),
            (r#"{"prompt":[[1,2],[3]]}"#, 8),
        ] {
            let (record, _) = spoken(path, request, pieces, End::Complete);
            let counts = (record.prompt_tokens.unwrap().value, record.generated_tokens.unwrap().value);
            assert_eq!(counts, (prompt, 38), "{path} {request}");
            assert_eq!(record.outcome, Outcome::Completed);
        }
    }
}

/// llama.cpp begins the third prompt of a list only when a place is free: by then all that was seen had ended.
#[test]
fn a_list_of_prompts_that_is_left_after_the_end_of_one_is_cancelled_and_counted_so_far() {
    let list = r#"{"prompt":["x","y","z"]}"#;
    let ended = [native(0, 1, true), native(1, 1, true)];
    let (record, _) = spoken("/completion", list, &ended, End::Complete);
    assert_eq!((record.outcome, record.generated_tokens.unwrap().source), (Outcome::Completed, Source::Reported));
    let left: Vec<_> = ended.into_iter().chain([native(2, 1, false), native(2, 5, false)]).collect();
    let (record, _) = spoken("/completion", list, &left, End::ClientLeft);
    assert_eq!(record.outcome, Outcome::ClientCancelled);
    assert_eq!(record.generated_tokens, Some(TokenCount { value: 7, source: Source::Running }));
    assert_eq!(record.prompt_tokens, Some(TokenCount { value: 12, source: Source::Running }));
    let (record, _) = spoken("/completion", list, &left, End::Complete);
    assert_eq!(record.outcome, Outcome::Truncated);
}

#[test]
fn a_stream_that_the_end_of_a_drain_cuts_was_not_rejected() {
    let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n".to_owned();
    let drained = End::Rejected(ErrorType::Draining);
    let (record, _) = spoken("/v1/chat/completions", "{}", &[event.clone(), event], drained);
    assert_eq!((record.outcome, record.error), (Outcome::Truncated, Some(ErrorType::Draining)));
    let mut waiting = Case::chat();
    waiting.observation.forwarded(Instant::now());
    let record = waiting.end(drained, 503, 40);
    assert_eq!((record.outcome, record.error), (Outcome::Rejected, Some(ErrorType::Draining)));
}

#[test]
fn a_transfer_reports_its_bytes_while_it_runs() {
    let layer =
        |completed: u64| format!("{{\"status\":\"x\",\"digest\":\"d\",\"total\":9,\"completed\":{completed}}}\n");
    let pieces = [layer(2), layer(5), layer(9), "{\"status\":\"success\"}\n".to_owned()];
    let (record, recorder) = spoken("/api/pull", "{}", &pieces, End::Complete);
    assert_eq!((record.progress_bytes, record.outcome), (Some(9), Outcome::Completed));
    let moved: Vec<_> = recorder.calls().into_iter().filter(|call| matches!(call, SinkCall::Progress(_))).collect();
    assert_eq!(moved[..3], [SinkCall::Progress(2), SinkCall::Progress(5), SinkCall::Progress(9)]);
    assert!(record.streamed);
}

/// The answer took 90 ms, and a busy machine read it in two goes.
#[test]
fn tokens_read_in_two_frames_have_no_time_per_token() {
    let mut case = Case::stream();
    let usage = Event::Usage(Usage { last: true, generated: Some(18), choices: 1, ..Usage::default() });
    case.frame(89, &[TEXT; 17]).frame(95, &[TEXT, usage, Event::Terminal]);
    let record = case.complete(100);
    assert_eq!((record.time_per_output_token, record.tokens_per_second), (None, None));
}

#[test]
fn a_record_has_the_offset_of_each_step() {
    let mut case = Case::chat();
    let at = |after| case.zero + ms(after);
    let (dialled, sent, uploaded) = (at(3), at(4), at(6));
    case.observation.dialled(dialled);
    case.observation.forwarded(sent);
    case.observation.request_uploaded(uploaded);
    case.head(OK, 10);
    case.reading(true, true);
    for after in [20, 50, 55, 80] {
        case.frame(after, &[TEXT]);
    }
    let record = case.complete(90);
    let timeline = Timeline {
        placed: Some(ms(0)),
        dialled: Some(ms(3)),
        sent: Some(ms(4)),
        uploaded: Some(ms(6)),
        head: Some(ms(10)),
    };
    assert_eq!((record.timeline, record.largest_gap), (timeline, Some(ms(30))));
}

#[test]
fn another_backend_restarts_the_timeline_and_a_whole_answer_has_no_gap() {
    let mut case = Case::chat();
    let (sent, again) = (case.at(4), case.at(9));
    case.observation.forwarded(sent);
    case.observation.placed(Placement { attempt: 2, ..on("other") }, again);
    let record = case.end(End::Rejected(ErrorType::Limit), 503, 12);
    assert_eq!(record.timeline, Timeline { placed: Some(ms(9)), ..Timeline::default() });
    let mut whole = Case::whole();
    whole.frame(20, &[TEXT]).frame(50, &[TEXT]);
    assert_eq!(whole.complete(60).largest_gap, None);
}

/// vLLM (`entrypoints/openai/completion/serving.py`): with `echo` the lists of the first event begin with the prompt's tokens.
#[test]
fn lists_that_also_have_the_prompt_count_no_generated_tokens() {
    let event = |text: &str, tokens: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"text\":\"{text}\",\"logprobs\":{{\"tokens\":[{tokens}]}}}}]}}\n\n"
        )
    };
    let pieces = [event("a b c", r#""a"," b"," c""#), event(" d", r#"" d""#)];
    let generated = |echo: &str, path| {
        let request = format!(r#"{{"model":"m","prompt":"a b","stream":true,"logprobs":1{echo}}}"#);
        spoken(path, &request, &pieces, End::ClientLeft).0.generated_tokens.map(|count| (count.value, count.source))
    };
    let listed = Some((4, Source::Logprobs));
    assert_eq!(generated(r#","echo":true"#, "/v1/completions"), None);
    assert_eq!(generated(r#","echo":1"#, "/v1/completions"), None);
    for none in ["", r#","echo":false"#, r#","echo":null"#, r#","echo":true,"echo":false"#] {
        assert_eq!(generated(none, "/v1/completions"), listed, "{none}");
    }
    let counted = [
        &pieces[..],
        &[String::from("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2}}\n\n")],
    ];
    let request = r#"{"model":"m","prompt":"a b","stream":true,"logprobs":1,"echo":true}"#;
    let (record, _) = spoken("/v1/completions", request, &counted.concat(), End::ClientLeft);
    assert_eq!(record.generated_tokens, Some(TokenCount { value: 2, source: Source::Reported }));
}
