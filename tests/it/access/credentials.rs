//! Passwords, API keys and tokens.

use rustix::process::Signal;
use serde_json::json;

use super::material::{
    AUDIENCE, Guarded, ISSUER, basic, bearer, claims, eddsa, field, hs256, key, key_line, keys, status, vector,
    vectors, write_private,
};
use crate::support::authority::folder;
use crate::support::program::command;

/// Each comes from another address, as wrong ones are limited for each.
#[test]
fn a_key_a_token_and_a_password_are_accepted_and_nothing_else() {
    let guarded = Guarded::start(&[]);
    let read = claims("dashboard:read");
    let cases = [
        (String::new(), 401),
        (bearer(&key("reader")), 200),
        (bearer(&key("admin")), 200),
        (format!("authorization: bearer   {}\r\n", key("reader")), 200),
        (bearer(&key("foreign")), 403),
        (bearer(&key("expired")), 401),
        (bearer(&key("nobody")), 401),
        (bearer(""), 401),
        (bearer(&hs256(&read)), 200),
        (bearer(&eddsa(&read)), 200),
        (bearer(&eddsa(&claims("other dashboard:admin"))), 200),
        (bearer(&eddsa(&claims("inference:read"))), 403),
        (bearer(&eddsa(&claims(""))), 403),
        (bearer(&(eddsa(&read) + "x")), 401),
        (basic("person", "canary-password"), 200),
        (basic("person", "other"), 401),
        (basic("reader", &key("reader")), 401),
        (bearer(&key("reader")) + &basic("person", "canary-password"), 401),
        ("Authorization: Digest x\r\n".to_owned(), 401),
    ];
    for ((credentials, expected), host) in cases.into_iter().zip(2..) {
        for path in ["/", "/metrics", "/health", "/openapi.json", "/dashboard/stats"] {
            let answer = guarded.ask_from(host, "GET", path, &credentials);
            // Whether there is anything is not said to everybody.
            let found = if status(&answer) == 404 { 200 } else { status(&answer) };
            assert_eq!(found, expected, "{path} {credentials}: {answer}");
        }
        assert_eq!(guarded.status("/livez", &credentials), 200);
    }
}

/// The answers to wrong credentials come from different addresses, as one may try ten times.
#[test]
fn a_refusal_says_which_credentials_are_accepted_and_what_is_wrong() {
    let guarded = Guarded::start(&[]);
    let missing = guarded.ask_from(2, "GET", "/", "");
    assert!(
        missing.contains("\r\nwww-authenticate: Basic realm=") && missing.contains("\r\nwww-authenticate: Bearer ")
    );
    assert!(guarded.ask_from(3, "GET", "/", &bearer(&key("expired"))).contains("have expired"));
    assert!(guarded.ask_from(4, "GET", "/", &bearer("x")).contains("are not accepted"));
    let expired = eddsa(&json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "me", "exp": 1, "scope": "dashboard:read"}));
    assert!(guarded.ask_from(5, "GET", "/", &bearer(&expired)).contains("have expired"));
}

#[test]
fn keys_alone_leave_metrics_open_and_ask_for_themselves_elsewhere() {
    let guarded = Guarded::with_keys(&[]);
    for path in ["/metrics", "/health", "/livez", "/-/ready"] {
        assert_eq!(guarded.status(path, ""), 200, "{path}");
    }
    let missing = guarded.ask("GET", "/", "");
    assert_eq!((status(&missing), field(&missing, "www-authenticate")), (401, Some("Bearer realm=\"inferometer\"")));
    assert_eq!(guarded.status("/", &bearer(&key("reader"))), 200);
    assert_eq!(guarded.status("/", &basic("person", "canary-password")), 401);
}

#[test]
fn ten_wrong_credentials_a_minute_are_checked_for_each_address() {
    let guarded = Guarded::with_keys(&[]);
    let wrong = || guarded.ask_from(2, "GET", "/", &bearer("wrong"));
    let statuses: Vec<_> = (0..12).map(|_| status(&wrong())).collect();
    assert_eq!(statuses[..10], [401; 10]);
    let refused = wrong();
    assert_eq!(status(&refused), 429, "{refused}");
    let wait: u64 = field(&refused, "retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    println!("10 wrong keys, then 429 for {wait} s");
    assert!((1..=7).contains(&wait));
    assert_eq!(status(&guarded.ask_from(3, "GET", "/", &bearer("wrong"))), 401, "another address has its own");
    assert_eq!(status(&guarded.ask_from(2, "GET", "/", &bearer(&key("reader")))), 200, "the right one is let in");
}

#[test]
fn a_reload_takes_other_keys_and_keeps_the_old_ones_where_the_file_is_wrong() {
    let guarded = Guarded::with_keys(&[]);
    let keys_file = guarded.folder.join("keys");
    let reloaded = |text: &str, message: &str| {
        write_private(&keys_file, text);
        guarded.program.signal(Signal::HUP);
        guarded.program.logged(|line| line.to_string().contains(message))
    };
    reloaded(&key_line("new", "other", "dashboard:read:never"), "the configuration was reloaded");
    assert_eq!(guarded.status("/", &bearer(&key("reader"))), 401);
    assert_eq!(guarded.status("/", &bearer("other")), 200);
    for (text, reason) in [
        ("canary-name:canary-key-in-clear:dashboard:read:never", "line 1: the second field is not a SHA-256 digest"),
        ("# fine\ncanary", "line 2: expected name:sha256:scopes:expiry"),
    ] {
        let line = reloaded(text, "was not reloaded").to_string();
        assert!(line.contains(reason) && line.contains("access.keys_file") && !line.contains("canary"), "{line}");
        assert_eq!(guarded.status("/", &bearer("other")), 200, "nothing has changed");
    }
    reloaded(&keys(), "the configuration was reloaded");
    assert_eq!(guarded.status("/", &bearer(&key("reader"))), 200);
}

#[test]
fn a_file_that_others_may_read_is_refused_at_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    for (file, text, setting) in [
        ("keys", keys(), "keys_file = \"{}\""),
        ("jwks", super::material::key_set().to_string(), "jwks_file = \"{}\"\nissuer = \"i\"\naudience = \"a\""),
    ] {
        let (path, toml) = (folder.join(file), folder.join(format!("{file}.toml")));
        write_private(&path, &text);
        let settings = setting.replace("{}", &path.display().to_string());
        std::fs::write(&toml, format!("[access]\n{settings}\n")).expect("a file");
        let check = || command().arg("--check-config").arg("--config").arg(&toml).output().expect("it runs");
        assert!(check().status.success(), "{:?}", check());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
        let refused = check();
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("access.{file}_file")) && error.contains("chmod 600"), "{error}");
    }
}

/// The vectors are signed by another implementation, and there are RSA and ECDSA among them.
#[test]
fn a_token_of_each_algorithm_is_accepted_over_a_socket() {
    let folder = folder();
    write_private(&folder.join("jwks.json"), &vectors()["sets"]["all"].to_string());
    let guarded = Guarded::within(folder, "", false, &[]);
    for algorithm in ["HS256", "RS256", "ES256", "EdDSA"] {
        let named = |name: &str| vector(&format!("{algorithm}: {name}"));
        assert_eq!(guarded.status("/", &bearer(&named("valid with the set `all`"))), 200, "{algorithm}");
        assert_eq!(guarded.status("/", &bearer(&named("modified payload"))), 401, "{algorithm}");
    }
}

#[test]
fn refused_requests_are_counted_and_sign_ins_say_from_where() {
    use crate::support::look_until;
    let guarded = Guarded::start(&[]);
    let agent = "User-Agent: curl/8\r\n";
    assert_eq!(guarded.status("/dashboard/stats", &(bearer("wrong") + agent)), 401);
    assert_eq!(guarded.status("/dashboard/stats", &bearer(&key("expired"))), 401);
    assert_eq!(guarded.status("/dashboard/stats", &basic("person", "wrong")), 401);
    let foreign = guarded.ask("GET", "/dashboard/stats", &bearer(&key("foreign")));
    assert!(foreign.contains("there are no tenants yet"), "{foreign}");
    let metrics = guarded.ask("GET", "/metrics", &(bearer(&key("reader")) + agent));
    for (reason, count) in
        [("wrong_token", 1), ("expired", 1), ("wrong_password", 1), ("too_many_attempts", 0), ("rate_limited", 0)]
    {
        let line = format!("ollama_proxy_access_refused_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    assert_eq!(guarded.status("/dashboard/stats", &(bearer(&key("reader")) + agent)), 200);
    look_until(|| {
        let answer = guarded.ask("GET", "/dashboard/audit?action=sign_in", &bearer(&key("reader")));
        let json: serde_json::Value = super::session::json(&answer);
        let entries = json["entries"].as_array().cloned().unwrap_or_default();
        let is_here = entries.iter().all(|it| it["source_ip"] == "127.0.0.1" && it["details"]["address"].is_null());
        let named = entries.iter().any(|it| it["result"] == "success" && it["user_agent"] == "curl");
        if entries.len() >= 4 && is_here && named { Ok(()) } else { Err(answer) }
    });
}
