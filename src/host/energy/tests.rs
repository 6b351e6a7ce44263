//! Power curves and schedules of exchanges, and the attributed energy.

use std::cell::RefCell;

use super::*;

/// A machine that idles at 60 W and draws more while something runs. Times are in milliseconds.
struct Rig {
    start: Instant,
    meter: Meter,
    joules: f64,
    now: u64,
    ids: RefCell<HashMap<String, ConsumerId>>,
}

const IDLE: f64 = 60.0;

impl Rig {
    fn new() -> Self {
        let rig = Self { start: Instant::now(), meter: Meter::default(), joules: 1e6, now: 0, ids: RefCell::default() };
        rig.read();
        rig
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn read(&self) {
        let reading = MeterReading { meter: "gpu".into(), joules: Some(self.joules), watts: None };
        self.meter.observe(self.at(self.now), &[reading]);
    }

    /// Advances to this time with constant power, with a reading at each full second.
    fn until(&mut self, millis: u64, watts: f64) {
        while self.now < millis {
            let next = (self.now / 1000 * 1000 + 1000).min(millis);
            self.joules += watts * (next - self.now) as f64 / 1000.0;
            self.now = next;
            if next.is_multiple_of(1000) {
                self.read();
            }
        }
    }

    fn began(&self, model: &str) {
        let id = self.meter.begin(&consumer(model), self.at(self.now));
        self.ids.borrow_mut().insert(model.into(), id);
    }

    fn ended(&self, model: &str) {
        self.meter.end(self.ids.borrow()[model], self.at(self.now));
    }

    fn retracted(&self, model: &str) {
        self.meter.retract(self.ids.borrow()[model], self.at(self.now));
    }

    fn joules_of(&self, model: &str) -> f64 {
        let totals = self.meter.totals().expect("it was read");
        totals.used.iter().filter(|(consumer, _)| &*consumer.model == model).map(|(_, joules)| joules).sum()
    }

    fn rest(&self) -> f64 {
        self.meter.totals().expect("it was read").rest
    }

    fn counted(&self) -> f64 {
        self.joules - 1e6
    }
}

fn consumer(model: &str) -> Consumer {
    Consumer { model: model.into(), backend: "local".into() }
}

#[track_caller]
fn assert_within_2_percent(have: f64, want: f64) {
    assert!((have - want).abs() <= want * 0.02, "{have} J instead of {want} J");
}

#[test]
fn on_a_scripted_curve_every_model_gets_its_energy_above_idle_and_the_sum_is_right() {
    let mut rig = Rig::new();
    rig.until(5_000, IDLE);
    rig.began("a"); // alone, not at full seconds
    rig.until(12_300, 300.0);
    rig.ended("a");
    rig.until(15_650, IDLE);
    rig.began("b");
    rig.until(21_000, 200.0);
    rig.began("a"); // both
    rig.until(31_000, 400.0);
    rig.ended("b");
    rig.until(33_400, 250.0);
    rig.ended("a");
    rig.until(60_000, IDLE);

    let a = 7.3 * (300.0 - IDLE) + 10.0 * (400.0 - IDLE) / 2.0 + 2.4 * (250.0 - IDLE);
    let b = 5.35 * (200.0 - IDLE) + 10.0 * (400.0 - IDLE) / 2.0;
    assert_within_2_percent(rig.joules_of("a"), a);
    assert_within_2_percent(rig.joules_of("b"), b);
    assert_within_2_percent(rig.rest(), 60.0 * IDLE);
    assert_within_2_percent(rig.joules_of("a") + rig.joules_of("b") + rig.rest(), rig.counted());
    assert!((rig.meter.totals().expect("read").idle_watts - IDLE).abs() < 1e-9);
}

#[test]
fn shares_are_by_exchange_so_three_of_four_get_three_quarters() {
    let mut rig = Rig::new();
    rig.until(2_000, IDLE);
    ["a", "a", "a", "b"].into_iter().for_each(|model| rig.began(model));
    rig.until(6_000, 460.0);
    assert_within_2_percent(rig.joules_of("a"), 1200.0);
    assert_within_2_percent(rig.joules_of("b"), 400.0);
}

#[test]
fn energy_while_nothing_is_in_flight_is_not_attributed() {
    let mut rig = Rig::new();
    rig.until(2_000, IDLE);
    rig.until(10_000, 500.0);
    assert_within_2_percent(rig.rest(), rig.counted());
}

#[test]
fn before_an_idle_slice_the_lowest_power_counts_as_idle() {
    let mut rig = Rig::new();
    rig.began("a");
    rig.until(5_000, 300.0);
    assert!(rig.joules_of("a").abs() < 1e-9, "all of it might be idle");
    rig.until(10_000, 500.0);
    assert_within_2_percent(rig.joules_of("a"), 1000.0);
}

#[test]
fn a_reset_counter_and_one_that_did_not_move_add_no_energy() {
    let mut rig = Rig::new();
    rig.until(3_000, IDLE);
    rig.read();
    let before = rig.rest();
    rig.joules = 10.0; // the driver was loaded again
    rig.now = 4_000;
    rig.read();
    assert!((rig.rest() - before).abs() < 1e-9);
    rig.until(5_000, IDLE);
    assert_within_2_percent(rig.rest(), before + IDLE);
}

#[test]
fn the_power_of_a_meter_is_integrated_unless_its_readings_are_far_apart() {
    let rig = Rig::new();
    let meter = Meter::default();
    let reading = |watts| [MeterReading { meter: "amd".into(), joules: None, watts }];
    meter.observe(rig.at(0), &reading(Some(50.0)));
    meter.observe(rig.at(2_000), &reading(Some(50.0)));
    meter.begin(&consumer("a"), rig.at(2_000));
    meter.observe(rig.at(4_000), &reading(Some(150.0)));
    let totals = meter.totals().expect("read");
    assert_within_2_percent(totals.rest, 200.0);
    assert_within_2_percent(totals.used[0].1, 200.0);
    meter.observe(rig.at(3_600_000), &reading(Some(150.0)));
    assert_eq!(meter.totals(), Some(totals), "an hour of silence");
}

#[test]
fn invalid_numbers_are_ignored_and_without_a_meter_nothing_is_known() {
    let rig = Rig::new();
    let meter = Meter::default();
    meter.begin(&consumer("a"), rig.at(0));
    for joules in [f64::NAN, f64::INFINITY, -1.0] {
        meter.observe(rig.at(1), &[MeterReading { meter: "x".into(), joules: Some(joules), watts: None }]);
    }
    assert_eq!(meter.totals(), None);
}

#[test]
fn a_second_end_changes_nothing() {
    let mut rig = Rig::new();
    rig.began("a");
    rig.ended("a");
    rig.began("b");
    rig.ended("a");
    rig.until(1_000, IDLE);
    rig.until(2_000, 160.0);
    assert_within_2_percent(rig.joules_of("b"), 100.0);
}

#[test]
fn a_retracted_exchange_has_no_part_in_its_slice_and_keeps_what_earlier_ones_gave_it() {
    let mut rig = Rig::new();
    let consumers = |rig: &Rig| -> Vec<String> {
        rig.meter.totals().expect("read").used.iter().map(|(consumer, _)| consumer.model.to_string()).collect()
    };
    rig.until(2_000, IDLE);
    rig.began("far");
    rig.until(2_300, 160.0);
    rig.began("a");
    rig.until(2_700, 160.0);
    rig.retracted("far");
    rig.until(2_800, 160.0);
    rig.ended("a");
    rig.until(3_000, 160.0);
    assert_eq!(consumers(&rig), ["a"]);
    assert_within_2_percent(rig.joules_of("a"), 100.0);

    let rest = rig.rest();
    rig.began("far");
    rig.until(3_500, 160.0);
    rig.retracted("far");
    rig.until(4_000, 160.0);
    assert_eq!(consumers(&rig), ["a"], "it was alone");
    assert_within_2_percent(rig.rest() - rest, 160.0);

    rig.began("far");
    rig.until(5_500, 160.0);
    rig.retracted("far");
    rig.until(6_000, 160.0);
    assert_within_2_percent(rig.joules_of("far"), 100.0);
    assert_within_2_percent(rig.joules_of("a") + rig.joules_of("far") + rig.rest(), rig.counted());
}
