//! TLS toward backends, toward clients and on the second listener; passwords there.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use inferometer::exchange::outcome::ErrorType;
use inferometer::tls::Identity;
use inferometer::tls::client::{Settings, TlsClient};
use inferometer::tls::server::{ClientVerification, TlsServer, TlsVersion};

use crate::support::authority::{Authority, folder};
use crate::support::backend::Backend;
use crate::support::client::{Client as Raw, ask};
use crate::support::program::{Program, command};
use crate::support::rig::{Options, Rig};
use crate::support::secure;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET /api/tags HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What a client gets through the proxy from a backend with this certificate.
fn through(identity: &Identity, wants: Option<&Authority>, settings: &Settings) -> (String, Option<ErrorType>) {
    let backend = secure::serve(Authority::server(identity, wants), |stream| {
        while !secure::head(stream).is_empty() {
            let _ = stream.write_all(OK);
        }
    });
    let client = TlsClient::load(settings, "127.0.0.1").expect("files");
    let rig = Rig::with(backend, Options { backend_tls: Some(client), ..Options::default() });
    let answer = ask(rig.address, GET);
    (answer, rig.record().error)
}

fn trusting(authority: &Authority) -> Settings {
    Settings { ca_file: Some(authority.file()), ..Settings::default() }
}

#[test]
fn a_trusted_backend_is_contacted_over_tls() {
    let authority = Authority::new();
    let (answer, error) = through(&authority.identity(&["127.0.0.1"]), None, &trusting(&authority));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok"), "{answer}");
    assert_eq!(error, None);
    let named = Settings { server_name: Some("gpu.lan".into()), ..trusting(&authority) };
    assert!(through(&authority.identity(&["gpu.lan"]), None, &named).0.ends_with("ok"));
}

#[test]
fn an_untrusted_backend_gets_no_byte_and_the_client_gets_the_reason() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (identity, settings, words) in [
        (other.identity(&["127.0.0.1"]), trusting(&authority), "backend_tls.ca_file"),
        (authority.identity(&["127.0.0.1"]), Settings::default(), "backend_tls.ca_file"),
        (authority.identity(&["10.0.0.1"]), trusting(&authority), "for another name"),
        (authority.expired(&["127.0.0.1"]), trusting(&authority), "has expired"),
    ] {
        let (answer, error) = through(&identity, None, &settings);
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains(words), "{words} in {answer}");
        assert!(answer.contains("x-inferometer-error: tls\r\n"), "{answer}");
        assert_eq!(error, Some(ErrorType::Tls), "{words}");
    }
}

#[test]
fn a_backend_that_requires_a_certificate_gets_it_or_refuses_the_proxy() {
    let (authority, ours, other) = (Authority::new(), Authority::new(), Authority::new());
    let server = authority.identity(&["127.0.0.1"]);
    let shown = |identity| Settings { identity, ..trusting(&authority) };
    let fine = through(&server, Some(&ours), &shown(Some(ours.identity(&["proxy"]))));
    assert!(fine.0.ends_with("ok"), "{}", fine.0);
    for identity in [None, Some(other.identity(&["proxy"]))] {
        let (answer, error) = through(&server, Some(&ours), &shown(identity));
        assert!(answer.contains("backend_tls.cert_file"), "{answer}");
        assert_eq!(error, Some(ErrorType::Tls));
    }
}

#[test]
fn a_backend_without_tls_and_a_silent_one_are_different_faults() {
    let plain = Backend::start(|connection| {
        connection.exactly(1);
        connection.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let authority = Authority::new();
    let client = TlsClient::load(&trusting(&authority), "127.0.0.1").expect("files");
    let rig = Rig::with(plain.address, Options { backend_tls: Some(client), ..Options::default() });
    let answer = ask(rig.address, GET);
    assert!(answer.contains("does not speak TLS") && answer.contains("http://"), "{answer}");
    let silent = Backend::start(|connection| assert!(connection.closed()));
    let client = TlsClient::load(&trusting(&authority), "127.0.0.1").expect("files");
    let mut options = Options { backend_tls: Some(client), ..Options::default() };
    options.upstream.connect_timeout = std::time::Duration::from_millis(20);
    let answer = ask(Rig::with(silent.address, options).address, GET);
    assert!(answer.contains("handshake in time"), "{answer}");
}

#[test]
fn a_cut_reply_over_tls_never_looks_complete() {
    let authority = Authority::new();
    let server = Authority::server(&authority.identity(&["127.0.0.1"]), None);
    // Ended by closing the socket, without a farewell: an attacker could have done it.
    let backend = secure::serve(server, |stream| {
        secure::head(stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf");
    });
    let client = TlsClient::load(&trusting(&authority), "127.0.0.1").expect("files");
    let rig = Rig::with(backend, Options { backend_tls: Some(client), ..Options::default() });
    let answer = ask(rig.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.contains("half") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    assert_eq!(rig.record().outcome.as_str(), "backend_failed");
}

/// The proxy with this certificate before a backend.
pub(crate) fn behind_tls(identity: Identity, backend: &Backend) -> Rig {
    let settings = inferometer::tls::server::Settings {
        identity,
        clients: ClientVerification::Anyone,
        min_version: TlsVersion::Tls12,
        http2: true,
        table: "tls",
    };
    let options = Options { tls: Some(TlsServer::load(&settings).expect("files")), ..Options::default() };
    Rig::with(backend.address, options)
}

#[test]
fn clients_are_served_over_tls_until_a_close_notify() {
    let authority = Authority::new();
    let backend = Backend::answering(OK);
    let rig = behind_tls(authority.identity(&["localhost"]), &backend);
    let answer =
        secure::ask(rig.address, &authority.client(None, &["http/1.1"]), GET).expect("an answer and a farewell");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok"), "{answer}");
    let stranger = Authority::new();
    assert_eq!(secure::ask(rig.address, &stranger.client(None, &[]), GET), None, "a client that does not trust us");
    assert_eq!(rig.refusal().as_str(), "tls");
}

#[test]
fn a_large_body_passes_tls_whole_in_both_directions() {
    let body = "x".repeat(3_000_000);
    let backend = Backend::start(|connection| {
        let request = connection.request().expect("a request");
        let at = request.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let body = &request[at..];
        connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
        connection.write(body);
    });
    let authority = Authority::new();
    let rig = behind_tls(authority.identity(&["localhost"]), &backend);
    let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = secure::connect(rig.address, authority.client(None, &[]));
    stream.write_all((head + &body).as_bytes()).expect("it reads");
    secure::head(&mut stream);
    // The connection stays open: whatever lies in a buffer must leave by itself.
    let mut echo = vec![0; body.len()];
    stream.read_exact(&mut echo).expect("the whole body");
    assert!(echo == body.as_bytes());
}

#[test]
fn plain_http_on_a_tls_port_gets_an_explanation() {
    let backend = Backend::answering(OK);
    let rig = behind_tls(Authority::new().identity(&["localhost"]), &backend);
    let answer = ask(rig.address, GET);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    assert_eq!(rig.refusal().as_str(), "tls");
    assert_eq!(backend.accepted(), 0);
}

#[test]
fn a_client_that_leaves_over_tls_cancels_the_backend() {
    let (gone, goes) = std::sync::mpsc::channel();
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        gone.send(connection.closed().then(Instant::now)).expect("the test waits");
    });
    let authority = Authority::new();
    let rig = behind_tls(authority.identity(&["localhost"]), &backend);
    let mut stream = secure::connect(rig.address, authority.client(None, &[]));
    stream.write_all(GET.as_bytes()).expect("it reads");
    secure::head(&mut stream);
    let left = Instant::now();
    drop(stream);
    let noticed = goes.recv_timeout(crate::support::PATIENCE).expect("an end").expect("the backend is cancelled");
    println!("over TLS: {:?}", noticed.duration_since(left));
    assert_eq!(rig.record().outcome.as_str(), "client_cancelled");
}

/// Writes a web configuration file and gives its name.
fn web_config(text: &str) -> String {
    let path = folder().join("web.yml");
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn tls_section(identity: &Identity, more: &str) -> String {
    let Identity { cert_file, key_file } = identity;
    format!("tls_server_config:\n  cert_file: {}\n  key_file: {}\n{more}", cert_file.display(), key_file.display())
}

/// A pair in the form of the header field.
fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {pair}\r\n")
}

fn users() -> String {
    let hash = bcrypt::hash("right", 4).expect("a hash");
    format!("basic_auth_users:\n  prometheus: {hash}\n  other: {}\n", hash.replace("$2b$", "$2y$"))
}

#[test]
fn the_second_listener_requires_a_password_on_every_path_but_two() {
    let backend = Backend::answering(OK);
    let program = Program::with(backend.address, &["--admin-web-config-file", &web_config(&users())]);
    // Each from another address: guesses are bounded for each.
    let host = std::cell::Cell::new(1);
    let status = |path: &str, fields: &str| {
        let mut client = Raw::connect_from(host.replace(host.get() + 1), program.admin);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"));
        let answer = String::from_utf8_lossy(&client.rest().0).into_owned();
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    for path in ["/livez", "/readyz"] {
        assert_eq!(status(path, ""), "200", "{path}");
    }
    let protected = [
        "/",
        "/metrics",
        "/health",
        "/-/healthy",
        "/-/ready",
        "//metrics",
        "/metrics/",
        "/%6detrics",
        "/./metrics",
        "/x",
    ];
    for path in protected.into_iter().chain(["/metrics?a", "//livez", "/livez/", "/livez/../metrics", "/%6civez"]) {
        assert_eq!(status(path, ""), "401", "{path}");
        assert_eq!(status(path, &basic("prometheus", "wrong")), "401", "{path}");
    }
    for _ in 0..2 {
        assert_eq!(status("/metrics", &basic("prometheus", "right")), "200", "the second time from memory");
        assert_eq!(status("/metrics", &basic("other", "right")), "200");
        assert_eq!(status("/metrics", &basic("prometheus", "wrong")), "401");
        assert_eq!(status("/metrics", &basic("nobody", "right")), "401");
        assert_eq!(status("/metrics", &basic("prometheus", "")), "401");
    }
    let twice = basic("prometheus", "right").repeat(2);
    for fields in [&twice, "Authorization: Basic !\r\n", "Authorization: Bearer right\r\n", "Authorization: Basic\r\n"]
    {
        assert_eq!(status("/metrics", fields), "401", "{fields}");
    }
    let asked = ask(program.admin, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(asked.contains("www-authenticate: Basic realm="), "{asked}");
    assert_eq!(ask(program.clients, GET).split(' ').nth(1), Some("200"), "clients need none");
}

#[test]
fn the_second_listener_uses_tls_and_may_require_certificates() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let more = format!(
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {}\n  min_version: TLS13\n",
        clients.file().display()
    );
    let file = web_config(&tls_section(&authority.identity(&["localhost"]), &more));
    let backend = Backend::answering(OK);
    let program = Program::with(backend.address, &["--admin-web-config-file", &file]);
    let get = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let known = authority.client(Some(&clients.identity(&["prometheus"])), &[]);
    let answer = secure::ask(program.admin, &known, get).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(secure::ask(program.admin, &authority.client(None, &[]), get), None);
    let stranger = authority.client(Some(&authority.identity(&["prometheus"])), &[]);
    assert_eq!(secure::ask(program.admin, &stranger, get), None);
    let plain = ask(program.admin, get);
    assert!(plain.starts_with("HTTP/1.1 400 ") && plain.contains("https://"), "plain HTTP gets a hint: {plain}");
}

/// What checking this configuration says, and its exit code.
fn checked(arguments: &[&str], toml: &str) -> (String, Option<i32>) {
    let path = folder().join("inferometer.toml");
    std::fs::write(&path, toml).expect("a file");
    let output = command().args(["--check-config", "--config"]).arg(&path).args(arguments).output().expect("it runs");
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.code())
}

/// A backend that wants a certificate signed by `clients`, and a configuration that shows one.
fn mutual(authority: &Authority, clients: &Authority) -> (std::net::SocketAddr, String) {
    let backend = secure::serve(Authority::server(&authority.identity(&["127.0.0.1"]), Some(clients)), |stream| {
        while !secure::head(stream).is_empty() {
            let _ = stream.write_all(OK);
        }
    });
    let Identity { cert_file, key_file } = clients.identity(&["proxy"]);
    let shown = format!("cert_file = \"{}\"\nkey_file = \"{}\"\n", cert_file.display(), key_file.display());
    (backend, format!("backend = \"https://{backend}\"\n[backend_tls]\n{shown}"))
}

#[test]
fn the_program_uses_tls_on_every_side_at_once() {
    let (inside, clients, outside) = (Authority::new(), Authority::new(), Authority::new());
    let (_backend, toml) = mutual(&inside, &clients);
    let identity = outside.identity(&["localhost"]);
    let Identity { cert_file, key_file } = &identity;
    let path = folder().join("inferometer.toml");
    let web = web_config(&(tls_section(&identity, "") + &users()));
    let tls = format!("[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"\n", cert_file.display(), key_file.display());
    let ca = format!("ca_file = \"{}\"\n", inside.file().display());
    std::fs::write(&path, format!("admin_web_config_file = \"{web}\"\n{toml}{ca}{tls}")).expect("a file");
    let program = Program::configured(command(), &path);
    let client = outside.client(None, &["http/1.1"]);
    for _ in 0..2 {
        let answer = secure::ask(program.clients, &client, GET).expect("an answer and a farewell");
        assert!(answer.ends_with("ok"), "{answer}");
    }
    let scrape = |password: &str| {
        let request = GET.replace("/api/tags", "/metrics").replace("\r\n\r\n", "\r\n");
        let request = format!("{request}{}\r\n", basic("prometheus", password));
        secure::ask(program.admin, &client, &request).expect("an answer and a farewell")
    };
    assert!(scrape("wrong").starts_with("HTTP/1.1 401 "));
    let metrics = scrape("right");
    let counted = metrics.lines().find(|line| line.starts_with("ollama_proxy_requests_total{"));
    assert!(counted.is_some_and(|line| line.contains("completed") && line.ends_with(" 2")), "{metrics}");
    assert!(metrics.contains("ollama_proxy_backend_up{"), "the probe speaks TLS too");
    assert!(!ask(program.admin, GET).contains("200 OK") && !ask(program.clients, GET).contains("200 OK"));
}

#[test]
fn the_systems_authorities_are_trusted_where_no_other_is_named() {
    let (trusted, clients) = (Authority::new(), Authority::new());
    let (_backend, toml) = mutual(&trusted, &clients);
    let path = folder().join("inferometer.toml");
    std::fs::write(&path, toml).expect("a file");
    let with = |authority: &Authority| {
        let mut command = command();
        // Where the system's certificates are taken from, as OpenSSL has it.
        command.env("SSL_CERT_FILE", authority.file());
        ask(Program::configured(command, &path).clients, GET)
    };
    assert!(with(&trusted).ends_with("ok"));
    let stranger = with(&Authority::new());
    assert!(stranger.starts_with("HTTP/1.1 502 ") && stranger.contains("backend_tls.ca_file"), "{stranger}");
}

#[test]
fn checking_the_configuration_reads_the_files() {
    let authority = Authority::new();
    let (one, two, ca) = (authority.identity(&["a"]), authority.identity(&["b"]), authority.file());
    let tls = |cert: &Path, key: &Path| {
        format!("[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"\n", cert.display(), key.display())
    };
    let trust = |file: &Path| format!("backend = \"https://gpu\"\n[backend_tls]\nca_file = \"{}\"\n", file.display());
    let said = checked(&[], &(trust(&ca) + &tls(&one.cert_file, &one.key_file)));
    assert_eq!(said.1, Some(0), "{}", said.0);
    for (toml, words) in [
        (tls(&one.cert_file, &two.key_file), "tls.key_file"),
        (tls(&one.key_file, &one.key_file), "it holds no certificate"),
        (tls(&one.cert_file, &one.cert_file), "it holds no private key"),
        (tls(Path::new("gone.pem"), &one.key_file), "cannot be read"),
        (trust(&one.key_file), "backend_tls.ca_file"),
        ("[tls]\ncert_file = \"a.pem\"".to_owned(), "tls.key_file must be set"),
    ] {
        let (said, code) = checked(&[], &toml);
        assert!(said.contains(words) && code == Some(2), "{words} in {said}");
    }
    for (text, words) in [
        ("basic_auth_users:\n  a: secret\n".to_owned(), "not a bcrypt hash"),
        (users().replace("$2b$04$", "$2b$17$"), "has a cost of 17, and one of more than 15"),
        ("basic_auth:\n  a: b\n".to_owned(), "unknown field `basic_auth`"),
        (tls_section(&one, "  client_auth_type: RequireAndVerifyClientCert\n"), "set client_ca_file"),
        (tls_section(&one, "  client_auth_type: RequireAnyClientCert\n"), "unknown variant `RequireAnyClientCert`"),
    ] {
        let (said, code) = checked(&["--admin-web-config-file", &web_config(&text)], "");
        assert!(said.contains(words) && code == Some(2), "{words} in {said}");
        assert!(!said.contains("secret"), "no password in an error: {said}");
    }
    assert_eq!(checked(&["--admin-web-config-file", &web_config("")], "").1, Some(0), "an empty file asks for nothing");
}

/// What exporters' web configuration has and ours has not, besides two kinds of client authentication.
const OTHER_FIELDS: [(&str, &str); 10] = [
    ("cert", "  cert: x\n"),
    ("key", "  key: x\n"),
    ("client_ca", "  client_ca: x\n"),
    ("client_allowed_sans", "  client_allowed_sans: [x]\n"),
    ("max_version", "  max_version: TLS13\n"),
    ("cipher_suites", "  cipher_suites: [x]\n"),
    ("prefer_server_cipher_suites", "  prefer_server_cipher_suites: true\n"),
    ("curve_preferences", "  curve_preferences: [x]\n"),
    ("http_server_config", "http_server_config:\n  http2: false\n"),
    ("rate_limit", "rate_limit:\n  burst: 1\n"),
];

#[test]
fn unknown_fields_of_a_web_config_are_refused_by_name_and_listed() {
    let page = include_str!("../../docs/security.md");
    let identity = Authority::new().identity(&["a"]);
    for (field, text) in OTHER_FIELDS {
        let file = web_config(&tls_section(&identity, text));
        let (said, code) = checked(&["--admin-web-config-file", &file], "");
        assert!(said.contains(&format!("unknown field `{field}`")) && code == Some(2), "{field}: {said}");
        assert!(page.contains(&format!("`{field}`")), "docs/security.md does not list {field}");
    }
    for kind in ["RequestClientCert", "RequireAnyClientCert"] {
        let file = web_config(&tls_section(&identity, &format!("  client_auth_type: {kind}\n")));
        assert!(checked(&["--admin-web-config-file", &file], "").0.contains(kind));
        assert!(page.contains(&format!("`{kind}`")), "docs/security.md does not list {kind}");
    }
}
