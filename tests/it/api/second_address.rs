//! `--dashboard-listen`: the same on another port, with the same guard.

use super::{send, unlimited};
use crate::support::backend::Backend;
use crate::support::program::Program;

#[test]
fn another_address_answers_with_the_same_under_the_same_guard() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let arguments = ["--config", &unlimited(), "--dashboard-listen", "127.0.0.1:0"];
    let program = Program::with(backend.address, &arguments);
    let line = program.logged(|line| line["dashboard"].is_string());
    let address = line["dashboard"].as_str().and_then(|text| text.parse().ok()).expect("an address");
    for target in ["/api/metrics", "/dashboard/stats", "/api/health"] {
        let answer = send(address, "GET", target, "");
        assert_eq!(answer.status, 200, "{target}: {}", answer.json);
    }
    let document = send(address, "GET", "/openapi.json", "");
    assert_eq!(document.json, send(program.admin, "GET", "/openapi.json", "").json);
    let foreign = crate::support::client::ask(
        address,
        "GET /api/metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    );
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
}
