//! Targets over HTTP/2 that differ from those over HTTP/1, as `docs/differences.md` says.

use std::io::Read;
use std::sync::mpsc;

use super::OK;
use super::closing::PREFACE;
use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::rig::Rig;

const PROTOCOL_ERROR: u32 = 1;
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// What becomes of a target.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// The backend has this one.
    Passes(String),
    /// Its stream is reset with this code.
    Reset(u32),
    /// Its connection is ended with this code.
    Goaway(u32),
}

/// Asks for a target over HTTP/2 (RFC 7541): `:method: GET`, `:scheme: http`, `:path`, `:authority: localhost`.
fn over_http2(rig: &Rig, passed: &mpsc::Receiver<String>, target: &[u8]) -> Fate {
    let length = u8::try_from(target.len()).expect("a short target");
    let block = [&b"\x82\x86\x04"[..], &[length], target, b"\x01\x09localhost"].concat();
    let length = u8::try_from(block.len()).expect("a short head");
    let mut raw = Raw::connect(rig.address);
    raw.send([PREFACE, SETTINGS, &[0, 0, length, 1, 5, 0, 0, 0, 1], &block].concat());
    loop {
        let mut head = [0; 9];
        raw.stream.read_exact(&mut head).expect("a frame");
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        raw.stream.read_exact(&mut payload).expect("a frame");
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("a code"));
        match head[3] {
            1 => return Fate::Passes(passed.recv_timeout(PATIENCE).expect("it was asked")),
            3 => return Fate::Reset(code(0)),
            7 => return Fate::Goaway(code(4)),
            _ => {}
        }
    }
}

fn over_http1(rig: &Rig, passed: &mpsc::Receiver<String>, target: &[u8]) -> Option<String> {
    let mut raw = Raw::connect(rig.address);
    let head = [b"GET ", target, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
    let answer = raw.send(head).until("\r\n\r\n");
    answer.starts_with(b"HTTP/1.1 200 ").then(|| passed.recv_timeout(PATIENCE).expect("it was asked"))
}

#[test]
fn targets_differ_as_documented() {
    let (sender, passed) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        while let Some(head) = connection.head() {
            let target = head.split(|byte| *byte == b' ').nth(1).expect("a target").escape_ascii().to_string();
            sender.send(target).expect("the test waits");
            connection.write(OK);
        }
    });
    let rig = Rig::before(backend.address);
    let told = |target: &[u8]| target.escape_ascii().to_string();
    for (target, passes) in [("/a#b", "/a"), ("/a?b#c", "/a?b")] {
        let target = target.as_bytes();
        assert_eq!(over_http1(&rig, &passed, target), None);
        assert_eq!(over_http2(&rig, &passed, target), Fate::Passes(passes.to_owned()), "{}", told(target));
    }
    let (in_path, in_query) = (&b"<>`"[..], &b"\"<>"[..]);
    for byte in (b'!'..=b'~').filter(|byte| !byte.is_ascii_alphanumeric() && !b"#?".contains(byte)) {
        for (start, refused) in [("/a", in_path), ("/?", in_query)] {
            let target = [start.as_bytes(), &[byte], b"b"].concat();
            assert_eq!(over_http1(&rig, &passed, &target), Some(told(&target)));
            let fate = if refused.contains(&byte) { Fate::Reset(PROTOCOL_ERROR) } else { Fate::Passes(told(&target)) };
            assert_eq!(over_http2(&rig, &passed, &target), fate, "{}", told(&target));
        }
    }
    for (target, fate) in [
        ("/\u{e9}?\u{4e16}\u{10000}".as_bytes(), None),
        (b"/\xe9", Some(Fate::Goaway(PROTOCOL_ERROR))),
        (b"/?\xff", Some(Fate::Goaway(PROTOCOL_ERROR))),
    ] {
        assert_eq!(over_http1(&rig, &passed, target), Some(told(target)));
        let fate = fate.unwrap_or_else(|| Fate::Passes(told(target)));
        assert_eq!(over_http2(&rig, &passed, target), fate, "{}", told(target));
    }
}
