//! A coded body says what the plain one says.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use inferometer::wire::budget::DecodeBudget;
use inferometer::wire::event::{Defect, Event};
use inferometer::wire::reader::{Framing, Head, Reader, Reported};
use inferometer::wire::request::ModelScanner;

use super::{Fixture, fixtures, read, read_coded, readable};

fn codings(body: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(body).unwrap();
    let mut br = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut &body[..], &mut br, &params).unwrap();
    let mut zstd = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
    zstd_safe::compress(&mut zstd, body, 3).unwrap();
    [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap()), ("br", br), ("zstd", zstd)]
}

#[track_caller]
fn same(fixture: &Fixture, coding: &'static str, coded: &[u8], size: usize) {
    let plain = read(fixture, [fixture.body.as_slice()]);
    let facts = read_coded(fixture, Some(coding), coded.chunks(size));
    assert_eq!(facts, plain, "{} {coding} by {size}", fixture.name);
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

/// Each line in the bytes that a server sends for it: coded, then flushed.
fn flushed(coding: &str, lines: &[&[u8]]) -> Vec<Vec<u8>> {
    fn through<W: Write>(lines: &[&[u8]], mut encoder: W, take: fn(&mut W) -> Vec<u8>) -> Vec<Vec<u8>> {
        let send = |line: &&[u8]| {
            encoder.write_all(line).unwrap();
            encoder.flush().unwrap();
            take(&mut encoder)
        };
        lines.iter().map(send).collect()
    }
    let level = Compression::default();
    match coding {
        "gzip" => through(lines, GzEncoder::new(Vec::new(), level), |gzip| std::mem::take(gzip.get_mut())),
        "deflate" => through(lines, ZlibEncoder::new(Vec::new(), level), |zlib| std::mem::take(zlib.get_mut())),
        "br" => {
            through(lines, brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22), |br| std::mem::take(br.get_mut()))
        }
        _ => {
            let mut zstd = zstd_safe::CCtx::create();
            let mut send = |line: &&[u8]| {
                let mut coded = Vec::with_capacity(zstd_safe::compress_bound(line.len()) + 64);
                let mut out = zstd_safe::OutBuffer::around(&mut coded);
                zstd.compress_stream(&mut out, &mut zstd_safe::InBuffer::around(line)).unwrap();
                assert_eq!(zstd.flush_stream(&mut out), Ok(0));
                coded
            };
            lines.iter().map(&mut send).collect()
        }
    }
}

/// How many tokens were reported with each piece.
fn told_by_piece(fixture: &Fixture, coding: Option<&str>, pieces: &[&[u8]]) -> Vec<usize> {
    let head = Head {
        status: fixture.status,
        content_type: fixture.content_type.as_deref().map(str::as_bytes),
        content_encoding: coding.map(str::as_bytes),
        reported: Reported::default(),
    };
    let mut reader = Reader::new(fixture.route, &head, &DecodeBudget::unlimited());
    let mut tell = |piece: &&[u8]| {
        let mut told = 0;
        reader.read(piece, &mut |event, _| told += usize::from(matches!(event, Event::Tokens(_))));
        told
    };
    pieces.iter().map(&mut tell).collect()
}

#[test]
fn a_token_is_emitted_with_the_piece_that_completes_it_in_every_coding() {
    let mut streams = 0;
    for fixture in readable().filter(|fixture| fixture.expect["token_events"].as_u64() > Some(1)) {
        let lines: Vec<_> = fixture.body.split_inclusive(|byte| *byte == b'\n').collect();
        let plain = told_by_piece(&fixture, None, &lines);
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let coded = flushed(coding, &lines);
            let pieces: Vec<_> = coded.iter().map(Vec::as_slice).collect();
            assert_eq!(told_by_piece(&fixture, Some(coding), &pieces), plain, "{} {coding}", fixture.name);
        }
        streams += 1;
    }
    assert!(streams > 60, "{streams}");
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
        let facts = scanner.facts();
        (facts.model.map(str::to_owned), facts.prompt_characters, facts.messages, facts.conversations)
    };
    for fixture in readable() {
        let plain = scan(ModelScanner::default(), &fixture.request);
        for (coding, coded) in codings(&fixture.request) {
            assert_eq!(
                scan(ModelScanner::coded(coding.as_bytes(), &DecodeBudget::unlimited()), &coded),
                plain,
                "{} {coding}",
                fixture.name
            );
        }
    }
}
