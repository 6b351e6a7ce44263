//! Sign-ins and refused sign-ins on the second listener.

use serde_json::{Value, json};

use super::{list, wait_for};
use crate::support::authority::folder;
use crate::support::client::Client;
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::Program;

#[test]
fn sign_ins_and_refused_ones_are_in_the_audit_without_names_that_nobody_has() {
    let hash = bcrypt::hash("right", 4).expect("a hash");
    let web = folder().join("web.yml");
    std::fs::write(&web, format!("basic_auth_users:\n  me: {hash}\n")).expect("a file");
    let ollama = Ollama::listing(&[]);
    let program = Program::with(ollama.address, &["--admin-web-config-file", web.to_str().expect("text")]);
    let ask = |credentials: Option<&str>, host: u8| {
        use base64::Engine as _;
        let encoded = credentials.map(|it| base64::engine::general_purpose::STANDARD.encode(it));
        let field = encoded.map_or(String::new(), |it| format!("Authorization: Basic {it}\r\n"));
        let mut client = Client::connect_from(host, program.admin);
        client.send(format!(
            "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: Prometheus/3.1\r\n{field}\r\n"
        ));
        String::from_utf8_lossy(&client.rest().0).into_owned()
    };
    let statuses = [
        ask(None, 2),
        ask(Some("me:right"), 2),
        ask(Some("me:right"), 2),
        ask(Some("me:canary-password"), 3),
        ask(Some("canary-user:right"), 4),
        ask(Some("me:right"), 5),
    ]
    .map(|answer| answer[9..12].to_owned());
    assert_eq!(statuses, ["401", "200", "200", "401", "401", "200"]);
    let last = |entry: &Value| entry["user"] == "me" && entry["result"] == "success";
    look_until(|| {
        let entries = list(program.state(), &["audit"]);
        if entries.iter().filter(|entry| last(entry)).count() < 2 { Err(format!("{entries:#?}")) } else { Ok(()) }
    });
    let mut entries = list(program.state(), &["audit", "--action=sign_in"]);
    entries.reverse();
    let said: Vec<_> = entries.iter().map(|it| json!([it["user"], it["result"], it["level"], it["details"]])).collect();
    let right = |address: &str| json!({ "address": address, "by": "password", "client": "Prometheus" });
    let wrong = |address: &str| json!({ "address": address, "reason": "wrong_password" });
    assert_eq!(
        said,
        [
            json!(["me", "success", "info", right("127.0.0.2")]),
            json!(["me", "refused", "warning", wrong("127.0.0.3")]),
            json!([null, "refused", "warning", wrong("127.0.0.4")]),
            json!(["me", "success", "info", right("127.0.0.5")]),
        ],
        "without credentials nothing was tried, and requests in a row are one sign-in"
    );
    for _ in 0..12 {
        ask(Some("me:wrong"), 6);
    }
    wait_for(program.state(), &["audit", "--user=me"], |it| it["details"]["reason"] == "too_many_attempts");
    assert_eq!(list(program.state(), &["audit", "--user=canary-user"]).len(), 0);
    let _ = std::fs::remove_file(&web);
}
