//! A stream that is reset stops its backend as fast as a client of HTTP/1.1 that leaves.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;

use super::{STREAM, WORD, given_up};
use crate::support::http2::{Client, piece, request, wait};
use crate::support::rig::Rig;
use crate::support::{PATIENCE, alone};

/// Streams that are reset in each phase.
const EACH: usize = 25;
/// As many where it is measured, and what the 99th of a hundred may take.
const MEASURED: usize = 200;
const PROMISE: Duration = Duration::from_millis(10);

/// Resets so many streams, and gives the 99th percentile of what it took until the backend noticed.
fn measure(phase: &str, sent: &'static [u8], streams: usize) -> Duration {
    let (backend, readies, goes) = given_up(sent);
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let mut times = Vec::new();
    for _ in 0..streams {
        let upload = phase == "upload";
        let (response, mut stream) = client.send(request(Method::POST, "/api/generate"), !upload);
        if upload {
            stream.send_data(Bytes::from_static(b"{"), false).expect("a piece");
        }
        readies.recv_timeout(PATIENCE).expect("the backend is asked");
        let mut seen = (!sent.is_empty()).then(|| wait(response).expect("a head").into_body());
        if phase == "decode" {
            seen.iter_mut().for_each(|body| drop(piece(body)));
        }
        let left = Instant::now();
        stream.send_reset(h2::Reason::CANCEL);
        let noticed = goes.recv_timeout(PATIENCE).expect("an end").expect("the backend is cancelled");
        times.push(noticed.saturating_duration_since(left));
        assert_eq!(rig.record().phase.as_str(), phase);
    }
    times.sort();
    let (half, most) = (times[streams / 2], times[streams * 99 / 100]);
    println!("{phase:8} over HTTP/2: p50 {half:?}, p99 {most:?}");
    most
}

fn phases() -> [(&'static str, &'static [u8]); 4] {
    let decode = [STREAM, WORD].concat().leak();
    [("upload", b""), ("waiting", b""), ("prefill", STREAM), ("decode", decode)]
}

/// Without a bound in time: a busy machine would be what is measured.
#[test]
fn a_reset_stream_stops_the_backend_in_every_phase() {
    for (phase, sent) in phases() {
        measure(phase, sent, EACH);
    }
}

#[test]
#[ignore = "a measurement, for a quiet machine: cargo test --test it cancellation:: -- --ignored"]
fn a_reset_stream_stops_the_backend_within_10_ms() {
    let _alone = alone();
    for (phase, sent) in phases() {
        let most = measure(phase, sent, MEASURED);
        assert!(most < PROMISE, "{phase}: {most:?}");
    }
}
