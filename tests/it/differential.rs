//! Nobody can tell the proxy from the backend, except by the published table.
//!
//! Every case of the catalogue is played twice against a scripted backend that keeps raw bytes: directly and through the
//! proxy. Each row of the README's table *What differs and why* is a rule here, which turns what was seen directly into
//! what must be seen through the proxy. A difference that no rule predicts fails; so does a rule that no case needs, and
//! a row without a rule. Not compared: time, and how bytes are split among packets.

mod catalogue;
pub(crate) mod message;
mod rules;
mod run;

use std::collections::BTreeSet;
use std::net::TcpListener;

use self::rules::RULES;
use self::run::{Case, Seen, play};
use crate::support::rig::Rig;

/// Cases played at the same time.
const THREADS: usize = 8;

fn both(case: &Case) -> (Seen, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let direct = if case.refused { Seen::nothing() } else { play(case, &listener, address) };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let rig = Rig::before(listener.local_addr().expect("an address"));
    (direct, play(case, &listener, rig.address))
}

/// The ids in the README's table.
fn published() -> BTreeSet<String> {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("<!-- differences:begin -->").expect("the table begins");
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

/// What a case needs to be explained: rules, or words.
fn judge(case: &Case) -> Result<Vec<&'static str>, String> {
    let seen = both(case);
    if !seen.0.stuck.is_empty() && !case.bad_reply && seen.0.responses.iter().any(|response| response.complete) {
        return Err(format!("{}: waits in vain without the proxy: {:?}", case.name, seen.0.stuck));
    }
    if seen.0 == seen.1 {
        return Ok(Vec::new());
    }
    let (direct, proxied) = explain(case, &seen, None);
    if direct == proxied { Ok(needed(case, &seen).collect()) } else { Err(difference(case, &direct, &proxied)) }
}

#[test]
fn nothing_differs_but_what_the_table_says() {
    let cases = catalogue::all();
    let share = cases.len().div_ceil(THREADS);
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let shares: Vec<_> =
            cases.chunks(share).map(|share| scope.spawn(|| share.iter().map(judge).collect::<Vec<_>>())).collect();
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
    assert_eq!(used, rules, "every rule is needed by a case");
    assert_eq!(published(), rules.iter().map(|id| (*id).to_owned()).collect(), "the table and the rules are the same");
}
