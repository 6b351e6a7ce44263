//! Damages messages, the same way for the same seed.

/// Where a part stands first.
pub(super) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// A small generator of numbers (xorshift): fast, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }

    pub(super) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

const BYTES: &[u8] = b"\0\x01\t\n\x0b\r \x22#,:;/0159aAfFx+-=<\\\x7f\x80\xa0\xff";
const ENDS: &[&str] = &["\n", "\r", "\r\r\n", "\n\r", "\r\n\r\n", "\r\n ", "\r\n\t", " \r\n", "\0\r\n"];
const VERSIONS: &[&str] = &[
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/1.9",
    "HTTP/2.0",
    "HTTP/1.",
    "http/1.1",
    "HTTP/01.1",
    "HTTP/1.1 ",
    "HTTP/1.1x",
    "HTTP/0.9",
    "",
];
const LINES: &[&str] = &[
    "Content-Length: 5",
    "Content-Length: 0",
    "content-length:7",
    "Content-Length: +5",
    "Content-Length: -1",
    "Content-Length: 5, 5",
    "Content-Length: 0x5",
    "Content-Length: 5 5",
    "Content-Length: ",
    "Content-Length : 5",
    "Content-Length:\x0b5",
    "Content-Length: 00005",
    "Content-Length: 18446744073709551621",
    "Content_Length: 9",
    "Content-Length: 5;",
    "Content-Length: \u{665}",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding:",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding\0: chunked",
    "Transfer_Encoding: chunked",
    "transfer-ENCODING: CHUNKED",
    "Transfer-Encoding: chunked\x0b",
    "Transfer-Encoding: chunked\nX: y",
    "Transfer-Encoding: chunked\rX: y",
    "X: y\nContent-Length: 3",
    "X: y\rContent-Length: 3",
    " folded",
    "\tContent-Length: 9",
    "Host: b",
    "host:b",
    "Host: a b",
    "Host: a/b",
    "Host:",
    "Host: [",
    "Host: [::1",
    "Host: [::1]:80",
    "Host: a:b:c",
    "Host: %zz",
    "Host: a:99999",
    "Host: a:80",
    "Host : a",
    "X\u{80}: y",
    ": y",
    "X",
    "X y: z",
    "Connection: Content-Length",
    "Connection: close, Transfer-Encoding",
    "Connection: Host, X-Case",
    "Connection: keep-alive",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "Connection: Upgrade",
    "TE: trailers",
    "Trailer: Content-Length",
    "X: \0",
    "X: \x7f",
    "X: \r",
    "Keep-Alive: 5",
    "HTTP/1.1 200 OK",
    "GET / HTTP/1.1",
];
const NUMBERS: &[&str] = &[
    "0",
    "00",
    "1",
    "4",
    "5",
    "6",
    "005",
    "+5",
    "-5",
    "0x5",
    "5 ",
    " 5",
    "5;a",
    "5;a=\"\r\n\"",
    "5;\n",
    "5;",
    "5;=x",
    "5;a=\"",
    "5;a=\"b;c\\\"\"",
    "5;\u{e9}",
    "5 ; a = b ",
    "5\r",
    "a",
    "A",
    "ffffffffffffffff",
    "10000000000000005",
    "5,5",
    "",
];

/// Damages a message once.
fn damage(bytes: &mut Vec<u8>, random: &mut Random, fragments: &[&str]) {
    let at = random.below(bytes.len() + 1);
    match random.below(12) {
        0 => bytes.insert(at, BYTES[random.below(BYTES.len())]),
        1 if at < bytes.len() => drop(bytes.remove(at)),
        2 if at < bytes.len() => bytes[at] = BYTES[random.below(BYTES.len())],
        3 => replace(bytes, random, b"\r\n", |random| random.one(ENDS).into()),
        4 | 5 => replace(bytes, random, b"\r\n", |random| format!("\r\n{}\r\n", random.one(LINES)).into()),
        6 => replace(bytes, random, b"HTTP/1.1", |random| random.one(VERSIONS).into()),
        7 => replace(bytes, random, b"5", |random| random.one(NUMBERS).into()),
        8 => replace(bytes, random, b": ", |random| random.one(&[":", " : ", ":\t", ": \0", "\r\n: ", ":: "]).into()),
        9 => bytes.truncate(at),
        10 => drop(bytes.splice(at..at, random.one(fragments).bytes())),
        _ => repeat_line(bytes, random),
    }
}

/// Replaces one occurrence of a part, any of them.
fn replace(bytes: &mut Vec<u8>, random: &mut Random, part: &[u8], with: impl Fn(&mut Random) -> Vec<u8>) {
    let all: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(part)).collect();
    if let Some(at) = all.get(random.below(all.len())) {
        let with = with(random);
        drop(bytes.splice(*at..at + part.len(), with));
    }
}

fn repeat_line(bytes: &mut Vec<u8>, random: &mut Random) {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let (from, to) = (random.below(lines.len()), random.below(lines.len() + 1));
    let mut mixed = lines.clone();
    if let Some(line) = lines.get(from) {
        mixed.insert(to, line);
    }
    *bytes = mixed.concat();
}

/// A message made from these, damaged up to three times.
pub(super) fn message(random: &mut Random, bases: &[&str], fragments: &[&str]) -> Vec<u8> {
    let mut bytes = random.one(bases).as_bytes().to_vec();
    for _ in 0..random.below(4) {
        damage(&mut bytes, random, fragments);
    }
    bytes
}
