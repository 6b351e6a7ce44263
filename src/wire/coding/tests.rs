use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

fn decoder(name: &str) -> Box<Decoder> {
    match Coding::of(Some(name.as_bytes())) {
        Coding::Coded(decoder) => decoder,
        other => panic!("{name}: {other:?}"),
    }
}

fn decode<'a>(name: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Broken> {
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
fn each_coding_gives_back_what_went_in_however_it_is_split() {
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
fn what_was_flushed_is_seen_at_once() {
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
fn what_came_before_the_bytes_broke_is_good() {
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
fn a_gzip_header_with_every_field_is_passed_over() {
    let plain = gzip(b"body");
    let fields = b"\x04\x00abcdname\0comment\0\x12\x34";
    let full = [&plain[..3], &[0x1e], &plain[4..10], fields, &plain[10..]].concat();
    assert_eq!(decode("gzip", full.chunks(1)).as_deref(), Ok(&b"body"[..]));
}

#[test]
fn a_coding_that_lies_is_broken() {
    for name in ["gzip", "deflate", "br", "zstd"] {
        assert_eq!(decode(name, [&b"{\"model\":\"m\",\"done\":true}\n"[..]]), Err(Broken), "{name}");
    }
    for (name, mut coded) in coded(&text(5000)) {
        let middle = coded.len() / 2;
        coded[middle..].fill(0xff);
        let _ = decode(name, coded.chunks(64)); // Whatever comes out, nothing worse happens.
    }
}

#[test]
fn a_bomb_is_broken_before_much_came_out() {
    let zeros = vec![0; 32 << 20];
    for (name, coded) in coded(&zeros) {
        let (mut decoder, mut len, mut read) = (decoder(name), 0, 0);
        let broke = coded.chunks(64).any(|piece| {
            read += piece.len();
            decoder.decode(piece, &mut |bytes| len += bytes.len()).is_err()
        });
        assert!(broke, "{name}: {} bytes became {len}", coded.len());
        assert!(len as u64 <= HEADROOM + read as u64 * RATIO, "{name}: {read} bytes became {len}");
    }
}

#[test]
fn a_window_beyond_the_bound_is_refused() {
    assert!(decode("br", [brotli(&text(100_000), 22).as_slice()]).is_ok());
    assert_eq!(decode("br", [brotli(&text(100_000), 24).as_slice()]), Err(Broken));
    // A frame that asks for 16 MiB, and an empty last block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 1, 0, 0];
    assert_eq!(decode("zstd", [&frame[..]]), Err(Broken));
    let granted = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 1, 0, 0];
    assert_eq!(decode("zstd", [&granted[..]]), Ok(Vec::new()));
}

#[test]
fn other_codings_and_several_are_unknown() {
    for name in ["compress", "gzip, br", "gzip,gzip", "aes128gcm", "identity, gzip", "dcb", "\u{e9}"] {
        assert!(matches!(Coding::of(Some(name.as_bytes())), Coding::Unknown), "{name}");
    }
    for name in ["", " ", "identity", "IDENTITY "] {
        assert!(matches!(Coding::of(Some(name.as_bytes())), Coding::Plain), "{name}");
    }
}
