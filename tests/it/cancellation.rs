//! A client that leaves stops its generation at once, whatever it was doing and however it left.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::rig::Rig;
use crate::support::{PATIENCE, alone};

/// Clients that leave, one after the other, in each variant.
const EACH: usize = 25;
/// As many where it is measured, and what the 99th of a hundred may take.
const MEASURED: usize = 200;
const PROMISE: Duration = Duration::from_millis(10);

/// Where an exchange stands when its client leaves.
struct Moment {
    name: &'static str,
    request: &'static str,
    /// What the backend has answered until then.
    answer: &'static str,
    /// How the client's bytes end until then.
    seen: &'static str,
}

const REQUEST: &str = "POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
const MOMENTS: [Moment; 8] = [
    Moment {
        name: "upload, sized, stalled",
        request: "POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{",
        answer: "",
        seen: "",
    },
    Moment {
        name: "upload, chunked, stalled",
        request: "POST /api/generate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
        answer: "",
        seen: "",
    },
    Moment {
        name: "upload, answered early",
        request: "POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{",
        answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        seen: "x\r\n",
    },
    Moment { name: "waiting", request: REQUEST, answer: "", seen: "" },
    Moment {
        name: "prefill, streaming",
        request: REQUEST,
        answer: "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        seen: "\r\n\r\n",
    },
    Moment {
        name: "prefill, whole",
        request: REQUEST,
        answer: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n",
        seen: "\r\n\r\n",
    },
    Moment {
        name: "decode, streaming",
        request: REQUEST,
        answer: "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n{\"response\":\"x\",\"done\":false}\n\r\n",
        seen: "}\n\r\n",
    },
    Moment {
        name: "decode, until the end",
        request: REQUEST,
        answer: "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"response\":\"x\",\"done\":false}\n",
        seen: "}\n",
    },
];

/// Lets clients leave at a moment, and gives the sorted times until the backend noticed.
fn measure(moment: &'static Moment, reset: bool, ahead: &str, clients: usize) -> Vec<Duration> {
    let ((ready, readies), (gone, goes)) = (mpsc::channel(), mpsc::channel());
    let backend = Backend::start(move |connection| {
        connection.head();
        connection.exactly(1);
        connection.write(moment.answer.as_bytes());
        ready.send(()).expect("the test waits");
        gone.send(connection.closed().then(Instant::now)).expect("the test waits");
    });
    let rig = Rig::before(backend.address);
    let mut times: Vec<Duration> = (0..clients)
        .map(|_| {
            let mut client = Client::connect(rig.address);
            client.send(moment.request).send(ahead);
            readies.recv_timeout(PATIENCE).expect("the backend is asked");
            client.until(moment.seen);
            let left = Instant::now();
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            // Nothing else would end it: neither side has a time limit here.
            let noticed = goes.recv_timeout(PATIENCE).expect("an end").expect("the backend is cancelled");
            assert_eq!(rig.record().outcome.as_str(), "client_cancelled", "{}", moment.name);
            noticed.saturating_duration_since(left)
        })
        .collect();
    times.sort();
    times
}

/// Every variant, and the 99th percentile of each.
fn leave(clients: usize) -> Vec<(String, Duration)> {
    let next = "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n{";
    let mut measured = Vec::new();
    for moment in &MOMENTS {
        // What follows an upload that is not over would be part of it.
        let aheads: &[&str] = if moment.name.starts_with("upload") { &[""] } else { &["", "\r\n", next] };
        for (reset, ahead) in
            [false, true].into_iter().flat_map(|reset| aheads.iter().map(move |ahead| (reset, *ahead)))
        {
            let way = if reset { "reset" } else { "close" };
            let variant = format!("{:24} {way} {:2} bytes ahead", moment.name, ahead.len());
            let times = measure(moment, reset, ahead, clients);
            let (half, most) = (times[clients / 2], times[clients * 99 / 100]);
            println!("{variant}: p50 {half:?}, p99 {most:?}");
            measured.push((variant, most));
        }
    }
    measured
}

/// Without a bound in time: a busy machine would be what is measured.
#[test]
fn a_client_that_leaves_stops_the_backend_in_every_variant() {
    leave(EACH);
}

#[test]
#[ignore = "a measurement; make cancellation"]
fn a_client_that_leaves_stops_the_backend_within_10_ms() {
    let _alone = alone();
    for (variant, most) in leave(MEASURED) {
        assert!(most < PROMISE, "{variant}: {most:?}");
    }
}
