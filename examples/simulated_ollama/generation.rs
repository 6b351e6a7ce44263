//! One generation: load, prefill, decode, each at the model's pace, and the clock over all of it.
//!
//! It is pulled piece by piece; whoever stops pulling and drops it has cancelled it. Durations are measured, not
//! computed, so they agree with what a client sees.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::answer::Refusal;
use crate::ask::Ask;
use crate::residency::Lease;
use crate::script::{Ending, Piece, Script};
use crate::world::{Pace, Tally, World};

/// How long `[[stall]]` is silent.
const STALL: Duration = Duration::from_secs(6);

/// What a real server says when its runner dies.
pub(crate) const RUNNER_ERROR: &str = "an error was encountered while running the model: unexpected EOF";

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step {
    /// More of the answer.
    Piece(Piece),
    /// The end, with the final figures.
    Done(Figures),
    /// The end, with an error.
    Failed,
    /// The end, without a word.
    Cut,
}

/// The figures of the final object. Durations never are zero: zero would read as unknown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// `stop` or `length`.
    pub(crate) reason: &'static str,
    /// From the request to now.
    pub(crate) total: Duration,
    /// From the request until the model was ready.
    pub(crate) load: Duration,
    /// Tokens in the prompt.
    pub(crate) prompt_tokens: u32,
    /// Those of them that it remembered, where it remembers any.
    pub(crate) cached_tokens: Option<u32>,
    /// Reading the prompt.
    pub(crate) prefill: Duration,
    /// Tokens generated, thinking and tool calls included.
    pub(crate) tokens: u32,
    /// Generating them.
    pub(crate) decode: Duration,
}

/// A generation under way.
#[derive(Debug)]
pub(crate) struct Generation {
    script: Script,
    pace: Pace,
    rate: f64,
    started: Instant,
    decode_from: Instant,
    due: Duration,
    figures: Figures,
    // Order matters: a generation is counted out before its model is let go.
    running: Running,
    _place: Option<OwnedSemaphorePermit>,
    _lease: Lease,
}

impl Generation {
    /// Loads the model if it is cold and reads the prompt.
    pub(crate) async fn start(world: &World, ask: &Ask) -> Result<Self, Refusal> {
        let started = Instant::now();
        if ask.question.contains("[[refuse]]") || world.fails.load(Relaxed) {
            return Err(Refusal::new(500, "llama runner process has terminated: exit status 2"));
        }
        let running = Running::new(&world.tally);
        let lease = world.residency.lease(ask.model, ask.context, ask.keep_alive, world.pace).await;
        let load = at_least_a_tick(started.elapsed());
        let place = world.place(ask.model).await;
        let script = Script::new(ask);
        let prompt_tokens = ask.prompt_tokens();
        let cached_tokens = world.prompts.remember(ask.model.weights, &ask.prompt, prompt_tokens);
        let (reading, read) = (Instant::now(), prompt_tokens - cached_tokens.unwrap_or(0));
        wait_until(reading + world.pace.steps(read, ask.model.prefill_rate)).await;
        let decode_from = Instant::now();
        let prefill = at_least_a_tick(decode_from - reading);
        let (total, decode) = (Duration::ZERO, Duration::ZERO);
        let reason = "stop";
        let figures = Figures { reason, total, load, prompt_tokens, cached_tokens, prefill, tokens: 0, decode };
        let rate = script.rate.unwrap_or(ask.model.decode_rate);
        let (pace, due) = (world.pace, Duration::ZERO);
        Ok(Self { script, pace, rate, started, decode_from, due, figures, running, _place: place, _lease: lease })
    }

    /// Waits for what comes next. After any end, nothing comes.
    pub(crate) async fn next(&mut self) -> Step {
        if self.script.stall_before == Some(self.script.pieces.len()) {
            self.script.stall_before = None;
            tokio::time::sleep(STALL).await;
            self.due += STALL;
        }
        let Some(piece) = self.script.pieces.pop_front() else {
            return self.end();
        };
        self.due += self.pace.steps(piece.tokens, self.rate);
        wait_until(self.decode_from + self.due).await;
        self.figures.tokens += piece.tokens;
        self.running.tally.tokens.fetch_add(u64::from(piece.tokens), Relaxed);
        Step::Piece(piece)
    }

    fn end(&mut self) -> Step {
        self.running.ended = true;
        self.figures.reason = match self.script.ending {
            Ending::Stop => "stop",
            Ending::Length => "length",
            Ending::Error => return Step::Failed,
            Ending::Cut => return Step::Cut,
        };
        self.figures.decode = at_least_a_tick(self.decode_from.elapsed());
        self.figures.total = self.started.elapsed();
        Step::Done(self.figures)
    }
}

/// Waits on absolute moments, so that what a timer is late by does not add up. What is due at once never waits: timers
/// know only milliseconds.
async fn wait_until(moment: Instant) {
    if moment > Instant::now() {
        tokio::time::sleep_until(moment.into()).await;
    }
}

fn at_least_a_tick(duration: Duration) -> Duration {
    duration.max(Duration::from_nanos(1))
}

/// Counts a generation in and out.
#[derive(Debug)]
struct Running {
    tally: Arc<Tally>,
    ended: bool,
}

impl Running {
    fn new(tally: &Arc<Tally>) -> Self {
        tally.running.fetch_add(1, Relaxed);
        Self { tally: Arc::clone(tally), ended: false }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tally.running.fetch_sub(1, Relaxed);
        let outcome = if self.ended { &self.tally.ended } else { &self.tally.cancelled };
        outcome.fetch_add(1, Relaxed);
    }
}
