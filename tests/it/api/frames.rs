//! WebSockets frame by frame: every case of `tests/vectors/websocket`, before both paths of the real program.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Range;

use super::program;
use crate::support::client::Client;

const SUBSCRIBE: &[u8] = br#"{"action":"subscribe","topics":[]}"#;

/// A client's mask. Any will do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a client sends.
#[derive(Debug, Default)]
struct Sent {
    bytes: Vec<Vec<u8>>,
}

/// What the server sends.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Pong(Vec<u8>),
    /// A JSON object that is no push.
    Text,
    Close(Option<u16>),
}

fn hex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(digits).collect()
}

fn payload(text: &str) -> Vec<u8> {
    if let Some(count) = text.strip_prefix("x*") {
        return vec![b'x'; count.parse().expect("a number")];
    }
    if let Some(digits) = text.strip_prefix('=') {
        return hex(digits);
    }
    let Some(part) = text.strip_prefix("@sub") else { return text.as_bytes().to_vec() };
    let Some((from, to)) = part.trim_matches(['[', ']']).split_once("..") else { return SUBSCRIBE.to_vec() };
    let part: Range<usize> = from.parse().expect("a number")..to.parse().expect("a number");
    SUBSCRIBE[part].to_vec()
}

/// A close has a code before its payload.
fn of_close(text: &str) -> Vec<u8> {
    let (code, reason) = text.split_once(',').unwrap_or((text, ""));
    match code.parse::<u16>() {
        Ok(code) => [&code.to_be_bytes()[..], &payload(reason)].concat(),
        Err(_) => payload(text),
    }
}

fn frame(word: &str) -> Vec<u8> {
    const KINDS: [(&str, u8); 6] = [("text", 1), ("bin", 2), ("cont", 0), ("close", 8), ("ping", 9), ("pong", 10)];
    let (head, text) = word.split_once(':').expect("a payload");
    let named = KINDS.iter().find_map(|(name, opcode)| Some((*opcode, head.strip_prefix(name)?)));
    let (opcode, flags) = named.unwrap_or_else(|| {
        let number = head.strip_prefix("op").unwrap_or_else(|| panic!("{word}"));
        (number.parse().expect("a number"), "")
    });
    let has = |flag: &str| flags.contains(flag);
    let payload = if opcode == 8 { of_close(text) } else { payload(text) };
    let reserved = [("r4", 0x40), ("r2", 0x20), ("r1", 0x10)].into_iter().filter(|(flag, _)| has(flag));
    let first = opcode | reserved.fold(0, |bits, (_, bit)| bits | bit) | if has("-") { 0 } else { 0x80 };
    let masked = if has("u") { 0 } else { 0x80 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(u8::try_from(length).expect("small") | masked),
        length @ 126..=65_535 => {
            bytes.push(126 | masked);
            bytes.extend(u16::try_from(length).expect("small").to_be_bytes());
        }
        length => {
            bytes.push(127 | masked);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if masked > 0 {
        bytes.extend(MASK);
    }
    let mask = if masked > 0 { MASK } else { [0; 4] };
    let sent = if has("i") { payload.len().min(10) } else { payload.len() };
    bytes.extend(payload.iter().take(sent).zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

impl Sent {
    fn parse(text: &str) -> Self {
        let (mut sent, mut is_chopped, mut is_joined) = (Self::default(), false, false);
        for word in text.split_whitespace() {
            match word {
                "chop" => is_chopped = true,
                "join" => is_joined = true,
                _ if is_chopped => sent.bytes.extend(frame(word).into_iter().map(|byte| vec![byte])),
                _ if is_joined && !sent.bytes.is_empty() => sent.bytes[0].extend(frame(word)),
                _ => sent.bytes.push(frame(word)),
            }
        }
        sent
    }
}

/// One WebSocket of bare bytes.
struct Socket(TcpStream);

impl Socket {
    fn open(address: SocketAddr, host: u8, path: &str) -> Self {
        let mut client = Client::connect_from(host, address);
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        ));
        let head = String::from_utf8_lossy(&client.until("\r\n\r\n")).to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "what was not agreed on may not be used: {head}");
        Self(client.stream)
    }

    /// Sends all of it. The server may close before it has read everything.
    fn send(&mut self, sent: &Sent) {
        for bytes in &sent.bytes {
            if self.0.write_all(bytes).is_err() {
                return;
            }
        }
    }

    fn read(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    /// The next frame that is no push and no ping; `None` at the end of the connection.
    fn next(&mut self) -> Option<Answer> {
        loop {
            let head = self.read(2)?;
            assert_eq!((head[0] & 0xf0, head[1] & 0x80), (0x80, 0), "whole, without reserved bits, not masked");
            let length = match head[1] {
                126 => self.read(2)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                127 => self.read(8)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                length => usize::from(length),
            };
            let payload = self.read(length)?;
            match head[0] & 0x0f {
                1 => {
                    let text: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
                    // Pushes have a topic; the figures of the older path have a summary.
                    if text["type"].is_string() {
                        return Some(Answer::Text);
                    }
                }
                8 => return Some(Answer::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code)))),
                9 => {}
                10 => return Some(Answer::Pong(payload)),
                other => panic!("opcode {other}"),
            }
        }
    }
}

/// What a case expects: answers, and whether the connection stays open.
fn expected(text: &str) -> (Vec<Answer>, bool) {
    let words: Vec<_> = text.split_whitespace().collect();
    let answer = |word: &&str| match word.split_once(':') {
        Some(("pong", text)) => Some(Answer::Pong(payload(text))),
        Some(("close", "none")) => Some(Answer::Close(None)),
        Some(("close", code)) => Some(Answer::Close(Some(code.parse().expect("a code")))),
        _ if *word == "answer" => Some(Answer::Text),
        _ if *word == "open" => None,
        _ => panic!("{word}"),
    };
    (words.iter().filter_map(answer).collect(), words.last() == Some(&"open"))
}

/// What is wrong with what the server does in a case.
fn fault(socket: &mut Socket, sent: &Sent, (answers, stays): &(Vec<Answer>, bool)) -> Option<String> {
    socket.send(sent);
    if *stays {
        socket.send(&Sent { bytes: vec![frame("ping:still-there")] });
    }
    let mut awaited = answers.clone();
    awaited.extend(stays.then(|| Answer::Pong(b"still-there".to_vec())));
    for answer in &awaited {
        let got = socket.next();
        if got.as_ref() != Some(answer) {
            return Some(format!("{got:?} instead of {answer:?}"));
        }
    }
    if *stays {
        return None;
    }
    // The server closes the connection first; a client that waits for it must not wait forever.
    let _ = socket.0.shutdown(Shutdown::Write);
    socket.next().map(|more| format!("{more:?} after the close"))
}

#[test]
fn every_case_of_the_protocol_is_answered_as_the_standard_says() {
    let (program, _backend) = program();
    let table = include_str!("../../vectors/websocket/cases.txt");
    let cases = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut count, mut faults) = (0, Vec::new());
    // An address may hold eight, and a place is free a moment after its socket has ended.
    let mut hosts = (2..=250_u8).cycle();
    for line in cases {
        let [name, sent, answers] = line.split(" | ").map(str::trim).collect::<Vec<_>>()[..] else { panic!("{line}") };
        for path in ["/dashboard/ws", "/ws"] {
            let (mut answers, stays) = expected(answers);
            // The older path has one topic: texts need no answer.
            answers.retain(|answer| path != "/ws" || *answer != Answer::Text);
            let mut socket = Socket::open(program.admin, hosts.next().expect("endless"), path);
            let found = fault(&mut socket, &Sent::parse(sent), &(answers, stays));
            faults.extend(found.map(|found| format!("{path} {name}: {found}")));
            count += 1;
        }
    }
    println!("{count} cases");
    assert_eq!(faults, Vec::<String>::new(), "of {count}");
    assert!(count > 2 * 180, "{count}");
}
