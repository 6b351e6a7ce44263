//! How several backends are exposed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use inferometer::backend::address::Address;
use inferometer::backend::dial::Dialer;
use inferometer::backend::{self, Backend};
use inferometer::exchange::placement::{Placement, PlacementReason};
use inferometer::exchange::record::{Method, Start};
use inferometer::exchange::sink::{Sink, Watch};
use inferometer::exchange::trace::TraceId;
use inferometer::exchange::vocabulary::Route;
use inferometer::fleet::{Fleet, Knowledge, LeaseEnd, Listed, Member, Settings, Share, Slots};
use inferometer::metrics::{self, Build, Format, HeldBytes, Metrics};
use inferometer::wire::listing::Listing;

use crate::support::golden;

fn member(name: &str, share: Share) -> Member {
    let address: Address = "127.0.0.1:9".parse().expect("an address");
    let dialer = Arc::new(Dialer::new(address.clone()));
    Member::new(Backend { name: name.into(), address }, backend::Settings::default(), share, dialer, Instant::now())
}

fn placement(reason: PlacementReason) -> Placement {
    let held = Some(Duration::from_millis(3));
    Placement { backend: "one".into(), reason, attempt: 1, queued: Duration::ZERO, held }
}

/// The page of a program with this fleet, of which one backend has failed.
fn page(fleet: Fleet) -> String {
    let settings = metrics::Settings {
        build: Build { version: "1", revision: "", rustc: "1" },
        started: UNIX_EPOCH,
        max_histograms: metrics::DEFAULT_MAX_HISTOGRAMS,
        max_series: metrics::DEFAULT_MAX_SERIES,
    };
    let metrics = Metrics::new(settings, &[], Arc::default());
    for _ in 0..5 {
        let mut lease = fleet.choose_named("one").expect("one");
        lease.report(LeaseEnd::Failed, || 0.5, Instant::now());
    }
    let _in_flight = fleet.choose_named("third").expect("third");
    let fleet = Arc::new(fleet);
    metrics.watch_fleet(move || fleet.clone(), || HeldBytes { now: 4096, overflows: 2 });
    let start = Start {
        id: 1,
        method: Method::Post,
        route: Route::of("POST", "/api/chat"),
        trace: TraceId::from_random(1),
        parent: None,
        client: None,
        conversation: None,
        at: Instant::now(),
    };
    for reason in [PlacementReason::Cold, PlacementReason::Join] {
        let mut watch = Sink::started(&*metrics, &start);
        watch.placed(&placement(reason));
        watch.requested(Some(&"m".into()));
    }
    String::from_utf8(metrics.encode(Format::Text)).expect("text")
}

/// The families that only several backends have.
fn own(page: &str) -> String {
    let names = ["router_", "cold_start_joins", "probe_failures", "backend_", "fleet_", "load_balance_"]
        .map(|name| format!("ollama_proxy_{name}"));
    let is_own = |line: &&str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        names.iter().any(|own| name.starts_with(own))
    };
    page.lines().filter(is_own).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn several_backends_are_exposed_as_the_golden_file_says() {
    let drains = Share { drains: true, slots: Slots::AtMost(4.try_into().expect("not zero")), ..Share::default() };
    let up = ["third", "fourth"].map(|name| member(name, Share::default()));
    let members = [member("one", Share::default()), member("other", drains)].into_iter().chain(up).collect();
    let fleet = Fleet::new(members, &Settings::default(), Knowledge::default());
    let listed = Listed { body: b"{}".to_vec(), content_type: Box::default() };
    fleet.members()[0].remember(Listing::Tags, listed, Instant::now());
    golden::hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fleet.txt"), &own(&page(fleet)));
}
