//! Who may open a WebSocket.

use serde_json::Value;

use super::material::{Guarded, basic, bearer, claims, eddsa, key, status};
use super::session::{cookie, json};

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The status of the answer to a handshake with these fields.
fn handshake(guarded: &Guarded, target: &str, fields: &str) -> u16 {
    let mut client = crate::support::client::Client::connect(guarded.admin());
    client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{fields}\r\n"));
    status(&String::from_utf8_lossy(&client.until("\r\n\r\n")))
}

/// Whether who asks is let in: what answers then is another matter.
fn is_let_in(guarded: &Guarded, target: &str, fields: &str) -> bool {
    match handshake(guarded, target, fields) {
        101 | 404 => true,
        401 | 403 => false,
        other => panic!("{other} to {target} with {fields}"),
    }
}

fn ticket(guarded: &Guarded, fields: &str) -> Value {
    json(&guarded.post("/dashboard/ws-ticket", fields, ""))
}

#[test]
fn a_websocket_brings_its_credentials_in_any_of_five_ways() {
    let guarded = Guarded::start(&[]);
    let token = eddsa(&claims("dashboard:read"));
    let session = cookie(&guarded.post("/dashboard/session", &bearer(&key("reader")), ""));
    for path in ["/dashboard/ws", "/ws"] {
        let protocol = |token: &str| format!("Sec-WebSocket-Protocol: inferometer, bearer.{token}\r\n");
        for fields in [
            bearer(&key("reader")),
            bearer(&token),
            basic("person", "canary-password"),
            protocol(&key("reader")),
            protocol(&token),
            session.clone(),
        ] {
            assert!(is_let_in(&guarded, path, &fields), "{path} {fields}");
        }
        for fields in [
            String::new(),
            bearer(&key("expired")),
            bearer(&key("foreign")),
            protocol("wrong"),
            protocol(&key("foreign")),
            session.replace("session=", "session=x"),
        ] {
            assert!(!is_let_in(&guarded, path, &fields), "{path} {fields}");
        }
    }
}

#[test]
fn a_ticket_opens_one_websocket() {
    let guarded = Guarded::start(&[]);
    let given = ticket(&guarded, &bearer(&key("reader")));
    assert_eq!(given["expires_in"], 30);
    let target = |given: &Value| format!("/dashboard/ws?ticket={}", given["ticket"].as_str().expect("text"));
    assert!(is_let_in(&guarded, &target(&given), ""));
    assert!(!is_let_in(&guarded, &target(&given), ""), "it was used");
    let other = ticket(&guarded, &bearer(&key("reader")));
    assert_eq!(guarded.status(&target(&other).replace("/ws", "/session"), ""), 401, "for WebSockets alone");
    assert!(is_let_in(&guarded, &target(&other), ""), "and that did not use it");
    assert_eq!(status(&guarded.post("/dashboard/ws-ticket", &bearer(&key("foreign")), "")), 403);
    assert_eq!(status(&guarded.post("/dashboard/ws-ticket", "", "")), 401);
}

#[test]
fn a_page_of_another_site_opens_no_websocket() {
    let (guarded, open) = (Guarded::start(&[]), Guarded::within(crate::support::authority::folder(), "", false, &[]));
    let session = cookie(&guarded.post("/dashboard/session", &bearer(&key("admin")), ""));
    for (guarded, credentials) in [(&guarded, session), (&guarded, bearer(&key("admin"))), (&open, String::new())] {
        for (origin, is_ours) in [
            ("http://localhost", true),
            ("https://LOCALHOST", true),
            ("http://evil.example", false),
            ("http://localhost:8001", false),
            ("null", false),
        ] {
            let fields = format!("{credentials}Origin: {origin}\r\n");
            assert_eq!(is_let_in(guarded, "/dashboard/ws", &fields), is_ours, "{fields}");
        }
        for site in ["cross-site", "same-site"] {
            let fields = format!("{credentials}Origin: http://localhost\r\nSec-Fetch-Site: {site}\r\n");
            assert!(!is_let_in(guarded, "/dashboard/ws", &fields), "{fields}");
        }
    }
}
