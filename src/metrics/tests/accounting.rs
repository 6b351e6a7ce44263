//! Every exchange is counted exactly once, whatever its life was.

use super::*;
use crate::exchange::names::{AsSpelled, NamedModel};
use crate::exchange::outcome::{End, ErrorType};
use crate::exchange::vocabulary::Defect;
use crate::exchange::{self, Observation};
use crate::wire::budget::DecodeBudget;
use crate::wire::reader::{Head, Reported};
use crate::wire::request::RequestFacts;

/// A small generator (xorshift64*), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }
}

const LIVES: u64 = 5_000;

fn assert_all_counted(metrics: &Metrics, lives: u64) {
    assert_eq!(values(metrics, "requests_total").iter().sum::<f64>(), lives as f64);
    assert_eq!(values(metrics, "requests_started_total").iter().sum::<f64>(), lives as f64);
    for gauge in ["active_requests", "active_generations", "exchanges_in_phase"] {
        assert!(values(metrics, gauge).iter().all(|value| *value == 0.0), "{gauge} returns to zero");
    }
}

/// A life of an observation: each step may be left out, and it may be dropped anywhere.
fn live(observation: &mut Observation, at: Instant, dice: &mut Dice) {
    for step in 0..dice.roll(7) {
        let now = at + ms(step * 10);
        match step {
            0 => observation.forwarded(Instant::now()),
            1 => observation.requested(&RequestFacts { model: Some("m"), ..RequestFacts::default() }),
            2 => observation.request_uploaded(now),
            3 => observation.responded(
                &Head { status: 200, content_type: None, content_encoding: None, reported: Reported::default() },
                now,
            ),
            4 if dice.roll(4) == 0 => observation.defect(Defect::Panic),
            5 if dice.roll(8) == 0 => observation.tunnelled(),
            _ => observation.response_frame(b"{}", now),
        }
    }
}

#[test]
fn every_observation_is_counted_once_however_it_ends() {
    let metrics = metrics();
    let settings = exchange::Settings { stall: Some(ms(5000)) };
    let context = exchange::ObservationContext { settings, residency: Arc::default(), names: Arc::new(AsSpelled) };
    let shared = std::rc::Rc::new(context);
    let mut dice = Dice(0x00C0_FFEE);
    for id in 0..LIVES {
        let start = Start { id, ..start(dice.one(&[CHAT, OPENAI, TAGS])) };
        let at = start.at;
        let mut observation = Observation::start(start, &shared, &DecodeBudget::unlimited(), &*metrics);
        live(&mut observation, at, &mut dice);
        let end = dice.one(&[
            Some(End::Complete),
            Some(End::ClientLeft),
            Some(End::Rejected(ErrorType::Limit)),
            Some(End::BackendFailed(ErrorType::Reset)),
            None,
        ]);
        match end {
            Some(end) => drop(observation.finish(end, dice.one(&[200, 404, 499, 502]), at + ms(100), ms(1))),
            None => drop(observation),
        }
    }
    assert_all_counted(&metrics, LIVES);
    assert_eq!(
        values(&metrics, "errors_total").iter().sum::<f64>(),
        text(&metrics)
            .lines()
            .filter(|line| line.starts_with("ollama_proxy_requests_total{"))
            .filter(|line| {
                ["backend_failed", "rejected", "stream_error", "truncated"].iter().any(|outcome| line.contains(outcome))
                    || (line.contains("http_error") && line.contains("status=\"5"))
            })
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum::<f64>()
    );
}

#[test]
fn models_beyond_every_cap_lose_no_exchange() {
    let settings = Settings { max_histograms: 7, max_series: 60, ..settings() };
    let metrics = metrics_with(settings, Catalogue::new(20));
    let mut dice = Dice(7);
    let mut watches = Vec::new();
    for _ in 0..LIVES {
        let record = Record { status: 200 + dice.roll(50) as u16, ..full_chat() };
        let mut watch = begin(&metrics, &record.start);
        let model = NamedModel::from(&*format!("m{}", dice.roll(100)));
        if dice.roll(2) == 0 {
            watch.requested(Some(&model));
        }
        if dice.roll(2) == 0 {
            watch.forwarded();
        }
        if dice.roll(2) == 0 {
            watch.answered(&model);
        }
        watch.tokens(frame(1, Some(20), false));
        watches.push((watch, record));
        if dice.roll(3) == 0 {
            watches.drain(..).for_each(|(watch, record)| finish(watch, &record));
        }
    }
    watches.drain(..).for_each(|(watch, record)| finish(watch, &record));
    assert_all_counted(&metrics, LIVES);
    assert_eq!(values(&metrics, "request_duration_seconds_count").iter().sum::<f64>(), LIVES as f64);
    assert!(values(&metrics, "requests_total").len() <= 61);
    assert!(values(&metrics, "request_duration_seconds_count").len() <= 8);
}

#[test]
fn threads_that_count_at_the_same_time_lose_nothing() {
    let metrics = metrics();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let metrics = &metrics;
            scope.spawn(move || {
                for life in 0..500 {
                    complete(metrics, &format!("m{}", (thread + life) % 9), &full_chat());
                    if life % 50 == 0 {
                        assert!(!metrics.encode(super::Format::OpenMetrics).is_empty());
                    }
                }
            });
        }
    });
    assert_all_counted(&metrics, 2000);
}
