//! The second listener under attack: what its neighbours, other sites' pages and strangers on the network try.
//!
//! | attack | promise |
//! |---|---|
//! | bad credentials | refused in the time that a known user's wrong password takes; guesses keep nobody out |
//! | path variants | no spelling of a path is another way in, and none but the exact one is answered |
//! | DNS rebinding | bound to loopback, only loopback names are answered |
//! | cross-site requests | no page of another site gets, embeds or frames anything; no method changes anything |
//! | traversal | no file is ever served, and no path is repeated in an answer |
//! | WebSocket abuse | nothing but the sockets of the API is ever switched to another protocol, and these to WebSocket alone |
//! | smuggling | a body is never read as the next request |
//! | oversized heads, slow and many clients | refused or closed; the others are answered |

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::authority::folder;
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::program::Program;
use crate::support::{alone, look_until};

fn program(arguments: &[&str]) -> (Program, Backend) {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    (Program::with(backend.address, arguments), backend)
}

fn with_users(cost: u32) -> (Program, Backend) {
    let file = folder().join("web.yml");
    let hash = bcrypt::hash("right", cost).expect("a hash");
    std::fs::write(&file, format!("basic_auth_users:\n  prometheus: {hash}\n")).expect("a file");
    program(&["--admin-web-config-file", &file.display().to_string()])
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {pair}\r\n")
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// What is hashed is asserted where it is done; this shows that they differ in nothing else.
#[test]
#[ignore = "a measurement; cargo test --test it takes_as_long -- --ignored --nocapture"]
fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let _alone = alone();
    let (program, _backend) = with_users(7);
    // Each from another address: guesses are bounded for each.
    let host = std::cell::Cell::new(1);
    let time = |request: &str, expected: u16| {
        let mut client = Client::connect_from(host.replace(host.get() + 1), program.admin);
        let begun = Instant::now();
        assert_eq!(status(&String::from_utf8_lossy(&client.send(request).rest().0)), expected);
        begun.elapsed()
    };
    let [known, unknown] = ["prometheus", "somebody"].map(|user| get("/metrics", &basic(user, "wrong")));
    let open = get("/livez", "");
    // In turn, so that a busy machine is busy for all of them.
    let times: Vec<[Duration; 3]> =
        (0..15).map(|_| [time(&known, 401), time(&unknown, 401), time(&open, 200)]).collect();
    let quickest = |which: usize| times.iter().map(|times| times[which]).min().expect("some");
    let [known, unknown, open] = [0, 1, 2].map(quickest);
    println!("the quickest of 15: known {known:?}, unknown {unknown:?}, without a password {open:?}");
}

/// What that is worth to a stream, `make bench` measures.
#[cfg(target_os = "linux")]
#[test]
fn the_kernel_prefers_the_threads_that_carry_requests_to_those_that_watch() {
    /// The first accepts clients, begins what a signal asks for, and has the name of the program.
    const CARRY: [&str; 2] = ["inferometer", "proxy-"];
    let (program, _backend) = program(&[]);
    // A thread steps back once it runs, and one that has written the metrics ends when it was idle for a while.
    let threads = look_until(|| {
        for watched in ["/metrics", "/dashboard/exchanges"] {
            assert_eq!(status(&ask(program.admin, get(watched, ""))), 200, "{watched}");
        }
        let threads = program.niceness();
        let (carry, watch): (Vec<_>, Vec<_>) = threads
            .iter()
            .partition(|(name, _)| CARRY.iter().any(|carries| name.starts_with(carries)) || name == "log");
        assert!(carry.iter().all(|(_, nice)| *nice == 0), "{threads:?}");
        let has_all = watch.iter().all(|(_, nice)| *nice > 0);
        if has_all { Ok(watch.into_iter().cloned().collect::<Vec<_>>()) } else { Err(format!("{threads:?}")) }
    });
    for expected in ["observers", "history", "history-read-0", "cpu"] {
        assert!(threads.iter().any(|(name, _)| name == expected), "{expected}: {threads:?}");
    }
    // Beside the thread that serves them, one that wrote the metrics.
    assert!(threads.iter().filter(|(name, _)| name == "observers").count() > 1, "{threads:?}");
}

#[test]
fn guesses_keep_neither_probes_nor_who_is_known_out() {
    let (program, _backend) = with_users(10);
    let right = get("/metrics", &basic("prometheus", "right"));
    assert_eq!(status(&ask(program.admin, &right)), 200);
    // More than are hashed at once, and fewer than there are places; none from an address that may try no more.
    let mut guesses: Vec<Client> = (0..30)
        .map(|guess| {
            let mut client = Client::connect_from(2 + guess / 8, program.admin);
            client.send(get("/metrics", &basic("prometheus", &format!("guess {guess}"))));
            client
        })
        .collect();
    assert_eq!(status(&ask(program.admin, get("/livez", ""))), 200);
    assert_eq!(status(&ask(program.admin, &right)), 200);
    let last = guesses.last().expect("a guess");
    last.stream.set_nonblocking(true).expect("a socket");
    assert!(last.stream.peek(&mut [0]).is_err(), "the guesses are still being hashed");
    last.stream.set_nonblocking(false).expect("a socket");
    for guess in &mut guesses {
        assert_eq!(status(&String::from_utf8_lossy(&guess.rest().0)), 401);
    }
}

/// The clients' answers, by status; 0 is a reset or an answer that broke off.
fn answers(clients: &mut [Client]) -> std::collections::BTreeMap<u16, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for client in clients {
        let (answer, broken) = client.rest();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let length = answer.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let body = answer.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        let whole = !broken && length.and_then(|length| length.parse().ok()) == Some(body);
        *counts.entry(if whole { status(&answer) } else { 0 }).or_insert(0) += 1;
    }
    counts
}

#[test]
fn a_burst_of_probes_is_answered_whole() {
    let (program, _backend) = with_users(4);
    for burst in [100, 1_000] {
        let probe = |_| {
            let mut probe = Client::connect(program.admin);
            probe.send(get("/livez", ""));
            probe
        };
        let mut probes: Vec<Client> = (0..burst).map(probe).collect();
        let answers = answers(&mut probes);
        println!("{burst} probes at once: {answers:?}");
        assert_eq!(answers, [(200, burst)].into());
    }
}

#[test]
fn wrong_passwords_reset_no_scrape() {
    let _alone = alone();
    let (program, _backend) = with_users(10);
    let right = get("/metrics", &basic("prometheus", "right"));
    assert_eq!(status(&ask(program.admin, &right)), 200);
    let mut guesses: Vec<Client> = (0..70).map(|_| Client::connect(program.admin)).collect();
    let mut scrapes: Vec<Client> = (0..56).map(|_| Client::connect(program.admin)).collect();
    for (at, guess) in guesses.iter_mut().enumerate() {
        guess.send(get("/metrics", &basic("prometheus", &format!("guess {at}"))));
        if let Some(scrape) = scrapes.get_mut(at) {
            scrape.send(&right);
        }
    }
    let (scraped, guessed) = (answers(&mut scrapes), answers(&mut guesses));
    println!("56 scrapes beside 70 wrong passwords: {scraped:?}, the guesses {guessed:?}");
    assert_eq!(scraped, [(200, 56)].into());
    assert!(guessed.keys().all(|status| matches!(status, 401 | 429)) && guessed[&401] <= 11, "{guessed:?}");
}

#[test]
fn a_right_user_goes_before_guesses_and_these_are_bounded() {
    let _alone = alone();
    let (program, _backend) = with_users(10);
    let mut guesses: Vec<Client> = (0..60).map(|_| Client::connect_from(2, program.admin)).collect();
    for (at, guess) in guesses.iter_mut().enumerate() {
        guess.send(get("/metrics", &basic("prometheus", &format!("guess {at}"))));
    }
    // All but those that are hashed are refused at once; so this one has come after them.
    let mut last = guesses.pop().expect("a guess");
    let refused = String::from_utf8_lossy(&last.rest().0).into_owned();
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("\r\nretry-after: "), "{refused}");
    let begun = Instant::now();
    assert_eq!(status(&ask(program.admin, get("/metrics", &basic("prometheus", "right")))), 200);
    let waited = begun.elapsed();
    let guessed = answers(&mut guesses);
    println!("behind 60 guesses: {waited:?}; {guessed:?}");
    assert!(guessed[&401] <= 11 && guessed[&401] + guessed[&429] == 59, "{guessed:?}");
}

#[test]
fn slow_scrapers_share_one_page() {
    let _alone = alone();
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let text = String::from_utf8_lossy(&request).into_owned();
            let model = text.split("\"model\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("m");
            let body = format!(
                "{{\"model\":\"{model}\",\"response\":\"ok\",\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":5,\
                 \"prompt_eval_duration\":1000000,\"eval_count\":5,\"eval_duration\":9000000,\"load_duration\":1}}"
            );
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
            connection.write(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    let program = Program::with(backend.address, &["--access-log", "off"]);
    let mut client = Client::connect(program.clients);
    for model in 0..190 {
        let body = format!("{{\"model\":\"model-{model}\",\"prompt\":\"\",\"stream\":false}}");
        client.send(format!("POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        client.until("\"load_duration\":1}");
    }
    let page = program.fetch("/metrics").len();
    let before = program.resident();
    let mut slow: Vec<Client> = (0..64).map(|_| Client::connect(program.admin)).collect();
    for client in &mut slow {
        client.send(get("/metrics", ""));
    }
    // Each is being sent its answer, and reads no more of it.
    slow.iter_mut().for_each(|client| drop(client.until("\r\n\r\n")));
    let held = program.resident().saturating_sub(before);
    println!("64 slow scrapers of a page of {} KiB hold {} KiB", page >> 10, held >> 10);
    assert!(page > 1 << 20, "{page} bytes");
    assert!(held < 2 * page as u64 + (8 << 20), "{held} bytes");
    assert_eq!(status(&program.fetch_whole("/livez")), 200);
    let rests: std::collections::BTreeSet<_> = slow.iter_mut().map(|client| client.rest()).collect();
    assert!(rests.len() == 1 && !rests.first().expect("one").1, "all of them get the same, and none is cut");
}

/// Ways to write a protected path that some server or framework somewhere reads as that path.
const VARIANTS: [&str; 24] = [
    "//metrics",
    "/metrics/",
    "/metrics//",
    "/./metrics",
    "/x/../metrics",
    "/metrics/..",
    "/metrics/.",
    "/%6detrics",
    "/%6Detrics",
    "/metrics%00",
    "/metrics%20",
    "/metrics%2f",
    "/metrics%3f",
    "/%2fmetrics",
    "/METRICS",
    "/Metrics",
    "/metrics;x",
    "/metrics.json",
    "/metrics,",
    "/livez/../metrics",
    "/livez/",
    "/%6civez",
    "/-/healthy/",
    "/\\metrics",
];

#[test]
fn no_spelling_of_a_path_is_another_way_in() {
    let ((open, _one), (guarded, _two)) = (program(&[]), with_users(4));
    let right = basic("prometheus", "right");
    for path in VARIANTS {
        // What the HTTP library does not take for a target never gets as far as a path.
        let unknown = |answer: String| assert!(matches!(status(&answer), 400 | 404), "{path}: {answer}");
        unknown(ask(open.admin, get(path, "")));
        unknown(ask(guarded.admin, get(path, &right)));
        let answer = ask(guarded.admin, get(path, ""));
        assert!(matches!(status(&answer), 400 | 401) && !answer.contains("ollama_proxy"), "{path}: {answer}");
    }
    // The absolute form names the same path, and is held to the same.
    for host in ["localhost", "127.0.0.1:8001", "[::1]"] {
        let target = format!("http://{host}/metrics");
        assert_eq!(status(&ask(open.admin, get(&target, ""))), 200, "{target}");
        assert_eq!(status(&ask(guarded.admin, get(&target, ""))), 401, "{target}");
        assert_eq!(status(&ask(guarded.admin, get(&target, &right))), 200, "{target}");
    }
    for method in ["HEAD", "POST", "OPTIONS", "TRACE", "get", "CONNECT"] {
        let request = format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(matches!(status(&ask(guarded.admin, request)), 400 | 401), "{method}");
    }
}

#[test]
fn a_name_that_another_site_points_here_is_not_answered() {
    let (program, _backend) = program(&[]);
    let port = program.admin.port();
    let foreign = [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "localhost@evil.example",
        "evil.example:80",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "2130706433",
        "0x7f.1",
    ];
    for host in foreign.map(str::to_owned).into_iter().chain([format!("evil.example:{port}")]) {
        for path in ["/", "/metrics", "/livez", "/x"] {
            let answer =
                ask(program.admin, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
            assert_eq!(status(&answer), 403, "{host} {path}");
            assert!(!answer.contains("ollama_proxy") && !answer.contains(&host), "{answer}");
        }
        let answer = ask(program.admin, get(&format!("http://{host}/metrics"), ""));
        assert!(matches!(status(&answer), 400 | 403), "{host}: {answer}");
    }
    for hosts in
        ["", "Host: localhost\r\nHost: evil.example\r\n", "Host: evil.example\r\nHost: localhost\r\n", "Host:\r\n"]
    {
        let answer = ask(program.admin, format!("GET /metrics HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"));
        assert_eq!(status(&answer), 400, "{hosts:?}: {answer}");
    }
    let answer = ask(
        program.admin,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(status(&answer), 200, "nothing but Host counts");
}

#[test]
fn another_sites_page_can_neither_read_nor_embed_nor_change_anything() {
    let (program, _backend) = program(&[]);
    let origin = "Origin: https://evil.example\r\n";
    let preflight = "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Private-Network: true\r\n";
    let asked = |method: &str, fields: &str| {
        let head = format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}");
        ask(program.admin, format!("{head}Content-Length: 2\r\n\r\n{{}}")).to_ascii_lowercase()
    };
    for (method, fields, expected) in [
        ("GET", origin.to_owned(), 200),
        (
            "GET",
            format!("{origin}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"),
            403,
        ),
        ("GET", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n".to_owned(), 403),
        ("GET", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n".to_owned(), 403),
        (
            "GET",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n".to_owned(),
            200,
        ),
        ("OPTIONS", format!("{origin}{preflight}"), 405),
        ("POST", format!("{origin}Content-Type: text/plain\r\n"), 405),
        ("PUT", origin.to_owned(), 405),
        ("DELETE", origin.to_owned(), 405),
    ] {
        let answer = asked(method, &fields);
        assert_eq!(status(&answer), expected, "{method} {fields}: {answer}");
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        assert!(!head.contains("access-control-"), "nothing is allowed to another origin: {head}");
        assert!(head.contains("\r\ncross-origin-resource-policy: same-origin\r\n"), "{head}");
        assert!(head.contains("\r\nx-content-type-options: nosniff\r\n"), "{head}");
        assert!(head.contains("\r\ncache-control: no-store\r\n") && !head.contains("set-cookie"), "{head}");
    }
    let page = ask(program.admin, get("/", ""));
    assert!(page.contains("frame-ancestors 'none'") && page.contains("form-action 'none'"), "{page}");
}

#[test]
fn no_file_is_ever_served_and_no_path_repeated() {
    let (program, _backend) = program(&[]);
    for path in [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..;/..;/etc/passwd",
        "/....//....//etc/passwd",
        "/proc/self/environ",
        "/%00/etc/passwd",
        "/static/../../etc/passwd",
        "/file:///etc/passwd",
        "/<script>passwd</script>",
    ] {
        let answer = ask(program.admin, get(path, ""));
        assert!(matches!(status(&answer), 400 | 404), "{path}: {answer}");
        assert!(!answer.contains("root:") && !answer.contains("passwd"), "{path}: {answer}");
    }
}

#[test]
fn nothing_but_a_websocket_where_one_is_served_is_switched_to_another_protocol() {
    let (program, _backend) = program(&[]);
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (path, expected) in [("/", 200), ("/metrics", 200), ("/livez", 200), ("/ws", 400), ("/dashboard/ws", 400)] {
        for upgrade in [
            format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{key}"),
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n".to_owned(),
            "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n".to_owned(),
        ] {
            if path.ends_with("/ws") && upgrade.contains("websocket") {
                continue;
            }
            let mut client = Client::connect(program.admin);
            client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n"));
            let head = String::from_utf8_lossy(&client.until("\r\n\r\n")).to_ascii_lowercase();
            assert_eq!(status(&head), expected, "{path} {upgrade}");
            assert!(!head.contains("upgrade") && !head.contains("sec-websocket"), "{head}");
            // What a WebSocket would send next is no request: it ends the connection and is not echoed.
            client.send([
                0x81,
                0x85,
                1,
                2,
                3,
                4,
                b'h' ^ 1,
                b'e' ^ 2,
                b'l' ^ 3,
                b'l' ^ 4,
                b'o' ^ 1,
                b'\r',
                b'\n',
                b'\r',
                b'\n',
            ]);
            let rest = String::from_utf8_lossy(&client.rest().0).into_owned();
            assert!(!rest.contains("HTTP/1.1 101") && !rest.contains("hello"), "{rest}");
        }
    }
    let preface = ask(program.admin, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(!preface.contains(" 200 ") && !preface.contains(" 101 "), "HTTP/2 is not spoken here: {preface}");
    let tunnel = ask(program.admin, "CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\nConnection: close\r\n\r\n");
    assert!(status(&tunnel) >= 400, "{tunnel}");
}

#[test]
fn a_body_is_never_read_as_the_next_request() {
    let (program, _backend) = program(&[]);
    let hidden = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let chunked = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for (framing, body) in [
        (format!("Content-Length: {}", hidden.len()), hidden.to_owned()),
        ("Transfer-Encoding: chunked".to_owned(), chunked.clone()),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked".to_owned(), chunked.clone()),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4".to_owned(), chunked.clone()),
        ("Content-Length: 0\r\nContent-Length: 5".to_owned(), hidden.to_owned()),
        ("Transfer-Encoding: xchunked".to_owned(), chunked.clone()),
    ] {
        for method in ["GET", "POST"] {
            let request = format!("{method} /x HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{body}");
            let last = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let answers = ask(program.admin, request + last);
            assert!(!answers.contains("\r\n\r\nok\n"), "{method} {framing}: {answers}");
            assert!(answers.matches("HTTP/1.1 ").count() <= 2, "{method} {framing}: {answers}");
        }
    }
}

#[test]
fn oversized_heads_are_refused_and_cost_nothing() {
    let (program, _backend) = program(&[]);
    program.fetch("/livez");
    let before = program.resident();
    for _ in 0..50 {
        let long = format!("/{}", "x".repeat(32 << 10));
        let field = format!("X: {}\r\n", "y".repeat(32 << 10));
        for request in [get(&long, ""), get("/livez", &field), get("/livez", &"X: y\r\n".repeat(2000))] {
            let mut client = Client::connect(program.admin);
            // It may be refused and closed before all of it was sent.
            let _ = client.stream.write_all(request.as_bytes());
            let answer = String::from_utf8_lossy(&client.rest().0).into_owned();
            assert!(answer.is_empty() || matches!(status(&answer), 400 | 414 | 431), "{answer}");
        }
    }
    let grown = program.resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes are left of it");
    assert_eq!(status(&ask(program.admin, get("/livez", ""))), 200);
}

#[test]
fn slow_and_many_clients_keep_neither_scrapers_nor_the_proxy_waiting() {
    let (program, _backend) = program(&[]);
    let mut slow: Vec<Client> = Vec::new();
    for _ in 0..4 {
        for opening in
            ["", "G", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"]
        {
            slow.extend((0..25).map(|_| {
                let mut client = Client::connect(program.admin);
                client.send(opening);
                client
            }));
            // Each within the test's patience, which is shorter than a slow head's own time.
            assert_eq!(status(&program.fetch_whole("/metrics")), 200);
            assert_eq!(status(&program.fetch_whole("/livez")), 200);
            let through = ask(program.clients, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            assert!(through.ends_with("ok"), "{through}");
        }
    }
    assert!(program.descriptors() < 256 + 100, "{} descriptors", program.descriptors());
}

/// Asks until it is answered with 200, as whoever is closed for another one does.
fn answered(admin: SocketAddr, target: &str) {
    look_until(|| {
        let mut client = Client::connect(admin);
        let _closed = client.stream.write_all(get(target, "").as_bytes());
        let answer = String::from_utf8_lossy(&client.rest().0).into_owned();
        if status(&answer) == 200 { Ok(()) } else { Err(format!("{target}: {answer:.100}")) }
    });
}

#[test]
fn a_thousand_slow_or_silent_sockets_beside_fifty_askers_cost_a_bounded_amount() {
    let _alone = alone();
    let (program, _backend) = program(&[]);
    let targets = ["/metrics", "/dashboard/stats", "/dashboard/exchanges", "/dashboard/health", "/dashboard/models"];
    // What is made for the first answer stays.
    targets.iter().for_each(|target| answered(program.admin, target));
    let (before, own) = (program.resident(), program.sockets());
    let socket = "GET /dashboard/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let openings = ["", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ", &get("/metrics", ""), socket];
    let slow: Vec<Client> = (0..1_000)
        .map(|at| {
            let mut client = Client::connect_from(u8::try_from(2 + at / 40).expect("few"), program.admin);
            // It may have been closed for another one already.
            let _closed = client.stream.write_all(openings[at % openings.len()].as_bytes());
            client
        })
        .collect();
    let most = std::thread::scope(|scope| {
        let (admin, targets) = (program.admin, &targets);
        let askers: Vec<_> = (0..50)
            .map(|at| scope.spawn(move || (0..4).for_each(|turn| answered(admin, targets[(at + turn) % 5]))))
            .collect();
        let mut most = (0, 0);
        while !askers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let through = ask(program.clients, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            assert!(through.ends_with("ok"), "{through}");
            most = (program.resident().max(most.0), program.sockets().max(most.1));
        }
        most
    });
    let grown = most.0.saturating_sub(before);
    println!("{} sockets: {} KiB and {} sockets more at most", slow.len(), grown >> 10, most.1 - own);
    // 256 connections, 64 WebSockets without credentials, one exchange, and what was closed for others in this turn of the
    // thread: it accepts no more than 128 in a turn.
    assert!(most.1 <= own + 256 + 64 + 20 + 128, "{} sockets, {own} before", most.1);
    assert!(grown < 32 << 20, "{grown} bytes");
}
