//! How many clients are served at once, and who goes first where places run short.

use std::sync::mpsc;
use std::time::Duration;

use inferometer::tls::server::{ClientVerification, TlsServer, TlsVersion};

use crate::support::authority::{Authority, folder};
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::http2;
use crate::support::program::Program;
use crate::support::rig::{Options, Rig};
use crate::support::secure;
use crate::support::{PATIENCE, alone};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// The backend begins an answer, and ends it when the test says so.
const HELD: &str = "GET /held HTTP/1.1\r\nHost: a\r\n\r\n";
/// A limit that is over soon.
const SOON: Duration = Duration::from_millis(50);

/// A backend that answers everything, and the proxy before it.
struct Limited {
    rig: Rig,
    release: mpsc::Sender<()>,
    _backend: Backend,
}

impl Limited {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let backend = Backend::start(move |connection| {
            while let Some(request) = connection.request() {
                if request.starts_with(b"GET /held ") {
                    connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbegun ");
                    let _ = released.lock().expect("no panic").recv();
                } else {
                    connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
                }
                connection.write(b"ok");
            }
        });
        let mut options = Options::default();
        change(&mut options);
        let rig = Rig::with(backend.address, options);
        Self { rig, release, _backend: backend }
    }

    fn at_most(max_connections: u64) -> Self {
        Self::new(|options| options.settings.max_connections = max_connections)
    }

    fn connect(&self) -> Client {
        Client::connect(self.rig.address)
    }

    /// A client that has been served.
    fn served(&self) -> Client {
        let mut client = self.connect();
        client.send(REQUEST).until("ok");
        client
    }

    /// A client in the midst of its answer.
    fn busy(&self) -> Client {
        let mut client = self.connect();
        client.send(HELD).until("begun ");
        client
    }
}

/// Over TLS, with HTTP/2 offered.
fn over_tls(authority: &Authority) -> TlsServer {
    let identity = authority.identity(&["localhost"]);
    let settings = inferometer::tls::server::Settings {
        identity,
        clients: ClientVerification::Anyone,
        min_version: TlsVersion::Tls12,
        http2: true,
        table: "tls",
    };
    TlsServer::load(&settings).expect("files")
}

fn is_refused(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer);
    answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-inferometer-error: limit\r\n")
}

#[test]
fn without_a_limit_clients_are_served() {
    Limited::at_most(u64::MAX).served();
}

#[test]
fn one_connection_too_many_gets_an_answer_and_is_closed() {
    let limited = Limited::at_most(1);
    let mut busy = limited.busy();
    let (answer, broken) = limited.connect().send(REQUEST).rest();
    assert!(is_refused(&answer), "{}", String::from_utf8_lossy(&answer));
    // A client that kept it would be refused for as long as it uses it.
    assert!(!broken, "it is closed");
    limited.release.send(()).expect("the backend waits");
    busy.until("ok");
    busy.send(REQUEST).until("ok");
}

#[test]
fn far_too_many_connections_wait_and_get_an_answer_even_if_silent() {
    let limited = Limited::at_most(1);
    let _busy = limited.busy();
    let mut others: Vec<_> = (0..160).map(|_| limited.connect()).collect();
    for (index, client) in others.iter_mut().enumerate() {
        match index % 3 {
            0 => drop(client.send(REQUEST)),
            1 => drop(client.send("GET / HT")),
            _ => {}
        }
    }
    for (index, mut client) in others.into_iter().enumerate() {
        let (answer, broken) = client.rest();
        assert!(is_refused(&answer) && !broken, "{index}: {}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn silent_connections_keep_no_client_out() {
    let limited = Limited::at_most(8);
    let mut busy = limited.busy();
    let silent: Vec<Client> = (0..300).map(|_| limited.connect()).collect();
    for _ in 0..20 {
        limited.served();
    }
    let mut closed = 0;
    for mut client in silent.into_iter().rev().skip(8) {
        assert_eq!(client.rest(), (Vec::new(), false), "without a word, as any idle connection is closed");
        closed += 1;
    }
    println!("{closed} of 300 silent connections were closed for 20 clients and each other, at most 8 at once");
    limited.release.send(()).expect("the backend waits");
    busy.until("ok");
}

#[test]
fn the_longest_idle_goes_first_on_every_worker_and_an_exchange_goes_on() {
    let limited = Limited::at_most(4);
    let mut busy = limited.busy();
    // Two workers take them in turn.
    let mut idle: Vec<Client> = (0..3).map(|_| limited.served()).collect();
    // The first is idle since now, and the second is the one that has been idle longest.
    idle[0].send(REQUEST).until("ok");
    let mut newcomers = vec![limited.served()];
    assert_eq!(idle.remove(1).rest(), (Vec::new(), false));
    newcomers.push(limited.served());
    assert_eq!(idle.remove(1).rest(), (Vec::new(), false));
    newcomers.push(limited.served());
    assert_eq!(idle.remove(0).rest(), (Vec::new(), false));
    newcomers.push(limited.served());
    assert_eq!(newcomers.remove(0).rest(), (Vec::new(), false));
    for client in &mut newcomers {
        client.send(REQUEST).until("ok");
    }
    limited.release.send(()).expect("the backend waits");
    busy.until("ok");
}

#[test]
fn a_half_sent_head_whose_place_is_needed_gets_an_answer() {
    let limited = Limited::at_most(1);
    let mut slow = limited.connect();
    slow.send("GET / HTTP/1.1\r\nHos");
    let served = limited.served();
    let (answer, broken) = slow.rest();
    assert!(is_refused(&answer) && !broken, "{}", String::from_utf8_lossy(&answer));
    drop(served);
}

#[test]
fn a_connection_that_is_leaving_is_not_replaced_by_others() {
    let limited = Limited::at_most(3);
    let mut slow = limited.connect();
    slow.send("GET / HTTP/1.1\r\nHos");
    let mut idle = [limited.served(), limited.served()];
    // By now the half head was seen, and this one is idle since after that.
    idle[0].send(REQUEST).until("ok");
    let mut newcomers = vec![limited.served()];
    // It has been refused and keeps its side open: its place is counted until the proxy closes.
    slow.until("limit\r\n");
    newcomers.push(limited.served());
    let [kept, longest] = &mut idle;
    assert_eq!(longest.rest(), (Vec::new(), false), "the place of the second newcomer");
    for client in newcomers.iter_mut().chain([kept]) {
        client.send(REQUEST).until("ok");
    }
    drop(slow);
}

#[test]
fn idle_connections_of_http2_and_tls_give_way_too() {
    let authority = Authority::new();
    let limited = Limited::new(|options| {
        options.settings.max_connections = 1;
        options.tls = Some(over_tls(&authority));
    });
    // One that shakes hands forever, one that says nothing after that, one that has been served, one of HTTP/2.
    let mut dumb = limited.connect();
    dumb.send([22]);
    let silent = || secure::connect(limited.rig.address, authority.client(None, &["http/1.1"]));
    let mut mute = silent();
    mute.conn.complete_io(&mut mute.sock).expect("a handshake");
    assert_eq!(dumb.rest().0, b"");
    let mut kept = silent();
    std::io::Write::write_all(&mut kept, REQUEST.as_bytes()).expect("it reads");
    secure::head(&mut kept);
    let mut rest = Vec::new();
    // Its handshake may not be over at the other end, whose socket then has its last words unread.
    if let Err(error) = std::io::Read::read_to_end(&mut mute, &mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    // It may have its answer a moment before it counts as idle.
    let asked = |mut last: secure::Asking| {
        std::io::Write::write_all(&mut last, REQUEST.as_bytes()).expect("it reads");
        secure::head(&mut last)
    };
    let begun = std::time::Instant::now();
    while !asked(silent()).starts_with("HTTP/1.1 200 ") {
        assert!(begun.elapsed() < PATIENCE, "a place is made");
    }
    std::io::Read::read_to_end(&mut kept, &mut rest).expect("a farewell");
}

#[test]
fn an_idle_connection_of_http2_is_told_to_go_and_a_stream_is_not() {
    let limited = Limited::at_most(4);
    // A connection and its stream are counted both.
    let busy = http2::Client::connect(limited.rig.address);
    let (response, _) = busy.send(http2::request(http::Method::GET, "/held"), true);
    let mut body = http2::wait(response).expect("a response").into_body();
    assert_eq!(http2::piece(&mut body).expect("a piece").expect("data"), "begun ");
    let mut idle = limited.connect();
    // The preface, no settings, and the head of `GET /` on the first stream.
    idle.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    idle.send(b"\0\0\x0e\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost").until("ok");
    // It may have its answer a moment before it counts as idle: until then others give way, or newcomers are refused.
    let (begun, mut newcomers) = (std::time::Instant::now(), Vec::new());
    while !idle.has_unread() {
        assert!(begun.elapsed() < PATIENCE, "it is never asked to go");
        let mut newcomer = limited.connect();
        newcomer.send(REQUEST).until("\r\n\r\n");
        newcomers.push(newcomer);
    }
    let (farewell, broken) = idle.rest();
    let goaway = b"\x07\0\0\0\0\0";
    assert!(!broken && farewell.windows(6).any(|six| six == goaway), "{farewell:?}");
    limited.release.send(()).expect("the backend waits");
    assert_eq!(http2::rest(body).expect("a whole body"), "ok");
}

#[test]
fn a_stream_gets_the_place_of_a_silent_connection() {
    let limited = Limited::at_most(4);
    let client = http2::Client::connect(limited.rig.address);
    client.ask(http2::request(http::Method::GET, "/"), "");
    let mut silent: Vec<Client> = (0..2).map(|_| limited.connect()).collect();
    // Clients are accepted in the order in which they came: with this one the silent ones have their places.
    let _accepted = limited.served();
    let (head, _) = client.ask(http2::request(http::Method::GET, "/"), "");
    assert_eq!(head.status().as_u16(), 200);
    assert_eq!(silent.remove(0).rest(), (Vec::new(), false));
}

#[test]
fn the_first_head_counts_from_accept_and_later_silence_does_not() {
    let authority = Authority::new();
    for tls in [None, Some(over_tls(&authority))] {
        let secure = tls.is_some();
        let limited = Limited::new(|options| {
            options.settings.client.head = Some(SOON);
            options.tls = tls;
        });
        let mut silent = limited.connect();
        assert_eq!(silent.rest(), (Vec::new(), false), "closed without a word");
        if secure {
            let mut mute = secure::connect(limited.rig.address, authority.client(None, &["http/1.1"]));
            mute.conn.complete_io(&mut mute.sock).expect("a handshake");
            assert_eq!(std::io::Read::read(&mut mute, &mut [0]).expect("a farewell"), 0);
        } else {
            let mut kept = limited.served();
            // The time of a head passes by twice.
            limited.connect().rest();
            limited.connect().rest();
            kept.send(REQUEST).until("ok");
        }
    }
}

#[test]
fn under_a_thousand_descriptors_silent_clients_keep_no_client_out() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for toml in ["", "[limits]\nmax_connections = 0\n"] {
        let file = folder().join("inferometer.toml");
        std::fs::write(&file, toml).expect("a file");
        let mut limited = std::process::Command::new("prlimit");
        limited.args(["--nofile=1024:1024", env!("CARGO_BIN_EXE_inferometer"), "--config"]).arg(&file).env_clear();
        let program = Program::start(limited, backend.address, &[]);
        let silent: Vec<Client> = (0..1_200).map(|_| Client::connect(program.clients)).collect();
        let begun = std::time::Instant::now();
        for _ in 0..20 {
            Client::connect(program.clients).send(REQUEST).until("ok");
        }
        assert!(program.fetch_whole("/livez").starts_with("HTTP/1.1 200 "), "nor out of the second listener");
        println!("{toml:?}: 20 clients behind {} silent ones in {:?}", silent.len(), begun.elapsed());
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[test]
fn with_few_descriptors_silent_connections_to_the_second_listener_keep_nobody_out() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let file = folder().join("inferometer.toml");
    std::fs::write(&file, "[limits]\nmax_connections = 0\n").expect("a file");
    let mut limited = std::process::Command::new("prlimit");
    limited.args(["--nofile=256:256", env!("CARGO_BIN_EXE_inferometer"), "--config"]).arg(&file).env_clear();
    let program = Program::start(limited, backend.address, &[]);
    let silent: Vec<Client> = (0..300).map(|_| Client::connect(program.admin)).collect();
    let begun = std::time::Instant::now();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert!(program.fetch_whole(path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    for _ in 0..20 {
        Client::connect(program.clients).send(REQUEST).until("ok");
    }
    println!("probes and 20 clients beside {} silent connections in {:?}", silent.len(), begun.elapsed());
}

/// What the system lets a listener ask for.
#[cfg(target_os = "linux")]
fn somaxconn() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("the kernel tells");
    text.trim().parse().expect("a number")
}

#[cfg(target_os = "linux")]
#[test]
fn a_rush_fits_into_the_queue_of_both_listeners() {
    let _alone = alone();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("it may be raised so far");
    let descriptors = limit.maximum.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let rush = 3_000.min(somaxconn()).min(descriptors / 2);
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let program = Program::before(backend.address);
    // It accepts nothing: what is connected lies in the queue.
    program.signal(rustix::process::Signal::STOP);
    for address in [program.clients, program.admin] {
        let connect =
            |at| std::net::TcpStream::connect_timeout(&address, PATIENCE).unwrap_or_else(|why| panic!("{at}: {why}"));
        let connected: Vec<_> = (0..rush).map(connect).collect();
        println!("{} connections at once on {address} while nothing is accepted", connected.len());
    }
    program.signal(rustix::process::Signal::CONT);
    Client::connect(program.clients).send(REQUEST).until("ok");
    assert!(program.fetch_whole("/livez").starts_with("HTTP/1.1 200 "));
}
