//! Secrets stay secrets: in logs, in the printed configuration, in errors and in the audit.

use serde_json::{Value, json};

use super::material::{Guarded, basic, bearer, claims, eddsa, hs256, key, status};
use super::session::{cookie, json as body};
use crate::support::program::command;

/// What must be nowhere: each secret, and how it is sent.
fn secrets(session: &str, ticket: &str, tokens: &[String]) -> Vec<String> {
    let signature = |token: &String| token.rsplit('.').next().expect("a signature").to_owned();
    let basic = basic("person", "canary-password");
    let sent = basic.trim_end().rsplit(' ').next().expect("a pair").to_owned();
    let fixed = ["canary-key-of-", "canary-secret", "canary-password", "canary-wrong"].map(str::to_owned);
    fixed.into_iter().chain([sent, session.to_owned(), ticket.to_owned()]).chain(tokens.iter().map(signature)).collect()
}

#[test]
fn no_secret_is_in_a_log_an_error_the_printed_configuration_or_the_audit() {
    let mut guarded = Guarded::start(&["--log-level", "trace"]);
    let tokens = [eddsa(&claims("dashboard:admin")), hs256(&claims("dashboard:read")), hs256(&json!({"exp": 1}))];
    let session = cookie(&guarded.post("/dashboard/session", "", &json!({"token": tokens[0]}).to_string()));
    let secret = session.trim_end().rsplit('=').next().expect("a value").to_owned();
    let ticket = body(&guarded.post("/dashboard/ws-ticket", &bearer(&key("reader")), ""));
    let ticket = ticket["ticket"].as_str().expect("text").to_owned();
    let secrets = secrets(&secret, &ticket, &tokens);
    let mut said = Vec::new();
    // In an order in which each kind of refusal is among the thirty of a minute that the audit has room for.
    let sent = [
        basic("person", "canary-password"),
        bearer(&key("foreign")),
        bearer(&tokens[0]),
        session.clone(),
        bearer(&key("expired")),
        bearer("canary-wrong"),
        bearer(&tokens[2]),
        basic("canary-wrong", "canary-wrong"),
        basic("person", "canary-wrong"),
    ];
    for (fields, host) in sent.into_iter().zip(2..) {
        for path in
            ["/", "/metrics", "/dashboard/stats", "/dashboard/session", "/dashboard/session?ticket=canary-wrong"]
        {
            // The last one goes on until it is not checked any more.
            let times = if fields == basic("person", "canary-wrong") { 3 } else { 1 };
            said.extend((0..times).map(|_| guarded.ask_from(host, "GET", path, &fields)));
        }
    }
    said.push(guarded.ask("GET", &format!("/dashboard/ws?ticket={ticket}"), ""));
    said.push(guarded.post(
        "/dashboard/session",
        "",
        &json!({"user": "person", "password": "canary-wrong"}).to_string(),
    ));
    said.push(guarded.post("/dashboard/session", "", "{\"canary-wrong\": 1"));
    assert!(said.iter().any(|answer| status(answer) == 429) && said.iter().any(|answer| status(answer) == 200));
    guarded.program.signal(rustix::process::Signal::HUP);
    guarded.program.logged(|line| {
        said.push(line.to_string());
        line.to_string().contains("the configuration was reloaded")
    });
    said.push(guarded.post("/dashboard/session/end", &session, ""));
    let toml = guarded.folder.join("inferometer.toml");
    let printed = command().arg("--print-config").arg("--config").arg(&toml).output().expect("it runs");
    said.push(String::from_utf8_lossy(&printed.stdout).into_owned());
    said.extend(guarded.program.rest_of_log().iter().map(Value::to_string));
    assert!(said.last().is_some_and(|line| line.contains("drained")), "the log is whole");
    let kept = command()
        .args(["history", "list", "audit", "--format", "json", "--limit", "100", "--data-dir"])
        .arg(guarded.program.state())
        .output()
        .expect("it runs");
    let audit = String::from_utf8_lossy(&kept.stdout).into_owned();
    for entry in ["sign_in", "sign_out", "api_key", "jwt", "wrong_token", "wrong_password", "expired"] {
        assert!(audit.contains(entry), "{entry} in {audit} {}", String::from_utf8_lossy(&kept.stderr));
    }
    said.push(audit);
    for secret in &secrets {
        // The answers that give a cookie and a ticket are not among them.
        let found = said.iter().find(|text| text.contains(secret.as_str()));
        assert!(found.is_none(), "{secret} in {found:?}");
    }
}
