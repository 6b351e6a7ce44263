//! Before two backends nothing else differs on a route that one of them answers: neither where the home gets a request,
//! nor where its model decides.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use inferometer::fleet::Settings;
use inferometer::wire::listing::Listing;
use inferometer::wire::route::Route;

use super::run::Case;
use super::{catalogue, hold_cases, judge_before};
use crate::support::backend::Backend;
use crate::support::rig::{Options, Rig};

const MODEL: &str = "m";

/// Before two backends of which the one at this place is the case's, and lists the model; the other one must not be
/// asked. Listings come from the home alone.
fn before_two(case: SocketAddr, place: usize) -> (Rig, Backend) {
    let other = Backend::start(|_| {});
    let mut backends = [("case", case, &[MODEL][..]), ("other", other.address, &["other"][..])];
    backends.rotate_right(place);
    let settings = Settings { merge: false, ..Settings::default() };
    (Rig::before_fleet(Options::default(), &settings, &backends), other)
}

fn judge(case: &Case, place: usize) -> Result<Vec<&'static str>, String> {
    let mut other = None;
    let verdict = judge_before(case, |address| {
        let (rig, idle) = before_two(address, place);
        other = Some(idle);
        rig
    });
    let asked = other.map_or(0, |other| other.accepted());
    if asked > 0 { Err(format!("{}: the other backend was asked", case.name)) } else { verdict }
}

#[test]
fn nothing_else_differs_before_two_backends() {
    hold_cases(&catalogue::all(), |case| judge(case, 0));
}

/// Every path of the table with its method, as it is written there.
fn routes() -> Vec<(&'static str, &'static str)> {
    let table = include_str!("../../../src/wire/route/table.rs");
    let quoted = table.split('"').skip(1).step_by(2).collect::<Vec<_>>();
    let paths = quoted.iter().enumerate().filter(|(_, text)| text.starts_with('/'));
    let method = |at: usize| quoted.get(at + 1).copied().filter(|next| matches!(*next, "POST" | "DELETE"));
    paths.map(|(at, path)| (method(at).unwrap_or("GET"), *path)).collect()
}

#[test]
fn every_route_is_forwarded_byte_for_byte_to_the_one_of_two_that_serves_it() {
    let response =
        "HTTP/1.1 200 Fine\r\nX-y:  z\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n";
    let body = format!(r#"{{"messages":[{{"content":"{}"}}],"model":"{MODEL}"}}"#, "x".repeat(70_000));
    let forms = [
        format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x};e\r\n{body}\r\n0\r\nX-Sum: 1\r\n\r\n", body.len()),
    ];
    let (mut by_model, mut of_home) = (BTreeSet::new(), BTreeSet::new());
    for (method, path) in routes() {
        let forms = if method == "GET" { vec!["\r\n"] } else { forms.iter().map(String::as_str).collect() };
        let place = usize::from(Route::of(method, path).is_by_model());
        if place == 1 {
            by_model.insert(path)
        } else {
            of_home.insert(path)
        };
        for form in forms {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nx-A:1\r\n{form}");
            let case = catalogue::exchange(format!("{method} {path}"), request, response);
            assert_eq!(judge(&case, place), Ok(Vec::new()));
        }
    }
    println!("{} routes by their model, {} of the home", by_model.len(), of_home.len());
    assert!(by_model.len() > 40 && Listing::ALL.iter().all(|listing| of_home.contains(listing.endpoint())));
}
