//! Events, the audit, jobs, errors, the machine and the top lists: of all replicas.

use std::sync::atomic::Ordering;

use inferometer::exchange::vocabulary::Operation;
use inferometer::history::journal::event::{Event, EventKind};
use inferometer::history::query::lists::{ListFilter, ListQuery};
use inferometer::history::query::{Filter, MachinePoint, PageQuery, TIME_LIMIT, TopQuery};
use inferometer::history::rollup::Step;
use inferometer::history::tops::TopBy;
use inferometer::history::{Directory, Reading};
use rustix::process::Signal;

use super::{ROWS, copy, wait_for, wait_for_table};
use crate::history::faults::{Kept, fresh};
use crate::history::{EVER, reading};
use crate::support::client::Client;
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::postgres::Postgres;
use crate::support::program::{Program, STATE, command};

const ALL: ListQuery = ListQuery { range: EVER, filter: NO_FILTER, offset: 0, limit: 100 };

const NO_FILTER: ListFilter = ListFilter {
    levels: None,
    what: None,
    who: None,
    backend: None,
    resource: None,
    component: None,
    state: None,
    states: None,
};

fn request(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: curl/8.5\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn check(is: bool, what: impl std::fmt::Debug) -> Result<(), String> {
    if is { Ok(()) } else { Err(format!("{what:?}")) }
}

#[test]
fn events_the_audit_jobs_and_errors_are_those_of_every_replica() {
    let server = Postgres::start();
    let ollama = Ollama::listing(&["llama3:latest"]);
    ollama.answer("POST /api/pull", "200 OK", &[r#"{"status":"success"}"#]);
    ollama.answer("POST /api/chat", "500 Internal Server Error", &[r#"{"error":"no"}"#]);
    let mut programs = [(); 2].map(|()| Program::with(ollama.address, &["--history", &server.url()]));
    for program in &programs {
        // Before the backend has said which models it has, none is a model.
        program.wait_for("model_info", &["model=\"llama3:latest\""], 1.0);
        Client::connect(program.clients).send(request("/api/pull", r#"{"model":"new:1b"}"#)).rest();
        Client::connect(program.clients).send(request("/api/chat", r#"{"model":"llama3"}"#)).rest();
    }
    // Without files, from which it would answer if the server did not.
    let all = Reading::new(Directory::within(&fresh("replica-lists").0), TIME_LIMIT).with_server(server.server());
    look_until(|| {
        let jobs = all.jobs(&ALL).expect("it answers");
        check(jobs.total == 2 && jobs.entries.iter().all(|job| &*job.state == "completed"), jobs)
    });
    let [tally] = &all.job_tallies(EVER).expect("it answers")[..] else { panic!("one kind in one state") };
    assert_eq!((&*tally.kind, &*tally.state, tally.count, tally.ended), ("pull", "completed", 2, 2));
    let lasted: i64 =
        all.jobs(&ALL).expect("it answers").entries.iter().map(|job| job.ended.expect("over") - job.started).sum();
    assert_eq!(i64::try_from(tally.millis), Ok(lasted));
    // Of the pulls and the chats, which also failed, only these run a model; from the rows, and from the sums.
    look_until(|| {
        let filter = Filter { inference: true, failed: true, ..Filter::default() };
        let page = all.page(&PageQuery { range: EVER, filter, offset: 0, limit: 10 }).expect("it answers");
        check(page.exchanges.len() == 2 && page.total == Ok(2), (page.exchanges.len(), page.total))
    });
    let none = Filter { inference: true, operation: Some(Operation::Pull), ..Filter::default() };
    let page = all.page(&PageQuery { range: EVER, filter: none, offset: 0, limit: 10 }).expect("it answers");
    assert_eq!((page.exchanges.len(), page.total), (0, Ok(0)), "a pull runs no model");
    look_until(|| all.audit(&ALL).map(|it| check(it.total == 2, it)).expect("it answers"));
    let errors = ListQuery { filter: ListFilter { what: Some("http_5xx".into()), ..NO_FILTER }, ..ALL };
    look_until(|| all.errors(&errors).map(|it| check(it.total == 2, it)).expect("it answers"));
    let ended = all.failures(EVER, &Filter { model: Some("llama3:latest".into()), ..Filter::default() });
    let [alike] = &ended.expect("it answers")[..] else { panic!("they ended alike") };
    assert_eq!((alike.count, alike.ending.status, alike.ending.is_failure()), (2, 500, true), "{alike:?}");
    assert_eq!((alike.ending.backend.as_deref(), alike.ending.model.as_deref()), (Some("test"), Some("llama3:latest")));
    let started = ListQuery { filter: ListFilter { what: Some("started".into()), ..NO_FILTER }, ..ALL };
    look_until(|| all.events(&started).map(|it| check(it.total == 2, it)).expect("it answers"));
    let page = all.events(&ListQuery { offset: 1, limit: 1, ..started.clone() }).expect("it answers");
    assert_eq!((page.entries.len(), page.total), (1, 2));
    let beyond = all.events(&ListQuery { offset: 7, ..started }).expect("it answers");
    assert_eq!((beyond.entries.len(), beyond.total), (0, 2));

    for program in &mut programs {
        program.signal(Signal::TERM);
        assert!(program.ended().success());
        // Entry by entry as the files have them.
        let files = reading(program.state());
        let (events, copied) = (files.events(&ALL).expect("sound"), all.events(&ALL).expect("it answers"));
        assert!(
            events.total > 1 && events.entries.iter().all(|it| copied.entries.contains(it)),
            "{events:?} {copied:?}"
        );
        let (jobs, copied) = (files.jobs(&ALL).expect("sound"), all.jobs(&ALL).expect("it answers"));
        assert!(jobs.entries.iter().all(|it| copied.entries.contains(it)), "{jobs:?} {copied:?}");
        let (errors, copied) = (files.errors(&ALL).expect("sound"), all.errors(&ALL).expect("it answers"));
        assert!(errors.entries.iter().all(|it| copied.entries.contains(it)), "{errors:?} {copied:?}");
        let machine = files.machine(Step::Minute, EVER).expect("sound");
        let copied = all.machine(Step::Minute, EVER).expect("it answers");
        let text = |point: &MachinePoint| format!("{point:?}");
        let copied: Vec<String> = copied.iter().map(text).collect();
        assert!(
            !machine.is_empty() && machine.iter().all(|point| copied.contains(&text(point))),
            "{machine:?} {copied:?}"
        );
    }

    let mut forget = command();
    forget.env(STATE, programs[0].state()).args(["history", "forget", "--model", "new:1b", "--history", &server.url()]);
    assert!(forget.output().expect("it runs").status.success());
    assert_eq!((all.jobs(&ALL).expect("it answers").total, all.audit(&ALL).expect("it answers").total), (0, 0));
    assert!(!server.text().contains("new:1b"), "{}", server.text());
}

#[test]
fn events_of_a_new_main_file_are_copied_too_and_none_stops_the_copy() {
    let server = Postgres::start();
    let state = fresh("replica-events");
    let kept = Kept::within(&state.0);
    let follows = copy(&kept, &state, &server, "a");
    for _ in 0..3 {
        kept.history.journal().event(Event::new(EventKind::Drained));
    }
    wait_for_table(&server);
    const EVENTS: &str = "SELECT count(*) FROM inferometer.events WHERE what = 'drained'";
    wait_for(&server, EVENTS, 3);
    drop((follows, kept));
    for suffix in ["", "-wal", "-shm"] {
        let _absent = std::fs::remove_file(format!("{}{suffix}", Directory::within(&state.0).main().display()));
    }
    let kept = Kept::within(&state.0);
    let _follows = copy(&kept, &state, &server, "a");
    // PostgreSQL takes no character 0.
    kept.history.journal().event(Event::new(EventKind::Drained).about("a\0b"));
    wait_for(&server, EVENTS, 4);
    wait_for(&server, "SELECT count(*) FROM inferometer.events WHERE subject = 'a\u{fffd}b'", 1);
}

#[test]
fn the_top_of_whole_hours_comes_from_their_lists() {
    const HOUR: i64 = 3_600_000;
    let server = Postgres::start();
    let state = fresh("replica-tops");
    let kept = Kept::within(&state.0);
    let _copy = copy(&kept, &state, &server, "a");
    kept.offset.store(-2 * HOUR, Ordering::SeqCst);
    kept.serve(5);
    wait_for_table(&server);
    wait_for(&server, ROWS, 5);
    kept.offset.store(0, Ordering::SeqCst);
    kept.serve(3);
    wait_for(&server, ROWS, 8);
    const LISTED: &str = "SELECT count(*) FROM inferometer.tops WHERE measure = 'duration'";
    wait_for(&server, LISTED, 8);
    let all = Reading::new(Directory::within(&state.0), TIME_LIMIT).with_server(server.server());
    let query = TopQuery { range: EVER, filter: Filter::default(), by: TopBy::Duration, limit: 8 };
    let ids = |reading: &Reading, query: &TopQuery| -> Vec<_> {
        reading.top(query).expect("it answers").iter().map(|it| it.id).collect()
    };
    assert_eq!(ids(&all, &query), ids(&reading(&state.0), &query), "as the files say");
    // The shortest of the earlier hour becomes the first of its list, by which it is seen that the list was asked.
    let first = "UPDATE inferometer.tops SET value = 1::bigint << 60 WHERE measure = 'duration' AND exchange = \
                 (SELECT id FROM inferometer.exchanges WHERE at < now() - interval '1 hour' ORDER BY duration_us, id LIMIT 1)";
    server.execute(first);
    let shortest = server.number(
        "SELECT id FROM inferometer.exchanges WHERE at < now() - interval '1 hour' ORDER BY duration_us, id LIMIT 1",
    );
    let now = ids(&all, &query).iter().map(|id| id.millis()).max().expect("eight");
    let earlier = inferometer::history::query::Range { from: 0, to: now - HOUR };
    let earlier = TopQuery { range: earlier, limit: 1, ..query.clone() };
    assert_eq!(ids(&all, &earlier).iter().map(|id| id.0).collect::<Vec<_>>(), [shortest]);
    // With a filter all rows are read.
    let failed = TopQuery { filter: Filter { failed: true, ..Filter::default() }, ..query };
    assert!(ids(&all, &failed).is_empty());
}
