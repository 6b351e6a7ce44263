//! Nobody can tell the proxy from the backend, except by the published table.
//!
//! Every case of the catalogue is played twice against a scripted backend that keeps raw bytes: directly and through the
//! proxy. Each row of the table in `docs/differences.md` is a rule here, which turns what was seen directly into
//! what must be seen through the proxy. A difference that no rule predicts fails; so does a rule that no case needs, and
//! a row without a rule. Not compared: time, and how bytes are split among packets.

mod catalogue;
mod fleet;
pub(crate) mod message;
mod rules;
mod run;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use inferometer::exchange::sink::AnySink;

use self::rules::RULES;
use self::run::{Case, Seen, play};
#[cfg(target_os = "linux")]
use crate::support::hanging::{Hanging, Scraped};
use crate::support::rig::{Options, Rig};

/// Cases played at the same time.
const THREADS: usize = 8;

fn both(case: &Case, before: impl FnOnce(SocketAddr) -> Rig) -> (Seen, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let direct = if case.refused { Seen::nothing() } else { play(case, &listener, address) };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let rig = before(listener.local_addr().expect("an address"));
    (direct, play(case, &listener, rig.address))
}

/// The ids in the table for people.
fn published() -> BTreeSet<String> {
    let page = include_str!("../../docs/differences.md");
    let (_, rest) = page.split_once("<!-- differences:begin -->").expect("the table begins");
    let (table, _) = rest.split_once("<!-- differences:end -->").expect("the table ends");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(id, _)| id.to_owned()).collect()
}

/// Turns what was seen directly into what must be seen through the proxy, by every rule but one.
fn explain(case: &Case, seen: &(Seen, Seen), without: Option<&str>) -> (Seen, Seen) {
    let (mut direct, mut proxied) = seen.clone();
    for rule in RULES.iter().filter(|rule| Some(rule.id) != without) {
        (rule.apply)(case, &mut direct, &mut proxied);
    }
    (direct, proxied)
}

/// The rules without which a case stays unexplained.
fn needed(case: &Case, seen: &(Seen, Seen)) -> impl Iterator<Item = &'static str> {
    let ids = RULES.iter().map(|rule| rule.id);
    ids.filter(|id| {
        let (direct, proxied) = explain(case, seen, Some(id));
        direct != proxied
    })
}

/// What is left of a difference, in words.
fn difference(case: &Case, expected: &Seen, received: &Seen) -> String {
    let (expected, received) = (format!("{expected:#?}"), format!("{received:#?}"));
    let (left, right): (Vec<_>, Vec<_>) = (expected.lines().collect(), received.lines().collect());
    let same = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
    let show = |lines: &[&str]| lines.iter().skip(same).take(12).map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    format!("{}\n  expected {:.400}\n  received {:.400}", case.name, show(&left), show(&right))
}

/// What a case needs to be explained: rules, or words. `before` puts a proxy before the case's backend.
fn judge_before(case: &Case, before: impl FnOnce(SocketAddr) -> Rig) -> Result<Vec<&'static str>, String> {
    let seen = both(case, before);
    if !seen.0.stuck.is_empty() && !case.bad_reply && seen.0.responses.iter().any(|response| response.complete) {
        return Err(format!("{}: waits in vain without the proxy: {:?}", case.name, seen.0.stuck));
    }
    if seen.0 == seen.1 {
        return Ok(Vec::new());
    }
    let (direct, proxied) = explain(case, &seen, None);
    if direct == proxied { Ok(needed(case, &seen).collect()) } else { Err(difference(case, &direct, &proxied)) }
}

/// Plays every case through a proxy with these sinks, and holds what differs against the table.
fn hold_against_the_table(sinks: &[Arc<dyn AnySink>]) {
    let options = || Options { extra: sinks.to_vec(), ..Options::default() };
    hold_cases(&catalogue::all(), |case| judge_before(case, |address| Rig::with(address, options())));
}

/// Judges every case, and holds what differs against the table.
fn hold_cases(cases: &[Case], judge: impl Fn(&Case) -> Result<Vec<&'static str>, String> + Sync) {
    let share = cases.len().div_ceil(THREADS);
    let judge_all = |share: &[Case]| share.iter().map(&judge).collect::<Vec<_>>();
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let shares: Vec<_> = cases.chunks(share).map(|share| scope.spawn(|| judge_all(share))).collect();
        shares
            .into_iter()
            .flat_map(|share| share.join().unwrap_or_else(|_| panic!("a case panicked")))
            .collect::<Vec<_>>()
    });
    let (explained, unexplained): (Vec<_>, Vec<_>) = verdicts.into_iter().partition(Result::is_ok);
    let unexplained: Vec<_> = unexplained.into_iter().filter_map(Result::err).collect();
    assert!(unexplained.is_empty(), "{} cases differ:\n{}", unexplained.len(), unexplained.join("\n"));
    let used: BTreeSet<_> = explained.into_iter().flatten().flatten().collect();
    let rules: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    println!("{} cases, {} differences", cases.len(), rules.len());
    let idle: Vec<_> = rules.difference(&used).collect();
    assert!(idle.is_empty(), "rules that no case needs (add a case to the catalogue, or take them out): {idle:?}");
    let (published, rules) = (published(), rules.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>());
    let (rows, rules): (Vec<_>, Vec<_>) =
        (published.difference(&rules).collect(), rules.difference(&published).collect());
    assert!(rows.is_empty(), "rows of docs/differences.md without a rule in differential/rules.rs: {rows:?}");
    assert!(rules.is_empty(), "rules without a row in docs/differences.md: {rules:?}");
}

#[test]
fn nothing_differs_but_what_the_table_says() {
    hold_against_the_table(&[]);
}

/// With everything that the program wires between traffic and the machine: metrics, energy, and a scraper that never
/// rests.
#[cfg(target_os = "linux")]
#[test]
fn nothing_else_differs_while_every_source_of_the_machine_hangs() {
    let hanging = Hanging::start("differential");
    let metrics = Scraped::over(Some(Arc::clone(&hanging.host)));
    hold_against_the_table(&metrics.sinks());
}
