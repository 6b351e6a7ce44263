//! What clients get while a backend fails, hangs or drains, or may not be asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Method, Request};
use inferometer::backend;
use inferometer::backend::address::Address;
use inferometer::backend::dial::Dialer;
use inferometer::exchange::placement::PlacementReason;
use inferometer::fleet::policy::{Policy, Standing};
use inferometer::fleet::{self, Knowledge, Member, Share};

use super::program::{Fleet, serve, server, table};
use super::{chat, placed};
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::http2;
use crate::support::rig::{Options, Rig};
use crate::support::servers::free;

/// The listings, each with what a backend alone answers.
const LISTINGS: [(&str, &str); 4] = [
    ("/api/tags", r#"{"models":[{"name":"there:1b"}]}"#),
    ("/api/ps", r#"{"models":[]}"#),
    ("/v1/models", r#"{"object":"list","data":[{"id":"there:1b"}]}"#),
    ("/api/version", r#"{"version":"0.33.0"}"#),
];

/// A server that answers listings, and everything else with a 404.
fn listing() -> Backend {
    Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).expect("a target");
            let known = LISTINGS.iter().find(|(listing, _)| *listing == path);
            let (status, body) = known.map_or(("404 Not Found", "none"), |(_, body)| ("200 OK", body));
            let length = body.len();
            connection
                .write(format!("HTTP/1.1 {status}\r\nIts: own\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
        }
    })
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

#[test]
fn where_the_home_is_gone_another_one_answers_what_any_may_be_asked() {
    let (home, other) = (free(), listing());
    let backends = [("home", home, &["here:1b"][..]), ("other", other.address, &["there:1b"])];
    let rig = Rig::before_several(Policy::ModelLoaded, &backends);
    for (path, body) in LISTINGS {
        let answer = ask(rig.address, get(path));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nIts: own\r\n") && answer.ends_with(body), "{path}: {answer}");
        assert_eq!(placed(&rig.record()), ("other", PlacementReason::Home), "{path}");
        let request =
            Request::builder().method(Method::GET).uri(format!("http://a{path}")).body(()).expect("a request");
        let (head, got) = http2::Client::connect(rig.address).ask(request, "");
        assert_eq!((head.status().as_u16(), &*got), (200, body), "{path}");
        assert_eq!(placed(&rig.record()).0, "other", "{path}");
    }
    let head = get("/api/version").replace("GET", "HEAD");
    assert!(ask(rig.address, head).starts_with("HTTP/1.1 200 "));
    let show = r#"{"model":"nowhere"}"#;
    let show = format!(
        "POST /api/show HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{show}",
        show.len()
    );
    let answer = ask(rig.address, show);
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("none"), "{answer}");
}

#[test]
fn where_none_lists_models_a_backend_that_works_answers_and_where_none_works_the_home_does() {
    let other = Backend::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
    let backends = [("home", free(), &["here:1b"][..]), ("other", other.address, &["there:1b"])];
    let rig = Rig::before_several(Policy::ModelLoaded, &backends);
    let answer = ask(rig.address, get("/v1/models"));
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("none"), "{answer}");
    let home = free();
    let rig = Rig::before_several(Policy::ModelLoaded, &[("home", home, &[]), ("other", free(), &[])]);
    let _first = ask(rig.address, get("/api/tags"));
    let answer = ask(rig.address, get("/api/tags"));
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("[[backends]]"), "{answer}");
    assert!(answer.contains(&home.to_string()), "the home's: {answer}");
}

#[test]
fn a_backend_whose_generations_fail_is_left_out_whatever_else_it_answers() {
    let (one, other) = (server("one", "both:1b"), server("other", "both:1b"));
    let bad = Backend::start(|connection| while serve(connection, "bad", "both:1b", "500 Internal Server Error") {});
    let all = [table("bad", bad.address, ""), table("one", one.address, ""), table("other", other.address, "")];
    let fleet = Fleet::start(&format!("policy = \"round_robin\"\n{}", all.concat()));
    fleet.listed(3);
    let mut client = Client::connect(fleet.program.clients);
    let mut failed = 0;
    for _ in 0..40 {
        client.send(chat("both:1b", 10)).until("\"}");
        failed += u32::from(fleet.line()["status"] == 500);
        client.send("GET /api/tags HTTP/1.1\r\nHost: a\r\n\r\n").until("]}");
        client.send("GET /api/blobs/x HTTP/1.1\r\nHost: a\r\n\r\n").until("bad");
        assert_eq!([fleet.line(), fleet.line()].map(|line| line["outcome"] == "completed"), [true, true]);
    }
    assert_eq!(failed, 5, "five in a row, and no more");
    assert_eq!(fleet.program.metric("backend_state", &["bad", "ejected"]), 1.0);
}

/// A member that was begun a while ago, of which nothing has been heard since.
fn silent(name: &str, backend: &Backend) -> Member {
    let address: Address = format!("http://{}", backend.address).parse().expect("an address");
    let dialer = Arc::new(Dialer::new(address.clone()));
    let begun = Instant::now().checked_sub(Duration::from_secs(60)).expect("a machine that runs for a minute");
    let backend = backend::Backend { name: name.into(), address };
    Member::new(backend, Options::default().upstream, Share::default(), dialer, begun)
}

#[test]
fn a_failed_probe_of_a_backend_that_sends_says_nothing_and_of_one_that_hangs_that_it_is_down() {
    let streams = Backend::start(|connection| {
        while connection.request().is_some() {
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun");
            connection.closed();
        }
    });
    let hangs = Backend::start(|connection| {
        while connection.request().is_some() {
            connection.closed();
        }
    });
    let knowledge = Knowledge::default();
    knowledge.catalogue.set_listed(&Arc::from("streams"), ["here:1b"].into_iter());
    knowledge.catalogue.set_listed(&Arc::from("hangs"), ["there:1b"].into_iter());
    let members = vec![silent("streams", &streams), silent("hangs", &hangs)];
    let fleet = fleet::Fleet::new(members, &fleet::Settings::default(), knowledge);
    let members = fleet.members().to_vec();
    let rig = Rig::over(fleet, Options::default());
    let mut clients = [0, 1].map(|_| Client::connect(rig.address));
    clients[0].send(chat("here:1b", 10)).until("begun");
    clients[1].send(chat("there:1b", 10));
    let begun = Instant::now();
    while hangs.accepted() == 0 {
        assert!(begun.elapsed() < crate::support::PATIENCE);
        std::thread::yield_now();
    }
    let standing = |at: usize, now| {
        members[at].probed(false, now);
        (members[at].standing(now), members[at].ignored_probes(), members[at].in_flight())
    };
    let now = Instant::now();
    assert_eq!(standing(0, now), (Standing::Up, 1, 1), "it is busy");
    assert_eq!(standing(1, now), (Standing::Down, 0, 1), "nothing was heard of it for a minute");
    assert_eq!(standing(0, now + Duration::from_secs(12)).0, Standing::Down, "it hangs since");
}

#[test]
fn a_model_that_may_not_be_asked_for_is_not_listed_and_not_found() {
    let (one, other) = (server("one", "here:1b"), server("other", "there:1b"));
    let deny = "deny = [\"there*\"]";
    let toml = [table("one", one.address, deny), table("other", other.address, deny)].concat();
    let fleet = Fleet::start(&toml);
    fleet.listed(2);
    for path in ["/api/tags", "/api/ps"] {
        let answer = ask(fleet.program.clients, get(path));
        assert!(answer.contains("here:1b") && !answer.contains("there:1b"), "{answer}");
    }
    let closing =
        |path: &str| chat("there:1b", 10).replace("/api/chat", path).replace("Host: a", "Host: a\r\nConnection: close");
    for path in ["/api/chat", "/v1/chat/completions", "/v1/messages"] {
        let answer = ask(fleet.program.clients, closing(path));
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("allow and deny"), "{answer}");
        assert!(!answer.contains("overloaded") && !answer.contains("drain"), "{answer}");
    }
    fleet.reload(&format!("[fleet]\npull = \"all\"\n{toml}"));
    let answer = ask(fleet.program.clients, closing("/api/pull"));
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("allow and deny"), "{answer}");
    let toml = [table("one", one.address, deny), table("other", free(), "")].concat();
    fleet.reload(&toml);
    let answer = ask(fleet.program.clients, get("/api/tags"));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("here:1b"), "{answer}");
}

#[test]
fn a_model_whose_only_backend_drains_is_refused_for_that() {
    let (one, other) = (server("one", "here:1b"), server("other", "there:1b"));
    let first = table("one", one.address, "");
    let fleet = Fleet::start(&format!("{first}{}", table("other", other.address, "")));
    fleet.listed(2);
    fleet.reload(&format!("{first}{}", table("other", other.address, "drain = true")));
    let closing = |model| chat(model, 10).replace("Host: a", "Host: a\r\nConnection: close");
    let answer = ask(fleet.program.clients, closing("there:1b"));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-inferometer-error: no_backend"), "{answer}");
    let answer = ask(fleet.program.clients, closing("nowhere"));
    assert!(answer.contains("\"from\":\"one\"}"), "{answer}");
}

#[test]
fn a_backend_that_has_just_died_is_not_said_to_list_no_models() {
    let (one, is_dead) = (server("one", "here:1b"), Arc::new(AtomicBool::new(false)));
    let dead = is_dead.clone();
    let dying =
        Backend::start(
            move |connection| {
                while !dead.load(Ordering::SeqCst) && serve(connection, "dying", "there:1b", "200 OK") {}
            },
        );
    let fleet = Fleet::start(&[table("one", one.address, ""), table("dying", dying.address, "")].concat());
    fleet.listed(2);
    is_dead.store(true, Ordering::SeqCst);
    // A model that none lists has all listed again, before the next probe.
    Client::connect(fleet.program.clients).send(chat("nowhere", 10)).until("\"from\":\"one\"}");
    let line = fleet.program.logged(|line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("does not answer") || text.contains("lists no models"))
    });
    assert!(line["message"].as_str().is_some_and(|text| text.contains("does not answer")), "{line}");
}
