//! Medians, ratios and remarks as Markdown.
//!
//! A ratio is the median of the ratios of each round, so that a machine that slows down during the run does not affect
//! it. A missing measurement has its reason in the remarks.

mod beside;

use std::collections::BTreeSet;
use std::fmt::Write;

pub use beside::{CHOICE, FLEET, LARGE, LONG, OtherResults, SCRAPE, WATCHERS};

use crate::contestant::{Contestant, Log};
use crate::load::{Sample, Test};

/// A larger spread of CPU time between rounds is remarked: (highest − lowest) / median.
const NOISY: f64 = 0.2;

/// More CPU time of other processes is remarked, in cores.
const FOREIGN: f64 = 0.1;

/// A larger share of late chunks is remarked.
const LATE: f64 = 0.01;

/// A cell without a number; the remarks have the reason.
const NOTHING: &str = "–";

/// The samples of one contestant in one test, one per round; an error is the reason for a missing one.
type Rounds = Vec<Result<Sample, String>>;

/// The measurements so far.
pub struct Report {
    tests: Vec<Test>,
    contestants: Vec<Contestant>,
    /// By test, then by contestant.
    rounds: Vec<Vec<Rounds>>,
    missing: Vec<String>,
    /// Results of tests without a row in the tables.
    pub other: OtherResults,
}

impl Report {
    /// A report without samples. `missing` names what cannot be measured at all.
    #[must_use]
    pub fn new(tests: Vec<Test>, contestants: Vec<Contestant>, missing: Vec<String>) -> Self {
        let rounds = vec![vec![Vec::new(); contestants.len()]; tests.len()];
        let other = OtherResults::new(contestants.len());
        Self { tests, contestants, rounds, missing, other }
    }

    /// Adds the result of one round.
    pub fn add(&mut self, test: usize, contestant: usize, sample: Result<Sample, String>) {
        self.rounds[test][contestant].push(sample);
    }

    /// The tables and the remarks.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        self.cpu_table(&mut text);
        self.first_byte_table(&mut text);
        self.transit_table(&mut text);
        self.memory_table(&mut text);
        self.flat_table(&mut text);
        self.other.scrape_table(&mut text);
        self.other.watchers_table(&mut text);
        self.other.fleet_tables(&mut text);
        let remarks = self.remarks();
        if !remarks.is_empty() {
            text.push_str("Not measured, or to be read with care:\n\n");
            remarks.iter().for_each(|remark| writeln!(text, "- {remark}").expect("a string takes everything"));
        }
        text
    }

    /// The contestants with a column of their own, each with its index.
    fn columns(&self) -> impl Iterator<Item = (usize, &Contestant)> {
        self.contestants.iter().enumerate().filter(|(_, who)| !who.is_unlogged())
    }

    /// Those of the columns that are processes.
    fn proxies(&self) -> Vec<(usize, &Contestant)> {
        self.columns().filter(|(_, who)| **who != Contestant::Direct).collect()
    }

    fn index(&self, wanted: fn(&Contestant) -> bool) -> Option<usize> {
        self.contestants.iter().position(wanted)
    }

    fn relay(&self) -> Option<usize> {
        self.index(|who| matches!(who, Contestant::Relay(_)))
    }

    fn nginx(&self) -> Option<usize> {
        self.index(|who| matches!(who, Contestant::Nginx(_, Log::On)))
    }

    fn ours(&self) -> Option<usize> {
        self.index(|who| matches!(who, Contestant::Inferometer(_, Log::On)))
    }

    fn cpu_table(&self, text: &mut String) {
        let proxies = self.proxies();
        let mut head = vec!["CPU time".to_owned(), "per".to_owned()];
        head.extend(proxies.iter().map(|(_, who)| who.name().to_owned()));
        let (relay, nginx, ours) = (self.relay(), self.nginx(), self.ours());
        let unlogged_nginx = self.index(|who| matches!(who, Contestant::Nginx(_, Log::Off)));
        let unlogged_ours = self.index(|who| matches!(who, Contestant::Inferometer(_, Log::Off)));
        let ratios: Vec<(String, Option<usize>, Option<usize>)> = [
            ("nginx ÷ relay", nginx, relay),
            ("inferometer ÷ relay", ours, relay),
            ("inferometer ÷ nginx", ours, nginx),
            ("both without a log", unlogged_ours, unlogged_nginx),
        ]
        .map(|(name, over, under)| (name.to_owned(), over, under))
        .into();
        head.extend(ratios.iter().map(|(name, ..)| name.clone()));
        let rows = self.tests.iter().zip(&self.rounds).map(|(test, rounds)| {
            let mut row = vec![test.name.to_owned(), test.load.unit().to_owned()];
            row.extend(proxies.iter().map(|&(at, _)| {
                median(values(&rounds[at], |sample| sample.cpu))
                    .map_or(NOTHING.into(), |nanos| format!("{:.2} µs", nanos / 1e3))
            }));
            row.extend(ratios.iter().map(|&(_, over, under)| {
                ratio(over.zip(under).map(|(over, under)| (&rounds[over], &rounds[under])), |it| it.cpu)
            }));
            row
        });
        table(text, &head, rows);
    }

    fn first_byte_table(&self, text: &mut String) {
        self.added_table(text, "Time to first byte, p50 / p99", |_| true, |sample| sample.first);
    }

    fn transit_table(&self, text: &mut String) {
        let paced = |test: &Test| test.load.paced_streams().is_some();
        self.added_table(text, "A chunk's way to the client, p50 / p99", paced, |sample| sample.transit);
    }

    /// A duration over the direct connection, and what each proxy adds to it.
    fn added_table(
        &self,
        text: &mut String,
        title: &str,
        fits: fn(&Test) -> bool,
        what: fn(&Sample) -> Option<(u64, u64)>,
    ) {
        let direct = self.index(|who| *who == Contestant::Direct);
        let mut head = vec![title.to_owned()];
        head.extend(self.columns().map(|(_, who)| match who {
            Contestant::Direct => who.name().to_owned(),
            _ => format!("{} adds", who.name()),
        }));
        head.push("inferometer ÷ nginx".to_owned());
        let (nginx, ours) = (self.nginx(), self.ours());
        let rows = self.tests.iter().zip(&self.rounds).filter(|(test, _)| fits(test) && is_not_blast(test));
        let rows = rows.map(|(test, rounds)| {
            let number = |at: usize, pick: fn((u64, u64)) -> u64| {
                let value = |sample: &Sample| what(sample).map(|pair| pick(pair) as f64);
                if Some(at) == direct {
                    return median(values(&rounds[at], value));
                }
                let pairs = paired(&rounds[at], &rounds[direct?], value);
                median(pairs.into_iter().map(|(through, direct)| through - direct).collect())
            };
            let cells = self.columns().map(|(at, _)| {
                let sign = if Some(at) == direct { "" } else { "+" };
                let show = |nanos: f64| {
                    if nanos < 0.0 { format!("{:.0}", nanos / 1e3) } else { format!("{sign}{:.0}", nanos / 1e3) }
                };
                match (number(at, |pair| pair.0), number(at, |pair| pair.1)) {
                    (Some(half), Some(most)) => format!("{} / {} µs", show(half), show(most)),
                    _ => NOTHING.to_owned(),
                }
            });
            let pair = ours.zip(nginx);
            let ratio = |pick: fn((u64, u64)) -> u64| {
                let (ours, nginx) = pair.and_then(|(ours, nginx)| Some((number(ours, pick)?, number(nginx, pick)?)))?;
                Some(if nginx > 0.0 { format!("{:.2}", ours.max(0.0) / nginx) } else { "nginx adds none".to_owned() })
            };
            let ratios = ratio(|pair| pair.0).zip(ratio(|pair| pair.1));
            let ratios = ratios.map_or(NOTHING.to_owned(), |(half, most)| format!("{half} / {most}"));
            std::iter::once(test.name.to_owned()).chain(cells).chain([ratios]).collect()
        });
        table(text, &head, rows);
    }

    fn memory_table(&self, text: &mut String) {
        let proxies = self.proxies();
        let mut head = vec!["Memory (PSS): all, and per stream".to_owned()];
        head.extend(proxies.iter().map(|(_, who)| who.name().to_owned()));
        head.extend(["inferometer ÷ relay", "inferometer ÷ nginx"].map(str::to_owned));
        let (relay, nginx, ours) = (self.relay(), self.nginx(), self.ours());
        let streams = |test: &Test| test.load.paced_streams().filter(|streams| *streams >= 500);
        let rows =
            self.tests.iter().zip(&self.rounds).filter_map(|(test, rounds)| Some((test, streams(test)?, rounds)));
        let rows = rows.map(|(test, streams, rounds)| {
            let cells = proxies.iter().map(|&(at, _)| {
                let all = median(values(&rounds[at], |sample| Some(sample.memory?.pss as f64)));
                let grown = median(values(&rounds[at], grown));
                match (all, grown) {
                    (Some(all), Some(grown)) => {
                        format!("{:.1} MiB, {:.1} KiB", all / 1_048_576.0, grown / 1024.0 / streams as f64)
                    }
                    _ => NOTHING.to_owned(),
                }
            });
            let ratios = [relay, nginx]
                .map(|under| ratio(ours.zip(under).map(|(ours, under)| (&rounds[ours], &rounds[under])), grown));
            std::iter::once(test.name.to_owned()).chain(cells).chain(ratios).collect()
        });
        table(text, &head, rows);
    }

    /// Why numbers are missing, and which numbers are doubtful.
    fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.missing.clone();
        for (test, rounds) in self.tests.iter().zip(&self.rounds) {
            for (who, rounds) in self.contestants.iter().zip(rounds) {
                let reasons: BTreeSet<&String> = rounds.iter().filter_map(|round| round.as_ref().err()).collect();
                remarks.extend(reasons.iter().map(|reason| format!("{}, {}: {reason}.", test.name, who.name())));
                remarks.extend(doubts(who, rounds).map(|doubt| format!("{}, {}: {doubt}.", test.name, who.name())));
                let timed = |sample: &Sample| sample.first.is_some() || who.is_unlogged();
                if is_not_blast(test) && !rounds.iter().flatten().all(timed) {
                    remarks.push(format!("{}, {}: a round went without a first byte.", test.name, who.name()));
                }
            }
        }
        remarks.extend(self.other.remarks(&self.contestants));
        remarks.extend(self.disturbance(|sample| sample.foreign, "Other processes used"));
        remarks.extend(self.disturbance(|sample| sample.stolen, "The hypervisor took"));
        remarks
    }

    /// CPU time of others during all measurements, if worth a remark.
    fn disturbance(&self, what: fn(&Sample) -> Option<f64>, who: &str) -> Option<String> {
        let mut all: Vec<f64> = self.rounds.iter().flatten().flat_map(|rounds| values(rounds, what)).collect();
        all.sort_unstable_by(f64::total_cmp);
        let (middle, most) = (median(all.clone())?, *all.last()?);
        let is_large = most > FOREIGN;
        is_large
            .then(|| format!("{who} {:.0} % of a core at the median, {:.0} % at most.", middle * 100.0, most * 100.0))
    }
}

/// The memory that all streams together added, in bytes.
fn grown(sample: &Sample) -> Option<f64> {
    Some(sample.memory?.pss.saturating_sub(sample.memory_before?.pss) as f64)
}

/// The median of the ratios of each round, as a cell.
fn ratio(pair: Option<(&Rounds, &Rounds)>, what: impl Fn(&Sample) -> Option<f64>) -> String {
    let pairs = pair.map(|(over, under)| paired(over, under, what)).unwrap_or_default();
    let ratios = pairs.into_iter().filter(|(_, under)| *under > 0.0).map(|(over, under)| over / under);
    median(ratios.collect()).map_or(NOTHING.into(), |ratio| format!("{ratio:.2}"))
}

fn is_not_blast(test: &Test) -> bool {
    !matches!(test.load, crate::load::Load::Blast { .. })
}

fn doubts(who: &Contestant, rounds: &Rounds) -> impl Iterator<Item = String> {
    let cpu = values(rounds, |sample| sample.cpu);
    let spread = median(cpu.clone()).map(|middle| {
        let (low, high) = cpu.iter().fold((f64::MAX, 0.0_f64), |(low, high), it| (low.min(*it), high.max(*it)));
        (high - low) / middle
    });
    let late = median(values(rounds, |sample| Some(sample.late))).unwrap_or(0.0);
    let no_cpu = *who != Contestant::Direct && rounds.iter().flatten().any(|sample| sample.cpu.is_none());
    let percent = |share: f64| (share * 100.0).round();
    [
        spread
            .filter(|spread| *spread > NOISY)
            .map(|it| format!("too noisy, CPU time spread over {} % of its median", percent(it))),
        (late > LATE).then(|| format!("the backend wrote {} % of the chunks late", percent(late))),
        no_cpu.then(|| "the kernel gave no account of CPU time".to_owned()),
    ]
    .into_iter()
    .flatten()
}

fn values(rounds: &Rounds, what: impl Fn(&Sample) -> Option<f64>) -> Vec<f64> {
    rounds.iter().flatten().filter_map(what).collect()
}

/// The values of two contestants, for the rounds in which both have one.
fn paired(one: &Rounds, other: &Rounds, what: impl Fn(&Sample) -> Option<f64>) -> Vec<(f64, f64)> {
    let value = |round: &Result<Sample, String>| round.as_ref().ok().and_then(&what);
    one.iter().zip(other).filter_map(|(one, other)| Some((value(one)?, value(other)?))).collect()
}

/// Of an even number of values, the mean of the two in the middle. `None` without values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

fn table(text: &mut String, head: &[String], rows: impl Iterator<Item = Vec<String>>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let mut line = |cells: &[String]| writeln!(text, "| {} |", cells.join(" | ")).expect("a string takes everything");
    line(head);
    line(&vec!["---".to_owned(); head.len()]);
    rows.for_each(|row| line(&row));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::TESTS;

    fn sample(cpu: f64) -> Result<Sample, String> {
        Ok(Sample { cpu: Some(cpu), ..Sample::default() })
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let contestants = vec![Contestant::Relay("relay".into()), Contestant::Nginx("nginx".into(), Log::On)];
        let mut report = Report::new(TESTS[..1].to_vec(), contestants, Vec::new());
        for (relay, nginx) in [(1000.0, 1500.0), (2000.0, 3000.0), (4000.0, 6000.0)] {
            report.add(0, 0, sample(relay));
            report.add(0, 1, sample(nginx));
        }
        let text = report.markdown();
        assert!(text.contains("| 2.00 µs | 3.00 µs | 1.50 | – | – | – |"), "{text}");
        assert!(text.contains("TCP relay: too noisy, CPU time spread over 150 % of its median."), "{text}");
    }

    #[test]
    fn a_failure_has_its_reason_and_invalidates_only_its_round() {
        let mut report =
            Report::new(TESTS[..1].to_vec(), vec![Contestant::Nginx("nginx".into(), Log::On)], vec!["gone.".into()]);
        report.add(0, 0, Err("it broke".into()));
        report.add(0, 0, sample(1000.0));
        let text = report.markdown();
        assert!(
            text.contains("| 1.00 µs |") && text.contains("nginx: it broke.") && text.contains("- gone."),
            "{text}"
        );
    }

    #[test]
    fn the_median_of_an_even_number_is_a_mean() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
