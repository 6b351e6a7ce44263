//! What the guard accepts and refuses, however the bytes are split.

use super::*;

fn verdict(head: &str) -> Verdict<'_> {
    parse_head(head.as_bytes(), &mut HeadScan::default())
}

/// The verdict on a head that arrives byte by byte.
fn dribbled(head: &str) -> Option<Malformed> {
    let mut seen = HeadScan::default();
    let verdicts = (1..=head.len()).map(|end| parse_head(&head.as_bytes()[..end], &mut seen));
    verdicts.into_iter().find_map(|verdict| match verdict {
        Verdict::Refuse(refusal) => Some(refusal.why),
        _ => None,
    })
}

#[track_caller]
fn refused(head: &str, why: Malformed) {
    match verdict(head) {
        Verdict::Refuse(refusal) => assert_eq!(refusal.why, why, "{head:?}"),
        other => panic!("{head:?} gave {other:?}"),
    }
    assert!(dribbled(head).is_some(), "{head:?} split");
}

#[track_caller]
fn accepted(stream: &str) {
    for piece in [1, 7, stream.len()] {
        assert_eq!(follow(stream.as_bytes(), piece), (stream.len(), false), "{stream:?} in pieces of {piece}");
    }
}

#[test]
fn ordinary_requests_pass_unchanged_however_they_are_split() {
    accepted("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    accepted("GET /a?b=c HTTP/1.0\r\n\r\n");
    accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    accepted("GET http://a:1/x HTTP/1.1\r\nHost: a:1\r\n\r\n");
    accepted("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: b:\r\n\r\n");
    accepted(
        "\r\n\r\nPOST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    accepted("GET /<\"\\^`{|}>?<\"\\^`> HTTP/1.1\r\nHost: a\r\n\r\n");
    accepted("GET /\u{e9}?\u{4e16} HTTP/1.1\r\nHost: a\r\n\r\n");
    accepted(
        "GET / HTTP/1.2\r\nHost: a\r\n\r\nPOST / HTTP/1.9\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    accepted("M-SEARCH /a HTTP/1.1\r\nHost: [::1]:80\r\nX:\u{e9}\r\n\r\n");
}

#[test]
fn ambiguous_framing_is_refused() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    for fields in [
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: 1, 1",
        "Content-Length: +1",
        "Content-Length: 0x1",
        "Content-Length:",
        "Content-Length: 9999999999999999999",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
    ] {
        refused(&post(fields), Malformed::ContentLength);
    }
    for fields in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: xchunked",
    ] {
        refused(&post(fields), Malformed::TransferEncoding);
    }
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed::TransferEncoding);
}

#[test]
fn malformed_fields_are_refused() {
    for field in [
        "A : b",
        " A: b",
        "A",
        ": b",
        "A: b\r\n c",
        "A: b\0c",
        "A: b\x7f",
        "A: b\nC: d",
        "A\t: b",
        "A: b\r",
        "A:\r b",
        "A: \x0cb",
    ] {
        refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"), Malformed::Header);
    }
    let many: String = (0..MAX_FIELDS).map(|n| format!("X{n}: y\r\n")).collect();
    refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), Malformed::TooLarge);
    refused(&format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(MAX_HEAD)), Malformed::TooLarge);
}

/// Such a head seems to end, and the end that is waited for never comes.
#[test]
fn a_bare_line_feed_in_a_head_is_refused_at_once() {
    let line = "GET /v1/messages HTTP/1.1\r\n";
    for fields in ["\n", "Host: a\n", "Host: a\n\r\n", "Host: a\r\n\n", "Host: a\n\n", "Host: a\nB: c\r\n"] {
        let head = format!("{line}{fields}");
        let first = line.len() + fields.replace("\r\n", "--").find('\n').expect("a line feed") + 1;
        let mut seen = HeadScan::default();
        for end in 1..=first {
            match parse_head(&head.as_bytes()[..end], &mut seen) {
                Verdict::Refuse(refusal) => {
                    assert_eq!((refusal.why, refusal.shape, end), (Malformed::Header, ErrorShape::Anthropic, first));
                }
                Verdict::More => assert!(end < first, "{head:?} is waited for"),
                other => panic!("{head:?} gave {other:?}"),
            }
        }
        refused(&head, Malformed::Header);
    }
    refused("\r\n\nGET / HTTP/1.1\r\n", Malformed::RequestLine);
}

#[test]
fn a_host_must_be_one_and_valid() {
    refused("GET / HTTP/1.1\r\n\r\n", Malformed::Host);
    refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Malformed::Host);
    refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Malformed::Host);
    refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Malformed::Host);
    refused("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Malformed::Host);
    refused("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Malformed::Host);
    for host in ["", "[", "[::1", "a:b:c", "%zz", "a:99999"] {
        refused(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), Malformed::Host);
        refused(&format!("OPTIONS * HTTP/1.0\r\nHost: {host}\r\n\r\n"), Malformed::Host);
        refused(&format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"), Malformed::Target);
    }
}

#[test]
fn a_path_that_is_not_text_names_no_endpoint_and_keeps_its_dialect() {
    for (target, path) in [
        (&b"/\xff"[..], ""),
        (b"/v1/\xff/chat", "/v1/"),
        (b"/v1/chat/completions\xff", "/v1/chat/"),
        (b"/api/chat?\xff", "/api/chat"),
        ("/api/\u{e9}".as_bytes(), "/api/\u{e9}"),
        (b"http://a", "/"),
    ] {
        let head = [b"GET ", target, b" HTTP/1.0\r\n\r\n"].concat();
        assert_eq!(judge(&head).expect("proper").path(), path, "{}", target.escape_ascii());
    }
}

#[test]
fn request_lines_must_be_exact() {
    for line in ["GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /", "GET / x HTTP/1.1", "G(T / HTTP/1.1"] {
        refused(&format!("{line}\r\nHost: a\r\n\r\n"), Malformed::RequestLine);
    }
    for line in
        ["GET / HTTP/1.", "GET / HTTP/1.10", "GET / HTTP/1.x", "GET / HTTP/2.0", "GET / http/1.1", "GET / HTTP/1.1x"]
    {
        refused(&format!("{line}\r\nHost: a\r\n\r\n"), Malformed::Version);
    }
    for target in ["a", "*", "/a#b", "\u{e9}", "/\x7f", "http:///", "ftp://a/", "/a?b#c"] {
        refused(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), Malformed::Target);
    }
    refused("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", Malformed::Connect);
    refused("GET / HTTP/1.1\nHost: a\n\n", Malformed::RequestLine);
    refused("\x16\x03\x01\x02", Malformed::RequestLine);
}

#[test]
fn broken_chunk_framing_is_a_bad_body() {
    for body in [
        "g\r\n",
        "\r\n",
        "1\n",
        "1 \r\n",
        "1\r\nab",
        "1\r\na\n",
        "1;\n",
        "1;a\0\r\n",
        "1;\r\na\r\n0\r\n\r\n",
        "1;=x\r\na\r\n0\r\n\r\n",
        "1;a=\"\r\na\r\n0\r\n\r\n",
        "1;a\u{e9}\r\na\r\n0\r\n\r\n",
        "1\r\na\r\n0;a=\r\n\r\n",
        "0\r\n a: b\r\n",
        "0\r\na\r\n",
        "0\r\na: b\n",
        "1000000000000000\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1\r\r\n",
    ] {
        let stream = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        for piece in [1, stream.len()] {
            assert!(follow(stream.as_bytes(), piece).1, "{body:?}");
        }
    }
}

#[test]
fn where_a_stream_is_split_changes_nothing() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/guard");
    for seed in std::fs::read_dir(seeds).expect("the seeds") {
        let stream = std::fs::read(seed.expect("an entry").path()).expect("a seed");
        let (dribbled, stopped) = follow(&stream, 1);
        for piece in 2..=stream.len() {
            let (passed, stops) = follow(&stream, piece);
            assert_eq!(stops, stopped, "{} in pieces of {piece}", stream.escape_ascii());
            assert!(passed <= dribbled && (stopped || passed == dribbled), "{}", stream.escape_ascii());
        }
    }
}

#[test]
fn a_refusal_knows_the_callers_dialect() {
    let Verdict::Refuse(refusal) = verdict("POST /v1/messages?x HTTP/1.1\r\n\r\n") else { panic!("passed") };
    assert_eq!(refusal.shape, ErrorShape::Anthropic);
}
