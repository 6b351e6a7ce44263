//! Results outside the tests' tables: costs that must not grow, the impact of what the second listener does, and what
//! several backends cost.

use std::collections::BTreeSet;

use super::{NOTHING, Report, median, ratio, table};
use crate::choice::{self, BACKENDS, CHOICES};
use crate::contestant::Contestant;
use crate::flat::{LongStream, PeakMemory};
use crate::fleet::{self, CONNECTIONS, FleetCost};
use crate::load::{FEW, MANY};
use crate::scrape::ScrapeImpact;
use crate::watchers::{ASKERS, SOCKETS, WatchersImpact};

/// The name for `--only`.
pub const LONG: &str = "a stream of hours";
/// The name for `--only`.
pub const LARGE: &str = "a 10 MB request";
/// The name for `--only`.
pub const SCRAPE: &str = "scrape";
/// The name for `--only`.
pub const WATCHERS: &str = "watchers";
/// The name for `--only`.
pub const FLEET: &str = "two backends";
/// The name for `--only`.
pub const CHOICE: &str = "a choice";

/// By contestant, one result per round.
pub struct OtherResults {
    long: Vec<Vec<Result<LongStream, String>>>,
    large: Vec<Vec<Result<PeakMemory, String>>>,
    scrape: Option<Result<ScrapeImpact, String>>,
    watchers: Option<Result<WatchersImpact, String>>,
    /// By the number of connections, one result per round.
    fleet: [Vec<Result<FleetCost, String>>; CONNECTIONS.len()],
    /// By the kind of choice, the nanoseconds of each round.
    choices: [Vec<f64>; CHOICES.len()],
}

impl OtherResults {
    pub(super) fn new(contestants: usize) -> Self {
        Self {
            long: vec![Vec::new(); contestants],
            large: vec![Vec::new(); contestants],
            scrape: None,
            watchers: None,
            fleet: Default::default(),
            choices: Default::default(),
        }
    }

    /// Adds the cost of a long stream.
    pub fn add_long(&mut self, contestant: usize, long: Result<LongStream, String>) {
        self.long[contestant].push(long);
    }

    /// Adds the peak memory with large requests.
    pub fn add_large(&mut self, contestant: usize, peak: Result<PeakMemory, String>) {
        self.large[contestant].push(peak);
    }

    /// Sets the impact of a scrape.
    pub fn set_scrape(&mut self, impact: Result<ScrapeImpact, String>) {
        self.scrape = Some(impact);
    }

    /// Sets the impact of many clients of the second listener.
    pub fn set_watchers(&mut self, impact: Result<WatchersImpact, String>) {
        self.watchers = Some(impact);
    }

    /// Adds what a second backend costs, with the number of connections at this place.
    pub fn add_fleet(&mut self, connections: usize, cost: Result<FleetCost, String>) {
        self.fleet[connections].push(cost);
    }

    /// Adds the nanoseconds of each kind of choice.
    pub fn add_choices(&mut self, nanos: [f64; CHOICES.len()]) {
        self.choices.iter_mut().zip(nanos).for_each(|(rounds, nanos)| rounds.push(nanos));
    }

    pub(super) fn watchers_table(&self, text: &mut String) {
        let Some(Ok(impact)) = &self.watchers else { return };
        let beside = format!("Beside {SOCKETS} slow or silent sockets and {ASKERS} askers of the second listener");
        let head = [
            &beside,
            "answers to them",
            "memory without them",
            "with them",
            "a chunk's way without them, p50 / p99",
            "with them at another instance",
            "with them here",
            "p99 here ÷ at another",
        ];
        let way = |(half, most): (u64, u64)| format!("{} / {} µs", half / 1000, most / 1000);
        let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1_048_576.0);
        let row = vec![
            "64 streams, 20 ms a chunk, all cores".to_owned(),
            impact.answers.to_string(),
            mebibytes(impact.memory.0),
            mebibytes(impact.memory.1),
            way(impact.quiet),
            way(impact.elsewhere),
            way(impact.watched),
            format!("{:.2}", impact.watched.1 as f64 / impact.elsewhere.1.max(1) as f64),
        ];
        table(text, &head.map(str::to_owned), std::iter::once(row));
    }

    pub(super) fn fleet_tables(&self, text: &mut String) {
        let verdict = |is_met: bool| if is_met { "met" } else { "missed" }.to_owned();
        let of = |rounds: &[Result<FleetCost, String>], what: fn(&FleetCost) -> f64| {
            median(rounds.iter().flatten().map(what).collect())
        };
        let rows = self.fleet.iter().zip(CONNECTIONS).filter_map(|(rounds, connections)| {
            let (one, two) = (of(rounds, |it| it.one)?, of(rounds, |it| it.two)?);
            let ratio = of(rounds, |it| it.two / it.one)?;
            let name = format!("request/response, {connections} connection{}", if connections == 1 { "" } else { "s" });
            let micros = |nanos: f64| format!("{:.2} µs", nanos / 1e3);
            Some(vec![
                name,
                micros(one),
                micros(two),
                format!("{ratio:.2}"),
                format!("{:.2}", fleet::MARK),
                verdict(ratio <= fleet::MARK),
            ])
        });
        let head = ["CPU time of a request", "one backend", "two backends", "two ÷ one", "mark", ""];
        table(text, &head.map(str::to_owned), rows);
        let mark = choice::MARK.as_nanos() as f64;
        let rows = self.choices.iter().zip(CHOICES).filter_map(|(rounds, choice)| {
            let nanos = median(rounds.clone())?;
            Some(vec![
                choice.name.to_owned(),
                format!("{nanos:.0} ns"),
                format!("{mark:.0} ns"),
                verdict(nanos <= mark),
            ])
        });
        let first = format!("A choice among {BACKENDS} backends");
        table(text, &[&*first, "takes", "mark", ""].map(str::to_owned), rows);
    }

    pub(super) fn scrape_table(&self, text: &mut String) {
        let Some(Ok(impact)) = &self.scrape else { return };
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
            impact.series.to_string(),
            format!("{} KiB", impact.bytes / 1024),
            format!("{:.0} ms", impact.took.as_secs_f64() * 1e3),
            format!("{:.0} ms", impact.cpu.as_secs_f64() * 1e3),
            way(impact.quiet),
            way(impact.scraped),
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
        remarks.extend(self.scrape.iter().filter_map(|it| it.as_ref().err()).map(|why| format!("{SCRAPE}: {why}.")));
        let watchers = self.watchers.iter().filter_map(|it| it.as_ref().err());
        remarks.extend(watchers.map(|why| format!("{WATCHERS}: {why}.")));
        let fleet = self.fleet.iter().flatten().filter_map(|it| it.as_ref().err());
        remarks.extend(fleet.map(|why| format!("{FLEET}: {why}.")));
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
        let index = |name: &str| self.tests.iter().position(|test| test.name == name);
        if let Some((many, few)) = index(MANY).zip(index(FEW)) {
            row("CPU time of a chunk, 2,048 streams ÷ 10 streams at the same rate", &|at| {
                Some(ratio(Some((&self.rounds[many][at], &self.rounds[few][at])), |sample| sample.cpu))
            });
        }
        if self.other.long.iter().any(|rounds| !rounds.is_empty()) {
            let long = |at: usize, what: fn(&LongStream) -> f64| {
                median(self.other.long[at].iter().flatten().map(what).collect())
            };
            row("CPU time of a chunk in a stream of 720,000, last tenth ÷ first tenth", &|at| {
                Some(format!("{:.2}", long(at, |it| it.last / it.first)?))
            });
            row("Memory at the end of it less that after its first tenth", &|at| {
                Some(format!("{:+.0} KiB", long(at, |it| it.grown / 1024.0)?))
            });
        }
        if self.other.large.iter().any(|rounds| !rounds.is_empty()) {
            let peak = |at: usize, what: fn(&PeakMemory) -> f64| {
                median(self.other.large[at].iter().flatten().map(what).collect())
            };
            row("Most memory ever, after small requests, and after requests of 10 MB", &|at| {
                let (small, large) = (peak(at, |it| it.small)?, peak(at, |it| it.large)?);
                Some(format!("{:.1} MiB, {:+.1} MiB", small / 1_048_576.0, (large - small) / 1_048_576.0))
            });
        }
        table(text, &head, rows.into_iter());
    }
}
