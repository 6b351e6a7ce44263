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

/// Streams that are reset through the proxy and, in turn, clients of the backend itself that leave, which is the machine's
/// own share. Of each the median and the 99th percentile.
fn measure(phase: &str, sent: &'static [u8]) -> [(Duration, Duration); 2] {
    let ((backend, readies, goes), (bare, bare_readies, bare_goes)) = (given_up(sent), given_up(b""));
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..EACH {
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
        times[0].push(noticed.saturating_duration_since(left));
        assert_eq!(rig.record().phase.as_str(), phase);

        let mut direct = Raw::connect(bare.address);
        direct.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        bare_readies.recv_timeout(PATIENCE).expect("the backend is asked");
        let left = Instant::now();
        drop(direct);
        let noticed = bare_goes.recv_timeout(PATIENCE).expect("an end").expect("it ended");
        times[1].push(noticed.saturating_duration_since(left));
    }
    times.map(|mut times| {
        times.sort();
        (times[EACH / 2], times[EACH * 99 / 100])
    })
}

#[test]
fn a_reset_stream_stops_the_backend_within_10_ms_in_every_phase() {
    let _alone = alone();
    let decode: &'static [u8] = [STREAM, WORD].concat().leak();
    for (phase, sent) in [("upload", &b""[..]), ("waiting", b""), ("prefill", STREAM), ("decode", decode)] {
        let fast = (0..CHANCES).any(|_| {
            let [(half, most), (_, direct)] = measure(phase, sent);
            println!("{phase:8} over HTTP/2: p50 {half:?}, p99 {most:?}; without the proxy p99 {direct:?}");
            // The client's thread, the proxy's and the backend's must run, where without it one must.
            most < PROMISE || most < PROMISE + 3 * direct
        });
        assert!(fast, "{phase} takes too long");
    }
}
