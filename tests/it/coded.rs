//! Bodies in a content coding: what reading a copy of them may cost, and that their bytes go on whatever it costs.

use std::io::Write;
use std::sync::mpsc;

use bytes::Bytes;
use inferometer::exchange::outcome::Outcome;
use inferometer::exchange::record::Record;
use inferometer::exchange::vocabulary::Defect;

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::http2;
use crate::support::program::Program;
use crate::support::rig::Rig;

/// What every coding makes of a body.
fn codings(body: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let best = flate2::Compression::best();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), best);
    gzip.write_all(body).expect("memory");
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), best);
    deflate.write_all(body).expect("memory");
    let mut br = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 4, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut &body[..], &mut br, &params).expect("memory");
    let mut zstd = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
    zstd_safe::compress(&mut zstd, body, 3).expect("there is room");
    [
        ("gzip", gzip.finish().expect("memory")),
        ("deflate", deflate.finish().expect("memory")),
        ("br", br),
        ("zstd", zstd),
    ]
}

/// A body that names its model, and is small until it is decoded.
fn bomb() -> Vec<u8> {
    [&br#"{"model":"m","prompt":""#[..], &vec![b'a'; 16 << 20], br#""}"#].concat()
}

#[track_caller]
fn stopped(record: &Record, coding: &str) {
    let defects: Vec<_> = record.defects.iter().collect();
    assert_eq!(defects, [(Defect::Budget, 1)], "{coding}");
    assert_eq!(record.outcome, Outcome::Completed, "{coding}");
}

#[test]
fn a_request_that_costs_too_much_to_decode_goes_on_unread() {
    let (sender, arrived) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            sender.send(request).expect("the test waits");
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    let rig = Rig::before(backend.address);
    for (coding, body) in codings(&bomb()) {
        let head = format!(
            "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Client::connect(rig.address).send([head.as_bytes(), &body].concat()).until("{}");
        let request = arrived.recv_timeout(PATIENCE).expect("it arrives");
        assert!(request.ends_with(&body), "{coding}: as it was sent");
        let record = rig.record();
        stopped(&record, coding);
        assert_eq!((record.prompt_characters, record.request_bytes), (None, body.len() as u64), "{coding}");
        assert!(matches!(record.model(), None | Some("m")), "{coding}");

        let mut request = http2::request(http::Method::POST, "/v1/completions");
        request.headers_mut().insert("content-encoding", coding.parse().expect("a value"));
        let client = http2::Client::connect(rig.address);
        let (response, mut stream) = client.send(request, false);
        stream.send_data(Bytes::from(body.clone()), true).expect("a body");
        assert_eq!(http2::wait(response).expect("a response").status(), 200, "{coding}");
        drop(arrived.recv_timeout(PATIENCE).expect("it arrives"));
        stopped(&rig.record(), coding);
    }
}

#[test]
fn a_response_that_costs_too_much_to_decode_goes_on_unread() {
    for (coding, body) in codings(&bomb()) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let backend = Backend::answering([head.as_bytes(), &body].concat());
        let rig = Rig::before(backend.address);
        let ask = "POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let (answer, reset) = Client::connect(rig.address).send(ask).rest();
        assert!(!reset && answer.ends_with(&body), "{coding}: as it was sent");
        let record = rig.record();
        stopped(&record, coding);
        assert_eq!(record.response_bytes, body.len() as u64, "{coding}");

        let client = http2::Client::connect(rig.address);
        let (response, _) = client.send(http2::request(http::Method::POST, "/v1/completions"), true);
        let mut answer = http2::wait(response).expect("a response").into_body();
        let mut bytes = Vec::new();
        while let Some(piece) = http2::piece(&mut answer) {
            bytes.extend_from_slice(&piece.expect("a whole body"));
        }
        assert!(bytes == body, "{coding}: as it was sent");
        stopped(&rig.record(), coding);
    }
}

#[test]
fn a_request_in_an_unknown_coding_is_a_defect_too() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let rig = Rig::before(backend.address);
    let ask = "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Encoding: compress\r\nContent-Length: 2\r\n\r\n{}";
    Client::connect(rig.address).send(ask).until("\r\n\r\n{}");
    assert_eq!(rig.record().defects.iter().collect::<Vec<_>>(), [(Defect::Encoding, 1)]);
}

/// Megabytes that shrink to a fiftieth, so that no ratio gives them away, with the largest window that may be announced.
fn window(len: usize) -> Vec<u8> {
    let mut random = 1_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"etaoin shrdlu{}:,"[(random >> 24) as usize % 17]
    };
    let noise: Vec<u8> = (0..len / 24).map(|_| next()).collect();
    let body: Vec<u8> = noise.chunks(1000).flat_map(|part| part.iter().cycle().take(24_000)).copied().collect();
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::WindowLog(23)).expect("a window");
    context.set_parameter(zstd_safe::CParameter::ContentSizeFlag(false)).expect("a flag");
    let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
    let mut out = zstd_safe::OutBuffer::around(&mut coded);
    context.compress_stream(&mut out, &mut zstd_safe::InBuffer::around(&body)).expect("good");
    assert_eq!(context.flush_stream(&mut out), Ok(0), "all is out");
    coded
}

#[test]
fn dribbled_uploads_hold_no_more_than_a_budget() {
    let _alone = crate::support::alone();
    // A window that is filled, and less than one upload may hold.
    for len in [8 << 20, 1 << 20] {
        let (body, held) = dribble(100, len);
        println!(
            "100 uploads of {} KB, zstd with a window of 8 MiB, {} MiB decoded, hold {} MiB",
            body / 1000,
            len >> 20,
            held >> 20
        );
        assert!(held < 80 << 20, "{} MiB", held >> 20);
    }
}

/// What the program holds while so many clients have sent all of a body but its last byte.
fn dribble(uploads: usize, len: usize) -> (usize, u64) {
    let body = window(len);
    let length = body.len();
    let (sender, arrived) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        while let Some(head) = connection.head() {
            if head.starts_with(b"POST ") {
                assert_eq!(connection.exactly(length).len(), length);
                sender.send(()).expect("the test waits");
                connection.closed();
                return;
            }
            connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let program = Program::with(backend.address, &["--access-log", "off"]);
    program.wait_for("backend_up", &[], 1.0);
    let before = program.resident();
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Encoding: zstd\r\nContent-Length: {}\r\n\r\n",
        length + 1
    );
    let clients: Vec<Client> = (0..uploads)
        .map(|_| {
            let mut client = Client::connect(program.clients);
            client.send([head.as_bytes(), &body].concat());
            client
        })
        .collect();
    (0..uploads).for_each(|_| arrived.recv_timeout(PATIENCE).expect("all but the last byte goes on"));
    let held = program.resident().saturating_sub(before);
    drop(clients);
    (length, held)
}

/// So many bits that do not repeat: what is made of them shrinks to no less than they are, and stays no bomb.
fn bits(number: u64, bits: u32) -> u64 {
    (number * number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - bits)
}

/// A body of some megabytes that shrinks to a twentieth or so.
fn long() -> Vec<u8> {
    let words: String = (0..60_000).map(|number| format!("{:040} ", bits(number, 8))).collect();
    format!("{{\"model\":\"m\",\"prompt\":\"{words}\"}}").into_bytes()
}

#[test]
fn a_coded_body_that_decodes_to_more_than_a_turn_grants_is_read_to_its_end() {
    let body = long();
    assert!(body.len() > 2 << 20, "{}", body.len());
    let backend = Backend::start(|connection| {
        while connection.request().is_some() {
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    // The window of `br` is larger here than a request is granted.
    for (coding, coded) in codings(&body).into_iter().filter(|(coding, _)| *coding != "br") {
        // Each of another worker's budget: together they are more than is granted in a second.
        let rig = Rig::before(backend.address);
        println!("{coding}: {} KiB decode to {} KiB", coded.len() >> 10, body.len() >> 10);
        let head = format!(
            "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            coded.len()
        );
        Client::connect(rig.address).send([head.as_bytes(), &coded].concat()).until("{}");
        whole(&rig.record(), coding);

        let mut request = http2::request(http::Method::POST, "/v1/completions");
        request.headers_mut().insert("content-encoding", coding.parse().expect("a value"));
        let client = http2::Client::connect(rig.address);
        let (response, mut stream) = client.send(request, false);
        stream.send_data(Bytes::from(coded), true).expect("a body");
        assert_eq!(http2::wait(response).expect("a response").status(), 200, "{coding}");
        whole(&rig.record(), coding);
    }
}

#[track_caller]
fn whole(record: &Record, coding: &str) {
    let defects: Vec<_> = record.defects.iter().collect();
    assert_eq!((record.model(), defects), (Some("m"), Vec::new()), "{coding}");
    assert!(record.prompt_characters > Some(2 << 20), "{coding}: {:?}", record.prompt_characters);
}

#[test]
fn a_coded_answer_that_decodes_to_more_than_a_turn_grants_is_read_to_its_end() {
    let line = |text: &str| format!("{{\"model\":\"m\",\"response\":\"{text}\",\"done\":false}}\n");
    let mut body: String = (0..60_000).map(|number| line(&bits(number, 16).to_string())).collect();
    body.push_str("{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"eval_count\":60000}\n");
    for (coding, coded) in codings(body.as_bytes()) {
        println!("{coding}: {} KiB decode to {} KiB", coded.len() >> 10, body.len() >> 10);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            coded.len()
        );
        let answer = [head.as_bytes(), &coded].concat();
        let backend = Backend::start(move |connection| {
            while connection.request().is_some() {
                connection.write(&answer);
            }
        });
        let rig = Rig::before(backend.address);
        let seen = Client::connect(rig.address)
            .send("POST /api/generate HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
            .rest()
            .0;
        assert!(seen.ends_with(&coded), "{coding}: unchanged");
        let client = http2::Client::connect(rig.address);
        let (response, _) = client.send(http2::request(http::Method::POST, "/api/generate"), true);
        let (mut answered, mut body) = (Vec::new(), http2::wait(response).expect("a response").into_body());
        while let Some(piece) = http2::piece(&mut body) {
            answered.extend_from_slice(&piece.expect("a piece"));
        }
        assert!(answered == coded, "{coding}: unchanged over HTTP/2");
        for _ in 0..2 {
            let record = rig.record();
            let defects: Vec<_> = record.defects.iter().collect();
            assert_eq!((record.outcome, defects), (Outcome::Completed, Vec::new()), "{coding}");
        }
    }
}

/// What shrinks so much that a first read of it, at most 64 KiB, decodes to more than a turn grants, and so little that it
/// is no bomb.
fn dense() -> impl Iterator<Item = String> {
    (0..).map(|number| format!("{:0120} ", bits(number, 8)))
}

/// More than a turn grants, and no more than is read at once.
fn assert_dense(coding: &str, body: &[u8], coded: &[u8]) {
    println!("{coding}: {} bytes decode to {}, {} times", coded.len(), body.len(), body.len() / coded.len());
    assert!(body.len() > 2 << 20 && coded.len() < 60 << 10, "{coding}");
}

#[test]
fn the_first_piece_of_a_coded_body_costs_no_more_than_a_turn_grants() {
    let words: String = dense().take(22_000).collect();
    let body = format!("{{\"model\":\"m\",\"prompt\":\"{words}\"}}").into_bytes();
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    // The window of `br` is larger here than a request is granted.
    for (coding, coded) in codings(&body).into_iter().filter(|(coding, _)| *coding != "br") {
        assert_dense(coding, &body, &coded);
        let rig = Rig::before(backend.address);
        let head = format!(
            "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            coded.len()
        );
        Client::connect(rig.address).send([head.as_bytes(), &coded].concat()).until("{}");
        whole(&rig.record(), coding);
    }
}

#[test]
fn the_first_piece_of_a_coded_answer_costs_no_more_than_a_turn_grants() {
    let line = |text: String| format!("{{\"model\":\"m\",\"response\":\"{text}\",\"done\":false}}\n");
    let mut body: String = dense().take(16_000).map(line).collect();
    body.push_str("{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"eval_count\":16000}\n");
    for (coding, coded) in codings(body.as_bytes()) {
        assert_dense(coding, body.as_bytes(), &coded);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            coded.len()
        );
        // What follows belongs to no request, and ends the backend's connection.
        for behind in ["", "x"] {
            let backend = Backend::answering([head.as_bytes(), &coded, behind.as_bytes()].concat());
            let rig = Rig::before(backend.address);
            let client = http2::Client::connect(rig.address);
            for number in 1..=2 {
                let ask = "POST /api/generate HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
                let (seen, reset) = Client::connect(rig.address).send(ask).rest();
                assert!(!reset && seen.ends_with(&coded), "{coding}: unchanged");
                let (response, _) = client.send(http2::request(http::Method::POST, "/api/generate"), true);
                let (mut answered, mut body) = (Vec::new(), http2::wait(response).expect("a response").into_body());
                while let Some(piece) = http2::piece(&mut body) {
                    answered.extend_from_slice(&piece.expect("a piece"));
                }
                assert!(answered == coded, "{coding}: unchanged over HTTP/2");
                for record in [rig.record(), rig.record()] {
                    let defects: Vec<_> = record.defects.iter().collect();
                    let tokens = record.generated_tokens.map(|count| count.value);
                    assert_eq!(
                        (record.outcome, defects, tokens),
                        (Outcome::Completed, Vec::new(), Some(16_000)),
                        "{coding}"
                    );
                }
                // Each of two threads keeps one of its own.
                let most = if behind.is_empty() { 2 } else { 2 * number };
                assert!(backend.accepted() <= most, "{coding}: {} connections", backend.accepted());
                assert!(behind.is_empty() || backend.accepted() == most, "{coding}: one was used again");
            }
        }
    }
}
