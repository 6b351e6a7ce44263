//! A stream that is reset stops its backend as fast as a client of HTTP/1.1 that leaves.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;

use super::{STREAM, WORD, given_up};
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, piece, request, wait};
use crate::support::rig::Rig;
use crate::support::{PATIENCE, alone};

/// Streams that are reset in each phase.
const EACH: usize = 200;
const PROMISE: Duration = Duration::from_millis(10);
/// The machine may be busy with something else at one time.
const CHANCES: usize = 3;

fn p99(times: impl Iterator<Item = Duration>) -> (Duration, Duration) {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    (times[EACH / 2], times[EACH * 99 / 100])
}

fn reset(phase: &str, sent: &'static [u8]) -> (Duration, Duration) {
    let (backend, readies, goes) = given_up(sent);
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    p99((0..EACH).map(|_| {
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
        assert_eq!(rig.record().phase.as_str(), phase);
        noticed.saturating_duration_since(left)
    }))
}

/// The machine's own share: a client of the backend itself that leaves.
fn without_the_proxy() -> (Duration, Duration) {
    let (backend, readies, goes) = given_up(b"");
    p99((0..EACH).map(|_| {
        let mut client = Raw::connect(backend.address);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        readies.recv_timeout(PATIENCE).expect("the backend is asked");
        let left = Instant::now();
        drop(client);
        let noticed = goes.recv_timeout(PATIENCE).expect("an end").expect("it ended");
        noticed.saturating_duration_since(left)
    }))
}

#[test]
fn a_reset_stream_stops_the_backend_within_10_ms_in_every_phase() {
    let _alone = alone();
    let decode: &'static [u8] = [STREAM, WORD].concat().leak();
    for (phase, sent) in [("upload", &b""[..]), ("waiting", b""), ("prefill", STREAM), ("decode", decode)] {
        let fast = (0..CHANCES).any(|_| {
            let (half, most) = reset(phase, sent);
            println!("{phase:8} over HTTP/2: p50 {half:?}, p99 {most:?}");
            most < PROMISE || most < PROMISE + 2 * without_the_proxy().1
        });
        assert!(fast, "{phase} takes too long");
    }
}
