//! Alerts of the real program: they begin, are acknowledged, told and kept, and end.

mod cost;
mod course;
mod disk;
mod each;
mod past;
mod provoked;
mod shares;
mod theirs;
mod vmalert;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::authority::folder;
use crate::support::client::{Client, ask};
use crate::support::program::Program;

/// A file of settings: rules are evaluated every second, and a test may ask as often as it likes.
fn settings(more: &str) -> String {
    let file = folder().join("alerts.toml");
    let access = "[access]\nrequests_per_minute = 1000000\nrequests_per_10s = 1000000\n";
    std::fs::write(&file, format!("{access}[host]\nperiod = \"1s\"\n[alerts]\nperiod = \"1s\"\n{more}"))
        .expect("a file");
    file.display().to_string()
}

fn request(method: &str, target: &str, body: &str) -> String {
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n{body}")
}

fn send(address: SocketAddr, method: &str, target: &str, body: &str) -> (u16, Value) {
    answered(&ask(address, request(method, target, body)))
}

/// The same from 127.0.0.`host`.
fn send_from(host: u8, address: SocketAddr, method: &str, target: &str, body: &str) -> (u16, Value) {
    let mut client = Client::connect_from(host, address);
    client.send(request(method, target, body));
    answered(&String::from_utf8_lossy(&client.rest().0))
}

fn answered(whole: &str) -> (u16, Value) {
    let (head, body) = whole.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn get(program: &Program, target: &str) -> Value {
    let (status, json) = send(program.admin, "GET", target, "");
    assert_eq!(status, 200, "{target}: {json}");
    json
}
