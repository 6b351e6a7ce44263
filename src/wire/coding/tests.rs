use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;
use crate::wire::budget::Limits;

fn decoder(name: &str) -> Box<Decoder> {
    match Coding::parse(Some(name.as_bytes()), Side::Response, &DecodeBudget::unlimited()) {
        Coding::Coded(decoder) => decoder,
        other => panic!("{name}: {other:?}"),
    }
}

fn decode<'a>(name: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, DecodeError> {
    let (mut decoder, mut decoded) = (decoder(name), Vec::new());
    for piece in pieces {
        decoder.decode(piece, &mut |bytes| decoded.extend_from_slice(bytes))?;
    }
    Ok(decoded)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn brotli(bytes: &[u8], window: i32) -> Vec<u8> {
    let mut coded = Vec::new();
    let params = ::brotli::enc::BrotliEncoderParams { quality: 4, lgwin: window, ..Default::default() };
    ::brotli::BrotliCompress(&mut &bytes[..], &mut coded, &params).expect("memory");
    coded
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut coded = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    zstd_safe::compress(&mut coded, bytes, 3).expect("there is room");
    coded
}

fn coded(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(bytes).expect("memory");
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(bytes).expect("memory");
    vec![
        ("gzip", gzip(bytes)),
        ("X-GZip", gzip(bytes)),
        ("deflate", zlib.finish().expect("memory")),
        ("deflate", raw.finish().expect("memory")),
        ("br", brotli(bytes, 22)),
        ("zstd", zstd(bytes)),
    ]
}

/// Text that neither repeats nor is noise.
fn text(len: usize) -> Vec<u8> {
    let mut random = 1_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"etaoin shrdlu{}\":,\n"[(random >> 24) as usize % 19]
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn each_coding_decodes_to_its_input_at_every_split() {
    for len in [0, 1, 700, 200_000] {
        let plain = text(len);
        for (name, coded) in coded(&plain) {
            assert_eq!(decode(name, [coded.as_slice()]), Ok(plain.clone()), "{name} {len}");
            for size in [1, 7, 4096] {
                assert_eq!(decode(name, coded.chunks(size)), Ok(plain.clone()), "{name} {len} by {size}");
            }
            if coded.len() < 600 {
                for at in 0..coded.len() {
                    let (head, tail) = coded.split_at(at);
                    assert_eq!(decode(name, [head, tail]), Ok(plain.clone()), "{name} {len} at {at}");
                }
            }
        }
    }
}

/// An encoder that flushes, as a server does behind each event of a stream: the bytes that leave with it.
type Flush = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

fn flushing() -> [(&'static str, Flush); 5] {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    let mut br = ::brotli::CompressorWriter::new(Vec::new(), 4096, 4, 22);
    let mut zstd = zstd_safe::CCtx::create();
    macro_rules! writer {
        ($writer:ident) => {
            Box::new(move |bytes: &[u8]| {
                $writer.write_all(bytes).expect("memory");
                $writer.flush().expect("memory");
                std::mem::take($writer.get_mut())
            })
        };
    }
    [
        ("gzip", writer!(gzip)),
        ("deflate", writer!(zlib)),
        ("deflate", writer!(raw)),
        ("br", writer!(br)),
        (
            "zstd",
            Box::new(move |bytes: &[u8]| {
                let mut coded = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()) + 64);
                let mut out = zstd_safe::OutBuffer::around(&mut coded);
                zstd.compress_stream(&mut out, &mut zstd_safe::InBuffer::around(bytes)).expect("good");
                assert_eq!(zstd.flush_stream(&mut out), Ok(0), "all is out");
                coded
            }),
        ),
    ]
}

#[test]
fn flushed_bytes_are_decoded_at_once() {
    for (name, mut flush) in flushing() {
        let (mut decoder, mut seen, mut sent) = (decoder(name), Vec::new(), Vec::new());
        for line in text(20_000).chunks(77) {
            let coded = flush(line);
            sent.extend_from_slice(line);
            let (last, before) = coded.split_last().expect("flushed");
            decoder.decode(before, &mut |bytes| seen.extend_from_slice(bytes)).expect("good");
            decoder.decode(&[*last], &mut |bytes| seen.extend_from_slice(bytes)).expect("good");
            assert_eq!(seen.len(), sent.len(), "{name}");
        }
        assert!(seen == sent, "{name}");
    }
}

#[test]
fn flushed_bytes_are_decoded_at_once_also_above_the_size_of_the_output() {
    let plain = text(5 * OUTPUT + 7);
    for (name, mut flush) in flushing() {
        let (mut decoder, mut seen) = (decoder(name), 0);
        decoder.decode(&flush(&plain), &mut |bytes| seen += bytes.len()).expect("well coded");
        assert_eq!(seen, plain.len(), "{name}");
    }
}

#[test]
fn bytes_decoded_before_an_error_are_valid() {
    for (name, mut flush) in flushing() {
        let coded: Vec<u8> = text(5_000).chunks(500).flat_map(&mut flush).chain([0xff; 40]).collect();
        // The decoder of `br` keeps back what stands before the fault in the same piece.
        let sizes = if name == "br" { &[1][..] } else { &[usize::MAX, 1, 100] };
        for size in sizes.iter().copied() {
            let (mut decoder, mut seen) = (decoder(name), Vec::new());
            let broke = coded
                .chunks(size)
                .any(|piece| decoder.decode(piece, &mut |bytes| seen.extend_from_slice(bytes)).is_err());
            assert!(broke, "{name} by {size}");
            assert!(seen == text(5_000), "{name} by {size}: {} bytes", seen.len());
        }
    }
}

#[test]
fn members_and_frames_follow_one_another() {
    let two = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(decode("gzip", two.chunks(1)).as_deref(), Ok(&b"one two"[..]));
    let padded = [gzip(b"one"), vec![0; 20]].concat();
    assert_eq!(decode("gzip", [padded.as_slice()]).as_deref(), Ok(&b"one"[..]));
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9][..], &zstd(b"one "), &zstd(b"two")].concat();
    assert_eq!(decode("zstd", skippable.chunks(1)).as_deref(), Ok(&b"one two"[..]));
}

#[test]
fn a_gzip_header_with_every_field_is_skipped() {
    let plain = gzip(b"body");
    let fields = b"\x04\x00abcdname\0comment\0\x12\x34";
    let full = [&plain[..3], &[0x1e], &plain[4..10], fields, &plain[10..]].concat();
    assert_eq!(decode("gzip", full.chunks(1)).as_deref(), Ok(&b"body"[..]));
}

#[test]
fn a_body_that_does_not_follow_its_coding_is_invalid() {
    for name in ["gzip", "deflate", "br", "zstd"] {
        assert_eq!(decode(name, [&b"{\"model\":\"m\",\"done\":true}\n"[..]]), Err(DecodeError::Invalid), "{name}");
    }
    for (name, mut coded) in coded(&text(5000)) {
        let middle = coded.len() / 2;
        coded[middle..].fill(0xff);
        let _ = decode(name, coded.chunks(64)); // Whatever comes out, nothing worse happens.
    }
}

#[test]
fn a_decompression_bomb_is_stopped_early() {
    let zeros = vec![0; 32 << 20];
    for (name, coded) in coded(&zeros) {
        let (mut decoder, mut len, mut read) = (decoder(name), 0, 0);
        let broke = coded.chunks(64).find_map(|piece| {
            read += piece.len();
            decoder.decode(piece, &mut |bytes| len += bytes.len()).err()
        });
        assert_eq!(broke, Some(DecodeError::OverBudget), "{name}: {} bytes became {len}", coded.len());
        assert!(len as u64 <= HEADROOM + read as u64 * RATIO, "{name}: {read} bytes became {len}");
    }
}

/// A body that decodes to some 48 times its length, whatever its coding: noise, between repetitions of it.
fn dense(len: usize) -> Vec<u8> {
    let noise = text(len);
    noise.chunks(1000).flat_map(|part| part.iter().cycle().take(24_000)).copied().collect()
}

/// Decodes `coded` in pieces as they are read from a socket, and counts what comes out.
fn count(decoder: &mut Decoder, coded: &[u8]) -> (usize, Result<(), DecodeError>) {
    let mut len = 0;
    let decoded = coded.chunks(64 << 10).try_for_each(|piece| decoder.decode(piece, &mut |bytes| len += bytes.len()));
    (len, decoded)
}

#[test]
fn one_body_decodes_to_no_more_than_its_total() {
    let body = dense(200_000);
    for (name, coded) in [("gzip", gzip(&body)), ("zstd", zstd(&body))] {
        let Coding::Coded(mut decoder) =
            Coding::parse(Some(name.as_bytes()), Side::Request, &DecodeBudget::unlimited())
        else {
            panic!("{name}")
        };
        // Members and frames follow one another.
        let (mut total, mut ended, mut read) = (0, Ok(()), 0);
        while ended.is_ok() && total < 2 * Side::Request.max_decoded() {
            let (len, then) = count(&mut decoder, &coded);
            (total, ended, read) = (total + len as u64, then, read + coded.len());
        }
        println!("{name}: of {} KB at most {} MiB are decoded", read / 1000, total >> 20);
        assert_eq!(ended, Err(DecodeError::OverBudget), "{name}");
        assert!(total <= Side::Request.max_decoded(), "{name}: {total}");
    }
}

#[test]
fn the_bodies_of_a_worker_stay_within_the_work_of_a_turn_and_the_rate() {
    let (limits, body) = (Limits::RESPONSES, dense(50_000));
    for (name, coded) in coded(&body) {
        let (budget, zero) = (DecodeBudget::new(limits, Arc::default()), Instant::now());
        let (mut all, mut largest, mut stopped) = (0, 0, 0);
        for turn in 0..50 {
            budget.begin_turn(zero + Duration::from_millis(turn));
            let mut decoded = 0;
            for _ in 0..3 {
                let coding = Coding::parse(Some(name.as_bytes()), Side::Request, &budget);
                let Coding::Coded(mut decoder) = coding else { panic!("{name}") };
                let (len, ended) = count(&mut decoder, &coded);
                decoded += len;
                stopped += usize::from(ended == Err(DecodeError::OverBudget));
            }
            all += decoded;
            largest = largest.max(decoded);
        }
        println!(
            "{name}: in 50 turns of a millisecond {} MiB are offered, {} MiB decoded, {} KiB in a turn at most; {stopped} \
             of 150 bodies stopped",
            (150 * body.len()) >> 20,
            all >> 20,
            largest >> 10
        );
        assert!(largest as u64 <= limits.turn, "{name}: {largest}");
        assert!(all as u64 <= limits.saved + limits.rate / 20, "{name}: {all}");
        assert!(stopped > 100, "{name}: {stopped}");
    }
}

/// Blocks that hold next to nothing, and cost time all the same.
fn hollow() -> Vec<(&'static str, Vec<u8>)> {
    let stored = [0, 0, 0, 0xff, 0xff];
    let zlib = [&[0x78, 0x9c][..], &stored.repeat(100_000)].concat();
    let inside = [&gzip(b"")[..10], &stored.repeat(100_000)].concat();
    vec![
        ("gzip", gzip(b"").repeat(100_000)),
        ("gzip", inside),
        ("deflate", zlib),
        ("deflate", stored.repeat(100_000)),
        ("zstd", zstd(b"").repeat(100_000)),
        // Empty blocks of metadata, after the window's size.
        ("br", [&[0x0c_u8][..], &[0x06; 2_000_000]].concat()),
    ]
}

#[test]
fn blocks_without_content_use_up_the_budget_too() {
    for (name, coded) in hollow() {
        let (budget, mut turns) = (DecodeBudget::new(Limits::RESPONSES, Arc::default()), 0);
        let mut decoder = match Coding::parse(Some(name.as_bytes()), Side::Response, &budget) {
            Coding::Coded(decoder) => decoder,
            other => panic!("{name}: {other:?}"),
        };
        let (mut read, mut error) = (0, None);
        for piece in coded.chunks(16 << 10) {
            turns += 1;
            read += piece.len();
            error = decoder.decode(piece, &mut |_| {}).err();
            if error.is_some() {
                break;
            }
        }
        println!("{name}: {read} of {} bytes were read in a turn", coded.len());
        assert_eq!(error, Some(DecodeError::OverBudget), "{name}: {turns} pieces");
    }
}

/// A body with the largest window that may be announced.
fn wide(body: &[u8]) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::WindowLog(23)).expect("a window");
    // Its length would make the window smaller.
    context.set_parameter(zstd_safe::CParameter::ContentSizeFlag(false)).expect("a flag");
    let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
    let mut out = zstd_safe::OutBuffer::around(&mut coded);
    context.compress_stream(&mut out, &mut zstd_safe::InBuffer::around(body)).expect("good");
    assert_eq!(context.flush_stream(&mut out), Ok(0), "all is out");
    coded
}

#[test]
fn a_hundred_bodies_stay_within_the_memory_budget() {
    let body = dense(40_000);
    for (name, coded) in [("gzip", gzip(&body)), ("br", brotli(&body, 23)), ("zstd", wide(&body))] {
        let (limits, all) = (Limits { turn: u64::MAX, saved: u64::MAX, ..Limits::RESPONSES }, Arc::default());
        let workers = [0; 8].map(|_| DecodeBudget::new(limits, Arc::clone(&all)));
        let (mut held, mut refused) = (Vec::new(), 0);
        for at in 0..100 {
            let Coding::Coded(mut decoder) = Coding::parse(Some(name.as_bytes()), Side::Request, &workers[at % 3])
            else {
                panic!("{name}")
            };
            // All but the end, so that the window is kept.
            match count(&mut decoder, &coded[..coded.len() - 10]).1 {
                Ok(()) => held.push(decoder),
                Err(DecodeError::OverBudget) => refused += 1,
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
        let most = workers.iter().map(|worker| worker.held()).max().expect("workers");
        let process = all.load(Ordering::Relaxed);
        println!(
            "{name}: 100 bodies of {} KB that announce 8 MiB: {} are read, {refused} are not; a worker holds {} KiB at most, \
             all {} KiB",
            coded.len() / 1000,
            held.len(),
            most >> 10,
            process >> 10,
        );
        assert!(most <= limits.worker_memory && process <= limits.process_memory, "{name}: {most}, {process}");
        assert_eq!(process, workers.iter().map(|worker| worker.held()).sum::<u64>());
        assert!(refused > 0 || name == "gzip");
        drop(held);
        assert_eq!(all.load(Ordering::Relaxed), 0, "all of it is given back");
    }
}

#[test]
fn a_window_beyond_the_bound_is_refused() {
    assert!(decode("br", [brotli(&text(100_000), 22).as_slice()]).is_ok());
    assert_eq!(decode("br", [brotli(&text(100_000), 24).as_slice()]), Err(DecodeError::Invalid));
    // A frame that asks for 16 MiB, and an empty last block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 1, 0, 0];
    assert_eq!(decode("zstd", [&frame[..]]), Err(DecodeError::Invalid));
    let granted = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 1, 0, 0];
    assert_eq!(decode("zstd", [&granted[..]]), Ok(Vec::new()));
}

#[test]
fn other_codings_and_several_are_unknown() {
    for name in ["compress", "gzip, br", "gzip,gzip", "aes128gcm", "identity, gzip", "dcb", "\u{e9}"] {
        assert!(
            matches!(Coding::parse(Some(name.as_bytes()), Side::Response, &DecodeBudget::unlimited()), Coding::Unknown),
            "{name}"
        );
    }
    for name in ["", " ", "identity", "IDENTITY "] {
        assert!(
            matches!(Coding::parse(Some(name.as_bytes()), Side::Response, &DecodeBudget::unlimited()), Coding::Plain),
            "{name}"
        );
    }
}

#[test]
fn the_memory_counted_for_a_small_body_is_what_its_decoder_holds() {
    let mut streamed = zstd_safe::CCtx::create();
    let mut zstd = vec![0; 4096];
    let text = br#"{"model":"m","prompt":"hello"}"#;
    let mut out = zstd_safe::OutBuffer::around(&mut zstd[..]);
    streamed.compress_stream(&mut out, &mut zstd_safe::InBuffer::around(text)).expect("there is room");
    streamed.flush_stream(&mut out).expect("there is room");
    let written = out.pos();
    zstd.truncate(written);
    for (name, coded, most) in [("gzip", gzip(text), 48 << 10), ("zstd", zstd, 168 << 10)] {
        let budget = DecodeBudget::new(Limits::RESPONSES, Arc::default());
        let Coding::Coded(mut decoder) = Coding::parse(Some(name.as_bytes()), Side::Request, &budget) else {
            panic!("{name}")
        };
        assert_eq!(count(&mut decoder, &coded), (text.len(), Ok(())), "{name}");
        println!("{name}: {} KiB are booked for {} bytes", budget.held() >> 10, coded.len());
        assert!(budget.held() <= most, "{name}: {}", budget.held());
    }
}
