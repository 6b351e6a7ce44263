//! Streams recorded from real servers, with what is in them.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One recorded exchange.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    /// Lengths of the reads in which the response arrived.
    pub(crate) reads: Vec<usize>,
    pub(crate) expect: Value,
}

/// Every recorded exchange.
pub(crate) fn all() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let cases: Vec<PathBuf> = folders(&root).iter().flat_map(|server| folders(server)).collect();
    assert!(cases.len() > 250, "the fixtures are here");
    cases.iter().map(|case| load(&root, case)).collect()
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn load(root: &Path, case: &Path) -> Fixture {
    let read = |name: &str| std::fs::read(case.join(name)).expect("a part of a fixture");
    let reads = String::from_utf8(read("reads.tsv")).expect("text");
    let length = |line: &str| line.split('\t').nth(1).and_then(|length| length.parse().ok()).expect("a length");
    Fixture {
        name: case.strip_prefix(root).expect("inside").display().to_string(),
        request: read("request.http"),
        response: read("response.http"),
        reads: reads.lines().skip(1).map(length).collect(),
        expect: serde_json::from_slice(&read("expect.json")).expect("JSON"),
    }
}

impl Fixture {
    /// The recorder hung up, rather than the server.
    pub(crate) fn client_left(&self) -> bool {
        self.expect["ended"] == "client left"
    }
}

/// A response: its head's lines and its body without the framing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// For each byte of the body, where it stands in the bytes of the response.
    pub(crate) raw: Vec<usize>,
}

/// Reads a response as far as it goes; its body may break off.
pub(crate) fn parse(bytes: &[u8]) -> Response {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&bytes[..end - 4]).into_owned();
    let chunked = head.lines().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let raw = if chunked { dechunk(bytes, end) } else { (end..bytes.len()).collect() };
    Response { head: head.lines().map(str::to_owned).collect(), body: raw.iter().map(|at| bytes[*at]).collect(), raw }
}

fn dechunk(bytes: &[u8], start: usize) -> Vec<usize> {
    let (mut at, mut raw) = (start, Vec::new());
    while let Some(len) = bytes[at.min(bytes.len())..].windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&bytes[at..at + len]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let data = at + len + 2;
        raw.extend(data..(data + size).min(bytes.len()));
        at = data + size + 2;
    }
    raw
}
