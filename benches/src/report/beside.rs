//! What is measured beside the tests: what must not grow, and whether a scrape is felt.

use std::collections::BTreeSet;

use super::{NOTHING, Report, median, ratio, table};
use crate::contestant::Contestant;
use crate::flat::{Long, Peak};
use crate::load::{FEW, MANY};
use crate::scrape::Felt;

/// The names by which these can be picked, as the tests by theirs.
pub const LONG: &str = "a stream of hours";
/// See [`LONG`].
pub const LARGE: &str = "a 10 MB request";
/// See [`LONG`].
pub const SCRAPE: &str = "scrape";

/// What each contestant gave, one result a round.
pub struct Beside {
    long: Vec<Vec<Result<Long, String>>>,
    large: Vec<Vec<Result<Peak, String>>>,
    felt: Option<Result<Felt, String>>,
}

impl Beside {
    pub(super) fn new(contestants: usize) -> Self {
        Self { long: vec![Vec::new(); contestants], large: vec![Vec::new(); contestants], felt: None }
    }

    /// Adds what a long stream cost.
    pub fn long(&mut self, contestant: usize, long: Result<Long, String>) {
        self.long[contestant].push(long);
    }

    /// Adds how much memory a large request took.
    pub fn large(&mut self, contestant: usize, peak: Result<Peak, String>) {
        self.large[contestant].push(peak);
    }

    /// Adds whether a scrape was felt.
    pub fn felt(&mut self, felt: Result<Felt, String>) {
        self.felt = Some(felt);
    }

    pub(super) fn scrape_table(&self, text: &mut String) {
        let Some(Ok(felt)) = &self.felt else { return };
        let head = [
            "One scrape a second at the label caps",
            "series",
            "compressed",
            "took",
            "CPU time",
            "a chunk's way without it, p50 / p99",
            "with it",
        ];
        let way = |(half, most): (u64, u64)| format!("{} / {} µs", half / 1000, most / 1000);
        let row = vec![
            "64 streams, 20 ms a chunk, all cores".to_owned(),
            felt.series.to_string(),
            format!("{} KiB", felt.bytes / 1024),
            format!("{:.0} ms", felt.took.as_secs_f64() * 1e3),
            format!("{:.0} ms", felt.cpu.as_secs_f64() * 1e3),
            way(felt.quiet),
            way(felt.scraped),
        ];
        table(text, &head.map(str::to_owned), std::iter::once(row));
    }

    pub(super) fn remarks(&self, contestants: &[Contestant]) -> Vec<String> {
        let mut remarks = BTreeSet::new();
        for (at, who) in contestants.iter().enumerate() {
            let long = self.long[at].iter().filter_map(|it| it.as_ref().err()).map(|why| (LONG, why));
            let large = self.large[at].iter().filter_map(|it| it.as_ref().err()).map(|why| (LARGE, why));
            remarks.extend(long.chain(large).map(|(test, why)| format!("{test}, {}: {why}.", who.name())));
        }
        remarks.extend(self.felt.iter().filter_map(|it| it.as_ref().err()).map(|why| format!("{SCRAPE}: {why}.")));
        remarks.into_iter().collect()
    }
}

impl Report {
    pub(super) fn flat_table(&self, text: &mut String) {
        let proxies = self.proxies();
        let mut head = vec!["What should not grow".to_owned()];
        head.extend(proxies.iter().map(|(_, who)| who.name().to_owned()));
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |name: &str, cell: &dyn Fn(usize) -> Option<String>| {
            let cells = proxies.iter().map(|(at, _)| cell(*at).unwrap_or_else(|| NOTHING.to_owned()));
            rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
        };
        let place = |name: &str| self.tests.iter().position(|test| test.name == name);
        if let Some((many, few)) = place(MANY).zip(place(FEW)) {
            row("CPU time of a chunk, 2,048 streams ÷ 10 streams at the same rate", &|at| {
                Some(ratio(Some((&self.rounds[many][at], &self.rounds[few][at])), |sample| sample.cpu))
            });
        }
        if self.beside.long.iter().any(|rounds| !rounds.is_empty()) {
            let long =
                |at: usize, what: fn(&Long) -> f64| median(self.beside.long[at].iter().flatten().map(what).collect());
            row("CPU time of a chunk in a stream of 720,000, last tenth ÷ first tenth", &|at| {
                Some(format!("{:.2}", long(at, |it| it.last / it.first)?))
            });
            row("Memory at the end of it less that after its first tenth", &|at| {
                Some(format!("{:+.0} KiB", long(at, |it| it.grown / 1024.0)?))
            });
        }
        if self.beside.large.iter().any(|rounds| !rounds.is_empty()) {
            let peak =
                |at: usize, what: fn(&Peak) -> f64| median(self.beside.large[at].iter().flatten().map(what).collect());
            row("Most memory ever, after small requests, and after requests of 10 MB", &|at| {
                let (small, large) = (peak(at, |it| it.small)?, peak(at, |it| it.large)?);
                Some(format!("{:.1} MiB, {:+.1} MiB", small / 1_048_576.0, (large - small) / 1_048_576.0))
            });
        }
        table(text, &head, rows.into_iter());
    }
}
