//! A coded body says what the plain one says.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use inferometer::wire::event::Defect;
use inferometer::wire::reader::Framing;
use inferometer::wire::request::ModelScanner;

use super::{Facts, Fixture, fixtures, read, read_coded, readable};

fn codings(body: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(body).unwrap();
    let mut br = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut &body[..], &mut br, &params).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(body, ruzstd::encoding::CompressionLevel::Fastest);
    [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap()), ("br", br), ("zstd", zstd)]
}

/// What is expected of a coded body: zstd comes too late to tell when a token was seen.
fn expected(plain: &Facts, coding: &str) -> Facts {
    let mut facts = plain.clone();
    if coding == "zstd" {
        (facts.token_events, facts.listed, facts.first_token, facts.first_answer) = (0, 0, None, None);
    }
    facts
}

/// The last offset is that of an event that may not be told.
fn without_last_offset(mut facts: Facts) -> Facts {
    facts.last_offset = 0;
    facts
}

#[track_caller]
fn same(fixture: &Fixture, coding: &'static str, coded: &[u8], size: usize) {
    let plain = expected(&read(fixture, [fixture.body.as_slice()]), coding);
    let facts = read_coded(fixture, Some(coding), coded.chunks(size));
    assert_eq!(without_last_offset(facts), without_last_offset(plain), "{} {coding} by {size}", fixture.name);
}

#[test]
fn every_recorded_answer_says_the_same_in_every_coding() {
    for fixture in readable() {
        for (coding, coded) in codings(&fixture.body) {
            for size in [usize::MAX, 1, 7, 100] {
                same(&fixture, coding, &coded, size);
            }
        }
    }
}

#[test]
fn a_coded_body_split_at_any_byte_says_the_same() {
    let short = readable().filter(|fixture| fixture.body.len() < 2500).step_by(7);
    for fixture in short {
        for (coding, coded) in codings(&fixture.body) {
            let whole = read_coded(&fixture, Some(coding), [coded.as_slice()]);
            for at in 0..coded.len() {
                let (head, tail) = coded.split_at(at);
                assert_eq!(
                    read_coded(&fixture, Some(coding), [head, tail]),
                    whole,
                    "{} {coding} at {at}",
                    fixture.name
                );
            }
        }
    }
}

#[test]
fn a_lying_coding_only_marks_the_record() {
    for fixture in readable().filter(|fixture| fixture.status < 300 && !fixture.body.is_empty()) {
        for coding in ["gzip", "deflate", "br", "zstd", "compress"] {
            let facts = read_coded(&fixture, Some(coding), fixture.body.chunks(500));
            assert_eq!(facts.defects, [(Defect::Encoding, 1)], "{} {coding}", fixture.name);
            assert_eq!(facts.framing, Some(Framing::Opaque), "{} {coding}", fixture.name);
            assert!(!facts.expects_terminal && !facts.error && facts.model.is_none(), "{} {coding}", fixture.name);
        }
    }
}

#[test]
fn what_was_read_before_a_coding_broke_stays() {
    let fixture =
        fixtures().into_iter().find(|fixture| fixture.name.ends_with("0.24.0/chat-cancelled-in-decode")).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&fixture.body).unwrap();
    gzip.flush().unwrap();
    let mut broken = gzip.get_ref().clone();
    broken.extend([0xff; 64]);
    let facts = read_coded(&fixture, Some("gzip"), [broken.as_slice()]);
    let plain = read(&fixture, [fixture.body.as_slice()]);
    assert_eq!((facts.token_events, facts.first_token), (plain.token_events, plain.first_token));
    assert_eq!((facts.framing, facts.defects), (plain.framing, vec![(Defect::Encoding, 1)]));
    assert!(!facts.expects_terminal, "nobody knows how it went on");
}

#[test]
fn a_coded_request_names_its_model_and_its_prompt_too() {
    let scan = |mut scanner: ModelScanner, body: &[u8]| {
        body.chunks(11).for_each(|piece| scanner.read(piece));
        (scanner.model().map(str::to_owned), scanner.prompt_characters())
    };
    for fixture in readable() {
        let plain = scan(ModelScanner::default(), &fixture.request);
        for (coding, coded) in codings(&fixture.request) {
            assert_eq!(scan(ModelScanner::coded(Some(coding.as_bytes())), &coded), plain, "{} {coding}", fixture.name);
        }
    }
}
