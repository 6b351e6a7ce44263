//! Every case: what a client sends, what a backend answers.

use super::run::{Case, Step};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET /api/tags HTTP/1.1\r\nHost: a\r\n\r\n";

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn case(name: impl Into<String>, methods: &[&str], steps: Vec<Step>) -> Case {
    Case {
        name: name.into(),
        steps,
        refused: false,
        bad_reply: false,
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
    }
}

/// One request and its response; the connections stay open.
pub(super) fn exchange(name: impl Into<String>, request: impl Into<Vec<u8>>, response: impl Into<Vec<u8>>) -> Case {
    let request = request.into();
    let method = String::from_utf8_lossy(&request).trim_start().split(' ').next().unwrap_or_default().to_owned();
    let steps = vec![Step::Client(request), Step::BackendHas(1), Step::Backend(response.into()), Step::ClientHas(1)];
    case(name, &[&method], steps)
}

/// A response after which the backend closes.
fn closing(name: impl Into<String>, request: &str, response: impl Into<Vec<u8>>) -> Case {
    let mut case = exchange(name, request, response);
    case.steps.insert(3, Step::BackendCloses);
    case
}

/// A response that breaks off: the backend closes, and the client's connection ends.
fn cut(name: impl Into<String>, request: &str, response: impl Into<Vec<u8>>) -> Case {
    let mut case = closing(name, request, response);
    case.steps[4] = Step::ClientClosed;
    case
}

/// A head that the proxy answers itself.
fn refused(name: &str, request: impl Into<Vec<u8>>) -> Case {
    let request = request.into();
    let steps = vec![Step::Client(request), Step::ClientClosed];
    Case { refused: true, ..case(format!("refused: {name}"), &["GET"], steps) }
}

/// A reply that the proxy does not hand on.
fn bad_reply(name: &str, response: &str) -> Case {
    let mut case = exchange(format!("bad reply: {name}"), GET, response);
    case.steps.extend([Step::BackendCloses, Step::ClientAnswered]);
    case.steps.remove(3);
    case.bad_reply = true;
    case
}

/// The whole catalogue.
pub(crate) fn all() -> Vec<Case> {
    let parts = [
        methods(),
        request_framings(),
        request_fields(),
        targets(),
        versions(),
        expectations(),
        sequences(),
        response_framings(),
        response_heads(),
        interim(),
        cuts(),
        refusals(),
        upgrades(),
    ];
    parts.into_iter().flatten().collect()
}

fn methods() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH"] {
        for (framing, fields) in [
            ("no body", ""),
            ("an empty body", "Content-Length: 0\r\n"),
            ("a sized body", "Content-Length: 2\r\n"),
            ("a chunked body", "Transfer-Encoding: chunked\r\n"),
            ("an empty chunked body", "tRANSFER-encoding: chunked\r\n"),
        ] {
            let body = match framing {
                "a sized body" => "{}",
                "a chunked body" => "2\r\n{}\r\n0\r\n\r\n",
                "an empty chunked body" => "0\r\n\r\n",
                _ => "",
            };
            let request = format!("{method} /api/chat HTTP/1.1\r\nHost: a\r\n{fields}Accept: */*\r\n\r\n{body}");
            let response = if method == "HEAD" { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" } else { OK };
            cases.push(exchange(format!("{method} with {framing}"), request, response));
        }
    }
    cases
}

const CHUNKED: &str = "POST /api/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";

fn request_framings() -> Vec<Case> {
    let post = |fields: &str, body: &str| format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let mut cases: Vec<Case> = (1..CHUNKED.len())
        .map(|at| {
            let mut case = exchange(format!("a chunked upload split at {at}"), CHUNKED, OK);
            case.steps.splice(0..1, [Step::Client(bytes(&CHUNKED[..at])), Step::Client(bytes(&CHUNKED[at..]))]);
            case
        })
        .collect();
    let trailers = "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
    cases.extend([
        exchange("chunk extensions", chunked("5;a=b\r\nhello\r\n0;last\r\n\r\n"), OK),
        exchange("chunk sizes in another spelling", chunked("005\r\nhello\r\nA\r\n0123456789\r\n00\r\n\r\n"), OK),
        exchange(
            "request trailers that are announced",
            post("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", trailers),
            OK,
        ),
        exchange("request trailers that are not", chunked(trailers), OK),
        exchange(
            "request trailers that may not stand there",
            chunked("5\r\nhello\r\n0;x\r\nX-Sum:1 \r\nHost: b\r\nAuthorization: k\r\nx-more: 2\r\nContent-Length: 9\r\n\r\n"),
            OK,
        ),
        exchange(
            "response trailers that may not stand there",
            GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nConnection: x\r\nX-Sum: 1\r\nKeep-Alive: 5\r\n\r\n",
        ),
        exchange("an upload of 256 KiB", post("Content-Length: 262144\r\n", &"x".repeat(256 << 10)), OK),
        exchange(
            "a chunked upload of 256 KiB",
            chunked(&format!("40000\r\n{}\r\n0\r\n\r\n", "y".repeat(256 << 10))),
            OK,
        ),
        exchange(
            "a compressed upload",
            [
                post("Content-Encoding: gzip\r\nContent-Length: 8\r\n", "").into_bytes(),
                vec![0x1f, 0x8b, 8, 0, 0xff, 0, 1, 2],
            ]
            .concat(),
            OK,
        ),
        exchange("empty lines before the request", format!("\r\n\r\n{GET}"), OK),
    ]);
    cases
}

fn request_fields() -> Vec<Case> {
    let get = |fields: &str| format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let many: String = (0..300).map(|number| format!("X-{number}: {number}\r\n")).collect();
    let rows: &[(&str, String)] = &[
        ("300 fields", many),
        ("a field of 60 KiB", format!("X-Long: {}\r\n", "v".repeat(60 << 10))),
        ("names in any case", "hOsTs: 1\r\nx-A: 1\r\nX-a: 2\r\nX-A: 3\r\nACCEPT: *\r\n".to_owned()),
        ("repeats side by side", "Cookie: a\r\nCookie: b\r\nX: y\r\n".to_owned()),
        ("repeats apart", "A: 1\r\nB: 1\r\nA: 2\r\nB: 2\r\nC: 1\r\n".to_owned()),
        ("values with and without spaces around", "A:1\r\nB:   2\r\nC: 3  \r\nD:\t4\t\r\n".to_owned()),
        ("empty values", "A: \r\nB:\r\n".to_owned()),
        ("bytes above ASCII", "X: caf\u{e9} \u{1f600}\r\n".to_owned()),
        (
            "credentials and cookies",
            "Authorization: Bearer k\r\nCookie: s=1; t=2\r\nProxy-Authorization: Basic eA==\r\n".to_owned(),
        ),
        (
            "forwarding fields",
            "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nVia: 1.1 b\r\nOrigin: null\r\n".to_owned(),
        ),
        ("a range", "Range: bytes=0-1\r\nIf-None-Match: \"x\"\r\nAccept-Encoding: gzip, br;q=0\r\n".to_owned()),
        ("Connection: keep-alive", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nA: b\r\n".to_owned()),
        ("Proxy-Connection", "Proxy-Connection: keep-alive\r\nA: b\r\n".to_owned()),
        ("a field that Connection names", "Connection: X-Hop\r\nX-Hop: 1\r\nA: b\r\n".to_owned()),
        ("Connection that names the framing", "Connection: host, content-length\r\nContent-Length: 0\r\n".to_owned()),
        ("TE: trailers", "TE: trailers\r\nConnection: TE\r\n".to_owned()),
        ("TE: gzip", "TE: gzip\r\nConnection: TE\r\n".to_owned()),
        ("TE: trailers, gzip", "TE: trailers, gzip\r\nConnection: TE\r\n".to_owned()),
        (
            "Upgrade: h2c",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
                .to_owned(),
        ),
        ("Upgrade without Connection", "Upgrade: websocket\r\n".to_owned()),
        ("an upgrade that the backend does not take", "Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned()),
        ("Max-Forwards and Date", "Max-Forwards: 0\r\nDate: x\r\n".to_owned()),
    ];
    let mut cases: Vec<Case> = rows.iter().map(|(name, fields)| exchange(*name, get(fields), OK)).collect();
    cases.push(exchange("the host behind other fields", "GET / HTTP/1.1\r\nA: b\r\nhost: x:1\r\nC: d\r\n\r\n", OK));
    let mut close = exchange("Connection: close", get("Connection: close\r\n"), OK);
    close.steps.extend([Step::BackendCloses, Step::ClientClosed]);
    cases.push(close);
    cases
}

fn targets() -> Vec<Case> {
    let odd = [
        "/",
        "/?",
        "/?a?b=c&d",
        "//a//b/",
        "/a/../b/./c",
        "/%00%zz%",
        "/a;b=c,d",
        "/a:b@c!$&'()*+~",
        "/{x}|\"[y]",
        "/?{x}|[y]`\\^'",
        "/a?b=http://c/d",
        "/.well-known/x",
        "/caf\u{e9}/\u{4e16}?\u{1f600}",
    ];
    let mut cases: Vec<Case> = odd
        .iter()
        .map(|target| exchange(format!("target {target}"), format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), OK))
        .collect();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(30 << 10));
    cases.push(exchange("a target of 30 KiB", long, OK));
    let latin: &[u8] = b"GET /caf\xe9?\xff HTTP/1.1\r\nHost: a\r\n\r\n";
    cases.push(exchange("a target that is not UTF-8", latin, OK));
    cases.push(exchange("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", OK));
    for target in ["http://a:1/x?y", "HTTP://A:1/x", "http://a:1", "http://a:1?q", "https://a:1/x"] {
        cases.push(exchange(
            format!("absolute form {target}"),
            format!("GET {target} HTTP/1.1\r\nHost: a:1\r\n\r\n"),
            OK,
        ));
    }
    cases
}

fn versions() -> Vec<Case> {
    let mut old = exchange("HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", OK);
    old.steps.extend([Step::BackendCloses, Step::ClientClosed]);
    let mut kept = exchange(
        "HTTP/1.0 that is kept alive",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    );
    kept.steps.extend([
        Step::Client(bytes("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")),
        Step::BackendHas(2),
        Step::Backend(bytes(OK)),
        Step::BackendCloses,
        Step::ClientClosed,
    ]);
    kept.methods.push("POST".to_owned());
    let mut upload = exchange(
        "an upload behind a reply in HTTP/1.0",
        GET,
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    );
    upload.methods.push("POST".to_owned());
    upload.steps.extend([
        Step::Client(bytes(CHUNKED)),
        Step::BackendHas(2),
        Step::Backend(bytes(OK)),
        Step::ClientHas(2),
    ]);
    vec![
        upload,
        old,
        kept,
        exchange("a request in HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", OK),
        exchange("a backend that speaks HTTP/1.3", GET, OK.replace("HTTP/1.1", "HTTP/1.3")),
        exchange("a backend that speaks HTTP/1.0", GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        closing(
            "a backend that speaks HTTP/1.0 and closes",
            GET,
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello",
        ),
        cut(
            "a chunked reply to HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        cut(
            "a reply without a length to HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ),
    ]
}

fn expectations() -> Vec<Case> {
    let head = "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    let steps = |middle: &[Step]| [&[Step::Client(bytes(head)), Step::BackendSees(bytes("\r\n\r\n"))], middle].concat();
    let ends = [Step::BackendHas(1), Step::Backend(bytes(OK))];
    vec![
        case(
            "a body that the backend asks for",
            &["PUT"],
            steps(
                &[
                    &[
                        Step::Backend(bytes("HTTP/1.1 100 Continue\r\n\r\n")),
                        Step::ClientSees(bytes("\r\n\r\n")),
                        Step::Client(bytes("body")),
                    ],
                    &ends[..],
                    &[Step::ClientHas(2)],
                ]
                .concat(),
            ),
        ),
        case(
            "a body that the backend asks for with fields",
            &["PUT"],
            steps(
                &[
                    &[
                        Step::Backend(bytes("HTTP/1.1 100 Go on\r\nX: y\r\n\r\n")),
                        Step::ClientSees(bytes("\r\n\r\n")),
                        Step::Client(bytes("body")),
                    ],
                    &ends[..],
                    &[Step::ClientHas(2)],
                ]
                .concat(),
            ),
        ),
        case(
            "a body that the backend does not want",
            &["PUT"],
            steps(&[
                Step::Backend(bytes(
                    "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
                )),
                Step::BackendCloses,
                Step::ClientHas(1),
                Step::ClientClosed,
            ]),
        ),
        case(
            "a body sent without waiting, to a backend that says nothing",
            &["PUT"],
            [&[Step::Client(bytes(head)), Step::Client(bytes("body"))], &ends[..], &[Step::ClientSees(bytes("ok"))]]
                .concat(),
        ),
    ]
}

fn sequences() -> Vec<Case> {
    let request = |number: usize| format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n{number}");
    let answer = |number: usize| Step::Backend(bytes(&format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}")));
    let mut kept = Vec::new();
    let mut piped = vec![Step::Client(bytes(&(1..=4).map(request).collect::<String>()))];
    for number in 1..=4 {
        kept.extend([
            Step::Client(bytes(&request(number))),
            Step::BackendHas(number),
            answer(number),
            Step::ClientHas(number),
        ]);
        piped.extend([Step::BackendHas(number), answer(number), Step::ClientHas(number)]);
    }
    let early = vec![
        Step::Client(bytes("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789")),
        Step::BackendSees(bytes("0123456789")),
        Step::Backend(bytes("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")),
        Step::BackendCloses,
        Step::ClientHas(1),
        Step::ClientClosed,
    ];
    let half = vec![
        Step::Client(bytes(GET)),
        Step::BackendHas(1),
        Step::ClientEnds,
        Step::BackendEnds,
        Step::Backend(bytes(OK)),
        Step::ClientAnswered,
    ];
    let silent = vec![Step::Client(bytes(GET)), Step::BackendHas(1), Step::BackendCloses, Step::ClientAnswered];
    vec![
        case("four requests on one connection", &["POST"; 4], kept),
        case("four requests at once", &["POST"; 4], piped),
        case("an answer before the upload is over", &["POST"], early),
        case("a client that closes its sending side", &["GET"], half),
        case("a backend that closes instead of answering", &["GET"], silent),
    ]
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata:a\r\n2;x=y\r\n\n\n\r\n0\r\n\r\n";

fn response_framings() -> Vec<Case> {
    let ok = |fields: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
    let mut cases: Vec<Case> = (1..STREAM.len())
        .map(|at| {
            let mut case = exchange(format!("a stream split at {at}"), GET, STREAM);
            case.steps.splice(2..3, [Step::Backend(bytes(&STREAM[..at])), Step::Backend(bytes(&STREAM[at..]))]);
            case
        })
        .collect();
    let gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0x4b, 4, 0, 0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0];
    let te = "GET /x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    let trailing = ok("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n");
    cases.extend([
        exchange("an empty reply", GET, ok("Content-Length: 0\r\nX: y\r\n", "")),
        exchange("an empty stream", GET, ok("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        exchange("256 KiB of a known length", GET, ok("Content-Length: 262144\r\n", &"z".repeat(256 << 10))),
        exchange(
            "256 KiB in one chunk",
            GET,
            ok("Transfer-Encoding: chunked\r\n", &format!("40000\r\n{}\r\n0\r\n\r\n", "z".repeat(256 << 10))),
        ),
        exchange(
            "a compressed reply",
            GET,
            [
                ok(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", gzip.len()), "").into_bytes(),
                gzip.clone(),
            ]
            .concat(),
        ),
        exchange("gzip that lies", GET, ok("Content-Encoding: gzip\r\nContent-Length: 5\r\n", "plain")),
        closing("a reply that ends with the connection", GET, ok("Content-Type: text/plain\r\n", "hello")),
        closing("a reply that ends with the connection and says so", GET, ok("Connection: close\r\n", "hello")),
        closing("Connection: close with a length", GET, ok("Connection: close\r\nContent-Length: 2\r\n", "ok")),
        exchange("response trailers to a client that wants them", te, trailing.clone()),
        exchange("response trailers to a client that does not", GET, trailing),
        exchange(
            "response trailers that are not announced",
            te,
            ok("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"),
        ),
        exchange(
            "bytes behind a reply",
            GET,
            ok("Content-Length: 2\r\n", "okHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"),
        ),
        exchange("a length twice", GET, ok("Content-Length: 2\r\nContent-Length: 2\r\n", "ok")),
        bad_reply("a length as a list", &ok("Content-Length: 2, 2\r\n", "ok")),
        bad_reply("two lengths", &ok("Content-Length: 2\r\nContent-Length: 3\r\n", "ok")),
        bad_reply(
            "length and coding",
            &ok("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
        ),
        bad_reply("two codings", &ok("Transfer-Encoding: gzip, chunked\r\n", "2\r\nok\r\n0\r\n\r\n")),
        bad_reply(
            "a switch that nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        ),
    ]);
    for (method, status, fields) in [
        ("HEAD", "200 OK", "Content-Length: 20\r\n"),
        ("HEAD", "200 OK", "Transfer-Encoding: chunked\r\n"),
        ("HEAD", "200 OK", "Content-Length: 0\r\n"),
        ("HEAD", "200 OK", "X: y\r\n"),
        ("HEAD", "404 Not Found", "Content-Length: 20\r\n"),
        ("HEAD", "204 No Content", ""),
        ("HEAD", "304 Not Modified", "Content-Length: 20\r\nETag: \"x\"\r\n"),
        ("GET", "204 No Content", "X: y\r\n"),
        ("GET", "204 No Content", "Content-Length: 0\r\n"),
        ("POST", "205 Reset Content", "Content-Length: 0\r\n"),
        ("GET", "304 Not Modified", "ETag: \"x\"\r\n"),
        ("GET", "304 Not Modified", "Content-Length: 20\r\nETag: \"x\"\r\n"),
    ] {
        let name = format!(
            "{method} answered {status} with {}",
            if fields.is_empty() { "no field" } else { fields.trim_end() }
        );
        cases.push(exchange(
            name,
            format!("{method} /x HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("HTTP/1.1 {status}\r\n{fields}\r\n"),
        ));
    }
    cases
}

fn response_heads() -> Vec<Case> {
    let many: String = (0..300).map(|number| format!("X-{number}: {number}\r\n")).collect();
    let rows: &[(&str, &str, &str)] = &[
        ("an odd reason", "HTTP/1.1 200 Fine thanks", ""),
        ("an empty reason", "HTTP/1.1 200 ", ""),
        ("no reason", "HTTP/1.1 200", ""),
        ("a reason above ASCII", "HTTP/1.1 200 caf\u{e9}", ""),
        ("an odd status", "HTTP/1.1 599 Odd", ""),
        ("300 fields of a response", "HTTP/1.1 200 OK", &many),
        ("names of a response in any case", "HTTP/1.1 200 OK", "sERVER: x\r\nX-a: 1\r\nx-A: 2\r\nDATE: never\r\n"),
        ("cookies side by side", "HTTP/1.1 200 OK", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"),
        ("repeats of a response apart", "HTTP/1.1 200 OK", "A: 1\r\nB: 1\r\nA: 2\r\n"),
        ("values of a response with odd spaces", "HTTP/1.1 200 OK", "A:1\r\nB:  2 \r\nC:\r\n"),
        ("bytes above ASCII in a response", "HTTP/1.1 200 OK", "X: caf\u{e9}\r\n"),
        ("Keep-Alive of a backend", "HTTP/1.1 200 OK", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),
        ("a response field that Connection names", "HTTP/1.1 200 OK", "Connection: X-Hop\r\nX-Hop: 1\r\n"),
        ("Upgrade offered", "HTTP/1.1 426 Upgrade Required", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ("a redirect", "HTTP/1.1 307 Temporary Redirect", "Location: http://elsewhere:1/\r\n"),
        ("a challenge", "HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n"),
        ("CORS", "HTTP/1.1 200 OK", "Access-Control-Allow-Origin: *\r\nVary: Origin\r\n"),
        ("an error", "HTTP/1.1 500 Internal Server Error", "Content-Type: application/json\r\n"),
    ];
    let mut cases: Vec<Case> = rows
        .iter()
        .map(|(name, line, fields)| exchange(*name, GET, format!("{line}\r\n{fields}Content-Length: 2\r\n\r\nok")))
        .collect();
    cases.push(exchange("a response head with bare line feeds", GET, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"));
    cases.push(exchange("empty lines before a response", GET, format!("\r\n{OK}")));
    cases
}

fn interim() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, interim) in [
        ("102 before a reply", "HTTP/1.1 102 Processing\r\n\r\n"),
        ("103 before a reply", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
        ("100 that nobody asked for", "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let mut case = exchange(name, GET, format!("{interim}{OK}"));
        case.steps[3] = Step::ClientSees(bytes("ok"));
        cases.push(case);
    }
    cases
}

fn cuts() -> Vec<Case> {
    let old = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    vec![
        cut("a reply short of its length", GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
        cut("a reply cut between chunks", GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        cut("a reply cut within a chunk", GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"),
        cut(
            "a stream to HTTP/1.0 cut between chunks",
            old,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ),
    ]
}

fn refusals() -> Vec<Case> {
    vec![
        refused(
            "length and coding",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        refused("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        refused("bare line feeds", "GET / HTTP/1.1\nHost: a\n\n"),
        refused("a folded field", "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n"),
        refused("a target with a fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
        refused("another version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
        refused("an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        refused("a host with half an address", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
        refused("a port that there is not", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"),
    ]
}

fn upgrades() -> Vec<Case> {
    let head =
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let common = |ahead: &str| {
        vec![
            Step::Client(bytes(head)),
            Step::BackendHas(1),
            Step::Backend(bytes(&format!("{switch}{ahead}"))),
            Step::ClientSees(bytes(if ahead.is_empty() { "\r\n\r\n" } else { ahead })),
            Step::Client(bytes("\x00\u{1}from the client")),
            Step::BackendSees(bytes("the client")),
        ]
    };
    let mut halves = common("ahead");
    halves.extend([
        Step::ClientEnds,
        Step::Backend(bytes("and from the backend")),
        Step::ClientSees(bytes("the backend")),
        Step::BackendCloses,
        Step::ClientClosed,
    ]);
    vec![case("a tunnel", &["GET"], common("")), case("a tunnel that each side closes alone", &["GET"], halves)]
}
