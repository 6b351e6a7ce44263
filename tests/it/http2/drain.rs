//! A request over HTTP/2 that a drain crosses.

use inferometer::proxy::Life;

use super::closing::{PREFACE, next_frame, next_of};
use super::pausing;
use crate::support::client::Client as Raw;
use crate::support::rig::Rig;

const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];

/// `:method: GET`, `:scheme: http`, `:path: /`, `:authority: localhost` (RFC 7541), on this stream.
fn get(stream: u8) -> Vec<u8> {
    [&b"\0\0\x0e\x01\x05\0\0\0"[..], &[stream], b"\x82\x86\x84\x01\x09localhost"].concat()
}

#[test]
fn a_request_that_crosses_the_farewell_is_refused_so_that_clients_repeat_it() {
    let (backend, step) = pausing();
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    raw.send([PREFACE, SETTINGS, &get(1)].concat());
    let mut wire: Box<dyn super::closing::Wire> = Box::new(raw.stream.try_clone().expect("a descriptor"));
    assert_eq!(next_of(&mut wire, 1).stream, 1, "it is answered");
    rig.life.send_replace(Life::Draining);
    let warning = next_of(&mut wire, GOAWAY);
    assert_eq!(warning.payload[..4], [0x7f, 0xff, 0xff, 0xff], "it names no stream yet");
    raw.send(get(3));
    let refused = loop {
        let frame = next_frame(&mut wire).expect("the connection goes on");
        if frame.stream == 3 {
            break frame;
        }
    };
    assert_eq!((refused.kind, &refused.payload[..]), (RST_STREAM, &REFUSED_STREAM[..]));
    let record = rig.record();
    assert_eq!((record.outcome.as_str(), record.status), ("rejected", 503), "counted as over HTTP/1");
    assert_eq!(record.error.map(|error| error.as_str()), Some("draining"));
    step.send(()).expect("the backend waits");
    assert_eq!(rig.record().outcome.as_str(), "completed", "the other one goes on");
    drop((wire, raw));
    rig.join();
}
