//! Every case of HTTP/2: what a client sends, what a backend answers in HTTP/1.1.

/// A case.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) fields: Vec<(&'static str, &'static str)>,
    pub(crate) body: Vec<String>,
    pub(crate) trailers: Vec<(&'static str, &'static str)>,
    pub(crate) reply: String,
    /// The backend closes behind its reply.
    pub(crate) closes: bool,
    /// The backend answers a request of which it has the head only, and whose end never comes.
    pub(crate) early: bool,
    /// The proxy answers, with this status.
    pub(crate) own: Option<u16>,
    /// The backend is not asked.
    pub(crate) unasked: bool,
}

/// What a client has received. All empty where its stream was reset before a head.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) fields: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<String>,
    /// It ended as a whole one ends.
    pub(crate) whole: bool,
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(name: impl Into<String>, reply: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        method: "GET",
        path: "/api/tags",
        fields: Vec::new(),
        body: Vec::new(),
        trailers: Vec::new(),
        reply: reply.into(),
        closes: false,
        early: false,
        own: None,
        unasked: false,
    }
}

fn post(name: impl Into<String>, body: &[&str]) -> Case {
    let body = body.iter().map(|part| (*part).to_owned()).collect();
    Case { method: "POST", path: "/api/chat", body, ..get(name, OK) }
}

/// The whole catalogue.
pub(crate) fn all() -> Vec<Case> {
    [methods(), targets(), fields(), uploads(), heads(), bodies(), splits(), cuts(), early(), refused()].concat()
}

fn methods() -> Vec<Case> {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH"];
    let with = |method: &'static str| {
        let reply = if method == "HEAD" { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" } else { OK };
        [
            Case { method, ..get(format!("{method} without a body"), reply) },
            Case { method, reply: reply.into(), ..post(format!("{method} with a body"), &["{}"]) },
            Case { method, reply: reply.into(), ..post(format!("{method} with an empty body"), &[""]) },
            Case {
                method,
                reply: reply.into(),
                fields: vec![("content-length", "2")],
                ..post(format!("{method} with a sized body"), &["{}"])
            },
        ]
    };
    methods.into_iter().flat_map(with).collect()
}

fn targets() -> Vec<Case> {
    let paths = [
        "/",
        "/?",
        "/a?b=c&d",
        "//a//b",
        "/a/../b",
        "/%2F%00%zz",
        "/a;b=c",
        "/~a!$&'()*+,=:@",
        "/a?b?c",
        "/a/./b",
        "/\u{7c}",
    ];
    paths.into_iter().map(|path| Case { path, ..get(format!("target {path}"), OK) }).collect()
}

fn fields() -> Vec<Case> {
    let with = |name: &str, fields: &[(&'static str, &'static str)]| Case { fields: fields.to_vec(), ..get(name, OK) };
    let many: Vec<_> = (0..300).map(|_| ("x-many", "1")).collect();
    vec![
        with("fields of one name", &[("x-a", "1"), ("x-b", "2"), ("x-a", "3")]),
        with("cookies in several fields", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")]),
        with("an empty value", &[("x-empty", "")]),
        with("a value with spaces and quotes", &[("x-odd", "a  \"b\" , c; d=\"e\\\"\"")]),
        with("credentials and origin", &[("authorization", "Bearer x"), ("origin", "https://elsewhere.example")]),
        with("te trailers", &[("te", "trailers")]),
        with("a trace", &[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]),
        with("forwarding fields are the client's own", &[("x-forwarded-for", "1.2.3.4"), ("via", "1.1 x")]),
        with("300 fields", &many),
        with("a host that agrees", &[]),
    ]
}

fn uploads() -> Vec<Case> {
    let mut cases = vec![
        post("an upload in pieces", &["{\"model\":", "\"m\"", "}"]),
        post("an upload with empty pieces", &["", "a", "", "b", ""]),
        post("an upload beyond every window", &[&"x".repeat(400_000), &"y".repeat(400_000)]),
        Case {
            trailers: vec![("x-sum", "1")],
            fields: vec![("trailer", "x-sum"), ("te", "trailers")],
            ..post("trailers", &["a"])
        },
        Case { trailers: vec![("x-sum", "1")], ..post("trailers that nobody announced", &["a"]) },
        Case { fields: vec![("content-length", "6")], ..post("a sized upload in pieces", &["ab", "cd", "ef"]) },
        Case { fields: vec![("content-length", "0")], ..get("an announced empty body", OK) },
        Case { fields: vec![("content-encoding", "gzip")], ..post("a coded upload", &["not really"]) },
    ];
    for (name, reply) in [
        ("the backend says continue", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("the backend says nothing first", OK),
    ] {
        cases.push(Case { fields: vec![("expect", "100-continue")], reply: reply.into(), ..post(name, &["{}"]) });
    }
    cases
}

fn heads() -> Vec<Case> {
    let statuses = [200, 201, 202, 206, 207, 226, 299, 300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 409, 413, 418];
    let statuses = statuses.into_iter().chain([422, 429, 451, 499, 500, 501, 502, 503, 504, 507, 511, 599]);
    let mut cases: Vec<Case> = statuses
        .map(|status| get(format!("status {status}"), format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok")))
        .collect();
    let reply = |name: &str, head: &str| get(name, format!("HTTP/1.1 {head}\r\n\r\n"));
    cases.extend([
        reply("204", "204 No Content"),
        reply("205", "205 Reset Content\r\nContent-Length: 0"),
        reply("304", "304 Not Modified\r\nETag: \"a\""),
        reply("no reason", "200 \r\nContent-Length: 0"),
        reply("repeated and mixed fields", "200 OK\r\nX-A: 1\r\nSet-Cookie: a=b\r\nx-a: 2\r\nSet-Cookie: c=d\r\nContent-Length: 0"),
        reply("spaces around values", "200 OK\r\nX-A:1\r\nX-B: \t 2 \t\r\nContent-Length: 0"),
        reply("fields of the connection", "200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nContent-Length: 0"),
        reply("an offer to upgrade", "200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0"),
        reply("a date and a server", "200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nServer: x\r\nContent-Length: 0"),
        reply("a coded answer", "200 OK\r\nContent-Encoding: gzip\r\nVary: accept-encoding\r\nContent-Length: 0"),
        get("bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        get("an interim answer before", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Case { method: "HEAD", ..get("HEAD of a chunked answer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") },
        Case { method: "HEAD", ..get("HEAD of a long answer", "HTTP/1.1 200 OK\r\nContent-Length: 1234567890123\r\n\r\n") },
        Case { closes: true, ..get("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok") },
    ]);
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 2\r\n\r\nok", "z".repeat(20_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X-Many: 1\r\n".repeat(200));
    cases.extend([get("a long field", long), get("200 fields", many)]);
    cases
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n";
const LINES: &str = "1f\r\n{\"response\":\"xx\",\"done\":false}\n\r\n20\r\n{\"response\":\"xxx\",\"done\":false}\n\r\n";

fn bodies() -> Vec<Case> {
    let trailers = format!("{CHUNKED}{LINES}0\r\nX-Sum: 7\r\nX-Other: 8\r\n\r\n");
    vec![
        get("an empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        get("an empty chunked body", format!("{CHUNKED}0\r\n\r\n")),
        get("a chunked body", format!("{CHUNKED}{LINES}0\r\n\r\n")),
        get("chunk extensions", format!("{CHUNKED}2;a=b\r\nok\r\n0;c\r\n\r\n")),
        Case { fields: vec![("te", "trailers")], ..get("trailers that are asked for", trailers.clone()) },
        get("trailers that nobody asked for", trailers),
        get("a body of 1 MB", format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000))),
        get("a chunk of 1 MB", format!("{CHUNKED}f4240\r\n{}\r\n0\r\n\r\n", "x".repeat(1_000_000))),
        Case { closes: true, ..get("a body up to the end", "HTTP/1.1 200 OK\r\n\r\nto the end") },
        Case { closes: true, ..get("an empty body up to the end", "HTTP/1.1 200 OK\r\n\r\n") },
        Case {
            closes: true,
            ..get("an announced close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        },
        Case { closes: true, ..get("bytes behind the answer", format!("{OK}HTTP/1.1 200 OK\r\n\r\nanother")) },
    ]
}

/// An upload that is cut into two frames at every byte.
fn splits() -> Vec<Case> {
    let body = "{\"model\":\"m\u{fc}\",\"prompt\":\"hi\"}";
    let cuts = (1..body.len()).filter(|at| body.is_char_boundary(*at));
    cuts.map(|at| post(format!("an upload split at {at}"), &[&body[..at], &body[at..]])).collect()
}

/// Answers that break off: what came before arrives, and they never look whole.
fn cuts() -> Vec<Case> {
    let cut = |name: &str, reply: &str| Case { closes: true, ..get(name, reply) };
    let mut cases = vec![cut("short of its length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")];
    let whole = format!("{CHUNKED}{LINES}0\r\n\r\n");
    for end in (CHUNKED.len()..whole.len()).step_by(3) {
        cases.push(cut(&format!("a chunked answer cut at {end}"), &whole[..end]));
    }
    let own = |name: &str, reply: &str| Case { own: Some(502), ..cut(name, reply) };
    cases.extend([
        own("nothing at all", ""),
        own("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
        own("garbage", "SSH-2.0-OpenSSH_9\r\n\r\n"),
        own("two framings", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        own("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        own(
            "a switch that nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ),
    ]);
    cases
}

/// The backend answers while the client is still sending.
fn early() -> Vec<Case> {
    let refusal = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig";
    let early =
        |name: &str, reply: &str, closes| Case { early: true, closes, reply: reply.into(), ..post(name, &["half"]) };
    vec![
        early("an early refusal", refusal, false),
        early("an early refusal and a close", refusal, true),
        early("an early answer in chunks", &format!("{CHUNKED}{LINES}0\r\n\r\n"), false),
    ]
}

/// Heads that HTTP/1.1 could read in two ways.
fn refused() -> Vec<Case> {
    let refused = |name: &str, status, fields: &[(&'static str, &'static str)]| Case {
        own: Some(status),
        unasked: true,
        fields: fields.to_vec(),
        ..get(name, "")
    };
    vec![
        refused("another host", 400, &[("host", "elsewhere")]),
        refused("two hosts", 400, &[("host", "localhost"), ("host", "localhost")]),
        // HTTP/2 itself calls it malformed: the stream is reset.
        Case { own: None, ..refused("a length that is not a number", 0, &[("content-length", "0x")]) },
    ]
}
