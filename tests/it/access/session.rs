//! The session of a browser, and what a page of another site cannot do.

use serde_json::{Value, json};

use super::material::{Guarded, basic, bearer, claims, eddsa, field, key, status, write_private};
use crate::support::authority::Authority;
use crate::support::client::Client;
use crate::support::secure;

/// A POST with a body that says to be JSON.
pub(super) fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{fields}\r\n{body}"
    )
}

impl Guarded {
    pub(super) fn post(&self, path: &str, fields: &str, body: &str) -> String {
        crate::support::client::ask(self.admin(), post(path, fields, body))
    }
}

/// What a browser sends back of a `Set-Cookie`.
pub(super) fn cookie(answer: &str) -> String {
    let set = field(answer, "set-cookie").unwrap_or_else(|| panic!("no cookie in {answer}"));
    format!("Cookie: theme=dark; {}\r\n", set.split(';').next().expect("a pair"))
}

pub(super) fn json(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
}

#[test]
fn a_session_begins_with_any_credentials_and_says_who_it_is_of() {
    let guarded = Guarded::start(&[]);
    let key = key("admin");
    for (fields, body, user, method, permissions) in [
        (basic("person", "canary-password"), json!({}), "person", "password", json!(["dashboard:read"])),
        (
            String::new(),
            json!({"user": "boss", "password": "canary-password"}),
            "boss",
            "password",
            json!(["dashboard:read", "dashboard:admin"]),
        ),
        (bearer(&key), Value::Null, "admin", "api_key", json!(["dashboard:read", "dashboard:admin"])),
        (
            String::new(),
            json!({"token": eddsa(&claims("dashboard:read"))}),
            "canary-subject",
            "jwt",
            json!(["dashboard:read"]),
        ),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let begun = guarded.post("/dashboard/session", &fields, &body);
        assert_eq!(status(&begun), 200, "{begun}");
        let set = field(&begun, "set-cookie").expect("a cookie");
        assert!(set.starts_with("inferometer-session=") && set.ends_with("; HttpOnly; SameSite=Strict"), "{set}");
        assert!(set.contains("; Path=/; Max-Age=43200;") && !set.contains("Secure"), "plain HTTP on loopback: {set}");
        assert_eq!(field(&begun, "cache-control"), Some("no-store"));
        let asked = guarded.ask("GET", "/dashboard/session", &cookie(&begun));
        let said = json(&asked);
        assert_eq!((&said["user"], &said["method"], &said["session"]), (&user.into(), &method.into(), &true.into()));
        assert_eq!(said["permissions"], permissions);
        assert!(said["expires_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{said}");
        assert_eq!(guarded.status("/dashboard/stats", &cookie(&begun)), 200);
        assert_eq!(guarded.status("/", &cookie(&begun)), 200);
    }
}

#[test]
fn wrong_credentials_begin_no_session() {
    let guarded = Guarded::start(&[]);
    for (body, expected) in [
        (json!({"user": "person", "password": "wrong"}), 401),
        (json!({"user": "nobody", "password": "canary-password"}), 401),
        (json!({"token": "wrong"}), 401),
        (json!({"token": key("expired")}), 401),
        (json!({}), 401),
        (json!({"user": "person"}), 400),
        (json!({"user": "person", "password": "canary-password", "token": "x"}), 400),
        (json!({"canary": "canary-password"}), 400),
        (json!(["canary-password"]), 400),
        (json!({"token": "a\r\nb"}), 400),
    ] {
        let refused = guarded.post("/dashboard/session", "", &body.to_string());
        assert!(status(&refused) == expected && field(&refused, "set-cookie").is_none(), "{body}: {refused}");
        assert!(!refused.contains("canary"), "{refused}");
    }
    let large = format!("{{\"token\": \"{}\"}}", "x".repeat(70_000));
    assert_eq!(status(&guarded.post("/dashboard/session", "", &large)), 400);
    assert_eq!(guarded.status("/dashboard/session", ""), 401);
    assert_eq!(guarded.status("/dashboard/session", "Cookie: inferometer-session=wrong\r\n"), 401);
}

/// Anyone may begin to sign in, and not go on.
#[test]
fn bodies_that_do_not_arrive_keep_nobody_out() {
    let guarded = Guarded::start(&[]);
    let promise = "POST /dashboard/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                   Content-Length: 100\r\n\r\n{\"user\"";
    let mut silent = Vec::new();
    for at in 0..300_u16 {
        let mut client = Client::connect_from(2 + (at / 10) as u8, guarded.admin());
        client.send(promise);
        silent.push(client);
    }
    for _ in 0..5 {
        assert_eq!(guarded.status("/livez", ""), 200);
        assert_eq!(guarded.status("/dashboard/session", &bearer(&key("reader"))), 200);
    }
    let last = silent.last_mut().expect("one");
    let refused = String::from_utf8_lossy(&last.until("\r\n\r\n")).into_owned();
    assert!(status(&refused) == 503 && field(&refused, "retry-after").is_some(), "{refused}");
    assert_eq!(status(&guarded.post("/dashboard/session", &bearer(&key("reader")), "")), 200, "without a body");
    let with_body = guarded.post("/dashboard/session", "", &json!({"token": key("reader")}).to_string());
    assert_eq!(status(&with_body), 503, "{with_body}");
    let first = String::from_utf8_lossy(&silent[0].until("\r\n\r\n")).into_owned();
    assert_eq!(status(&first), 400, "it took too long: {first}");
    drop(silent);
    let after = || status(&guarded.post("/dashboard/session", "", &json!({"token": key("reader")}).to_string()));
    crate::support::look_until(|| if after() == 200 { Ok(()) } else { Err("it is still refused".to_owned()) });
}

#[test]
fn a_session_ends_with_a_sign_out_and_with_what_began_it() {
    let guarded = Guarded::start(&[]);
    let begin = |fields: &str| cookie(&guarded.post("/dashboard/session", fields, ""));
    let (password, token) =
        (begin(&basic("person", "canary-password")), begin(&bearer(&eddsa(&claims("dashboard:read")))));
    let [kept, ended] = [begin(&bearer(&key("reader"))), begin(&bearer(&key("reader")))];
    let out = guarded.post("/dashboard/session/end", &ended, "");
    assert_eq!(json(&out)["ended"], true);
    assert!(
        field(&out, "set-cookie")
            .is_some_and(|set| set.starts_with("inferometer-session=; ") && set.contains("Max-Age=0"))
    );
    assert_eq!(
        [&ended, &kept, &password, &token].map(|it| guarded.status("/dashboard/session", it)),
        [401, 200, 200, 200]
    );
    // Another password for the person, no key of that name, another signing key.
    let hash = bcrypt::hash("other", 4).expect("a hash");
    std::fs::write(guarded.folder.join("web.yml"), format!("basic_auth_users: {{person: {hash}}}\n")).expect("a file");
    write_private(&guarded.folder.join("keys"), &super::material::key_line("other", "other", "dashboard:read:never"));
    write_private(
        &guarded.folder.join("jwks.json"),
        &json!({"keys": [super::material::key_set()["keys"][0]]}).to_string(),
    );
    guarded.program.signal(rustix::process::Signal::HUP);
    guarded.program.logged(|line| line.to_string().contains("the configuration was reloaded"));
    assert_eq!([&kept, &password, &token].map(|it| guarded.status("/dashboard/session", it)), [401; 3]);
}

#[test]
fn a_session_survives_a_reload_that_leaves_what_began_it() {
    let guarded = Guarded::start(&[]);
    let session = cookie(&guarded.post("/dashboard/session", &bearer(&key("reader")), ""));
    guarded.program.signal(rustix::process::Signal::HUP);
    guarded.program.logged(|line| line.to_string().contains("the configuration was reloaded"));
    assert_eq!(guarded.status("/dashboard/session", &session), 200);
}

#[test]
fn over_tls_the_cookie_is_bound_to_the_host_and_to_tls() {
    let authority = Authority::new();
    let identity = authority.identity(&["localhost"]);
    let folder = crate::support::authority::folder();
    write_private(&folder.join("keys"), &super::material::keys());
    let web = format!(
        "tls_server_config: {{cert_file: {}, key_file: {}}}\n",
        identity.cert_file.display(),
        identity.key_file.display()
    );
    std::fs::write(folder.join("web.yml"), web).expect("a file");
    let guarded = Guarded::within(folder, "", true, &[]);
    let exchange = |request: &str| {
        secure::ask(guarded.admin(), &authority.client(None, &["http/1.1"]), request).expect("an answer and a farewell")
    };
    let begun = exchange(&post("/dashboard/session", &bearer(&key("reader")), ""));
    let set = field(&begun, "set-cookie").expect("a cookie");
    assert!(
        set.starts_with("__Host-inferometer-session=") && set.ends_with("; HttpOnly; SameSite=Strict; Secure"),
        "{set}"
    );
    let ask = |cookie: &str| {
        let request =
            format!("GET /dashboard/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookie}\r\n");
        status(&exchange(&request))
    };
    assert_eq!(ask(&cookie(&begun)), 200);
    assert_eq!(ask(&cookie(&begun).replace("__Host-", "")), 401, "a name that a plain site could set");
}

#[test]
fn only_our_own_page_and_programs_change_something() {
    let guarded = Guarded::start(&[]);
    let session = cookie(&guarded.post("/dashboard/session", &bearer(&key("admin")), ""));
    let table: &[(&str, u16)] = &[
        ("", 200),
        ("Origin: http://localhost\r\n", 200),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: http://localhost:1\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: none\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", 403),
    ];
    for (fields, expected) in table {
        for credentials in [&session, &bearer(&key("admin")), &basic("boss", "canary-password")] {
            let answer = guarded.post("/dashboard/ws-ticket", &format!("{credentials}{fields}"), "");
            assert_eq!(status(&answer), *expected, "{fields} {answer}");
        }
    }
    for content in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let form = post("/dashboard/ws-ticket", &session, "").replace("application/json", content);
        let refused = crate::support::client::ask(guarded.admin(), form);
        assert!(status(&refused) == 400 && refused.contains("application/json"), "{refused}");
    }
    let preflight = guarded.ask(
        "OPTIONS",
        "/dashboard/ws-ticket",
        "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n",
    );
    assert!(status(&preflight) == 403 && !preflight.contains("access-control"), "{preflight}");
}

#[test]
fn a_method_that_changes_something_needs_the_admin_scope_also_where_nothing_is_there() {
    let guarded = Guarded::start(&[]);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        for path in ["/dashboard/stats", "/dashboard/nothing", "/api/x", "/openapi.json"] {
            let refused = guarded.ask(method, path, &bearer(&key("reader")));
            assert!(status(&refused) == 403 && refused.contains("dashboard:admin"), "{method} {path}: {refused}");
            let admin = guarded.ask(method, path, &bearer(&key("admin")));
            assert!([404, 405].contains(&status(&admin)), "{method} {path}: {admin}");
        }
    }
}

#[test]
fn on_loopback_without_credentials_anyone_may_change_and_have_a_session() {
    let guarded = Guarded::within(crate::support::authority::folder(), "", false, &[]);
    let begun = guarded.post("/dashboard/session", "", "");
    assert_eq!(json(&begun)["permissions"], json!(["dashboard:read", "dashboard:admin", "inference:read"]));
    assert_eq!(json(&begun)["unknown"]["/user"], "not_applicable");
    assert_eq!(guarded.status("/dashboard/session", &cookie(&begun)), 200);
    assert_eq!(status(&guarded.post("/dashboard/ws-ticket", "", "")), 200);
    let proxied = Guarded::within(crate::support::authority::folder(), "trusted_proxies = [\"127.0.0.1\"]", false, &[]);
    let elsewhere = "X-Forwarded-For: 192.0.2.7\r\n";
    let said = json(&proxied.ask("GET", "/dashboard/session", elsewhere));
    assert_eq!(said["permissions"], json!(["dashboard:read"]), "for another machine");
    let mut here = Client::connect(proxied.admin());
    here.send(post("/dashboard/session", "", ""));
    assert_eq!(status(&String::from_utf8_lossy(&here.rest().0)), 200);
}
