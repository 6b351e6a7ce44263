//! What crosses on the wire: bytes that are sent before their time, answers that come before their requests, ends that
//! meet writes.

use std::num::NonZeroUsize;
use std::sync::{Mutex, mpsc};

use inferometer::proxy::Life;

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::rig::{Options, Rig};

const UPGRADE: &str = "GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn what_a_client_sends_before_the_switch_is_tunnelled_at_once() {
    let (step, steps) = mpsc::channel::<()>();
    let (seen, sees) = mpsc::channel::<()>();
    let script = Mutex::new((steps, seen));
    let backend = Backend::start(move |connection| {
        let head = connection.head().expect("a head");
        if !head.starts_with(b"GET /v1/realtime ") {
            return connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
        let script = script.lock().expect("one script");
        script.1.send(()).expect("the test waits");
        script.0.recv_timeout(PATIENCE).expect("a step");
        connection.write(SWITCH);
        assert_eq!(connection.until(b"early"), b"early");
        connection.write(b"heard");
    });
    let mut options = Options::default();
    options.settings.threads = NonZeroUsize::MIN;
    let rig = Rig::with(backend.address, options);
    let mut client = Client::connect(rig.address);
    client.send(UPGRADE);
    sees.recv_timeout(PATIENCE).expect("the head arrives");
    client.send("early");
    // The same thread serves another: by then it has seen that the first has sent something.
    assert!(ask(rig.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ends_with("ok"));
    step.send(()).expect("the backend waits");
    client.until("heard");
}

#[test]
fn a_client_that_closes_its_tunnel_while_the_backend_writes_is_no_failure() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        connection.head();
        connection.write(SWITCH);
        steps.lock().expect("one script").recv_timeout(PATIENCE).expect("the client has left");
        // Until the proxy has noticed, and closes.
        (0..100_000).for_each(|_| connection.write(b"more"));
    });
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send(UPGRADE).until("\r\n\r\n");
    drop(client);
    step.send(()).expect("the backend waits");
    let record = rig.record();
    assert_eq!((record.outcome.as_str(), record.error), ("completed", None));
}

#[test]
fn an_upload_that_is_not_taken_after_a_whole_answer_blocks_no_other_client() {
    let (step, steps) = mpsc::channel::<()>();
    let (given_up, waited) = mpsc::channel::<()>();
    let script = Mutex::new((steps, given_up));
    let backend = Backend::start(move |connection| {
        connection.head();
        connection.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
        // It neither reads nor closes.
        let script = script.lock().expect("one script");
        if script.0.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            script.1.send(()).expect("the test looks");
        }
    });
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    let mut sender = client.stream.try_clone().expect("a duplicate");
    let uploading = std::thread::spawn(move || {
        // It ends with an error once the proxy has closed.
        let _ = std::io::Write::write_all(&mut sender, &vec![b'x'; 100_000_000]);
    });
    client.until("no");
    rig.life.send_replace(Life::Draining);
    uploading.join().expect("no panic");
    rig.join();
    assert!(waited.try_recv().is_err(), "the drain waited for the backend");
    drop(step);
}

#[test]
fn a_refused_head_without_a_body_gets_an_answer_without_one() {
    let rig = Rig::before(Backend::answering("").address);
    let answer = ask(rig.address, "HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(rig.refusal().as_str(), "host");
}
