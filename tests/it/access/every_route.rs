//! Every route of the API's own document, with every kind of credentials that must not open it.

use ring::signature::KeyPair as _;
use serde_json::{Value, json};

use super::material::{
    AUDIENCE, FAR, Guarded, ISSUER, basic, bearer, claims, ed25519, eddsa, hs256, key, mac, status, token,
};
use super::session::{cookie, json as body};
use crate::support::client::Client;

/// Each method and path that the document names, with what stands for a parameter.
fn routes(guarded: &Guarded) -> Vec<(String, String)> {
    let document: Value = body(&guarded.ask("GET", "/openapi.json", &bearer(&key("admin"))));
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, methods): (&String, &Value)| {
        let filled = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>();
        let methods: Vec<String> = methods.as_object().expect("methods").keys().map(|it| it.to_uppercase()).collect();
        methods.into_iter().map(move |method| (method, filled.join("/"))).collect::<Vec<_>>()
    };
    let live = ["/dashboard/ws", "/ws", "/openapi.json"].map(|path| ("GET".to_owned(), path.to_owned()));
    paths.iter().flat_map(of).chain(live).collect()
}

/// Tokens that must not be accepted, by what is wrong with them.
fn wrong_tokens() -> Vec<(&'static str, String)> {
    let admin = claims("dashboard:read dashboard:admin");
    let with = |name: &str, value: Value| {
        let mut changed = admin.clone();
        changed[name] = value;
        hs256(&changed)
    };
    let none = |alg: &str| token(&json!({"alg": alg}), &admin, |_| Vec::new());
    let public = ed25519();
    let confused =
        token(&json!({"alg": "HS256", "kid": "ed"}), &admin, |message| mac(public.public_key().as_ref(), message));
    let crossed =
        token(&json!({"alg": "EdDSA", "kid": "hmac"}), &admin, |message| ed25519().sign(message).as_ref().to_vec());
    let mut wrong = vec![
        ("alg none", none("none")),
        ("alg None", none("None")),
        (
            "alg none with a signature",
            hs256(&admin).replacen(
                hs256(&admin).split('.').next().unwrap_or_default(),
                none("none").split('.').next().unwrap_or_default(),
                1,
            ),
        ),
        ("a public key as a secret", confused),
        ("another key's id", crossed),
        ("another secret", token(&json!({"alg": "HS256"}), &admin, |message| mac(&[1; 32], message))),
        ("expired", with("exp", 1.into())),
        ("not yet valid", with("nbf", (FAR - 1).into())),
        ("no expiry", with("exp", Value::Null)),
        ("another issuer", with("iss", "https://evil.example".into())),
        ("another audience", with("aud", "other".into())),
    ];
    wrong.extend(super::confusion::tokens(&admin));
    wrong
}

#[test]
fn no_route_opens_to_credentials_that_are_not_right_for_it() {
    let guarded = Guarded::start(&[]);
    let routes = routes(&guarded);
    let old = cookie(&guarded.post("/dashboard/session", &bearer(&key("reader")), ""));
    guarded.post("/dashboard/session/end", &old, "");
    let mut wrong: Vec<(&str, String, u16)> = vec![
        ("nothing", String::new(), 401),
        ("an unknown key", bearer("wrong"), 401),
        ("an expired key", bearer(&key("expired")), 401),
        ("a foreign scope of a key", bearer(&key("foreign")), 403),
        ("a foreign scope of a token", bearer(&eddsa(&claims("inference:read"))), 403),
        ("no scope", bearer(&eddsa(&claims(""))), 403),
        ("a session that was ended", old, 401),
        ("an unknown session", "Cookie: inferometer-session=AAAA\r\n".to_owned(), 401),
        ("a wrong password", basic("person", "wrong"), 401),
        ("an unknown user", basic("nobody", "canary-password"), 401),
        ("two fields", bearer(&key("admin")) + &bearer(&key("admin")), 401),
    ];
    wrong.extend(wrong_tokens().into_iter().map(|(what, token)| (what, bearer(&token), 401)));
    let mut asked = 0;
    // Each address may try ten wrong ones.
    let mut hosts = (2..=254_u8).flat_map(|host| std::iter::repeat_n(host, 9));
    for (method, path) in &routes {
        for (what, fields, expected) in &wrong {
            // Whoever signs in has no credentials yet; whoever signs out needs none; who one is needs no scope.
            let is_session = path.starts_with("/dashboard/session");
            let has_field = fields.starts_with("Authorization");
            let allowed = match (is_session, &**method, *expected) {
                (true, "POST", 401) if !has_field => &[401, 200][..],
                (true, _, 403) => &[200],
                _ => std::slice::from_ref(expected),
            };
            let json = "Content-Type: application/json\r\n";
            let mut client = Client::connect_from(hosts.next().expect("more addresses"), guarded.admin());
            client.send(super::material::request(method, path, &format!("{json}{fields}")));
            let answer = String::from_utf8_lossy(&client.rest().0).into_owned();
            assert!(allowed.contains(&status(&answer)), "{what}: {method} {path}: {answer}");
            assert!(!answer.contains("canary-key") && !answer.contains("canary-password"), "{answer}");
            let refused = status(&answer) != 200;
            assert!(!refused || body(&answer)["error"]["code"].is_string(), "the document's shape: {answer}");
            asked += 1;
        }
    }
    println!("{} routes, {} kinds of wrong credentials, {asked} requests", routes.len(), wrong.len());
    assert!(routes.len() >= 8, "{routes:?}");
}

#[test]
fn every_route_that_changes_something_needs_the_admin_scope_and_json() {
    let guarded = Guarded::start(&[]);
    let for_readers = ["/dashboard/session", "/dashboard/session/end", "/dashboard/ws-ticket"];
    let routes = routes(&guarded);
    let changing = routes.iter().filter(|(method, _)| method != "GET" && method != "HEAD");
    for (method, path) in changing.clone() {
        let ask = |credentials: &str, kind: &str| {
            let fields = format!("{credentials}Content-Type: {kind}\r\nContent-Length: 0\r\n");
            status(&guarded.ask(method, path, &fields))
        };
        assert_eq!(method, "POST", "{path}");
        let reader = ask(&bearer(&key("reader")), "application/json");
        assert_eq!(reader == 403, !for_readers.contains(&&**path), "{path}: {reader}");
        assert_eq!(ask(&bearer(&key("admin")), "text/plain"), 400, "{path}");
    }
    assert!(changing.count() >= 3);
}

#[test]
fn a_token_of_this_test_is_accepted_where_nothing_is_wrong_with_it() {
    let guarded = Guarded::start(&[]);
    let now = json!({"iss": ISSUER, "aud": [AUDIENCE, "other"], "sub": "me", "exp": FAR, "scope": "dashboard:read"});
    assert_eq!(guarded.status("/dashboard/stats", &bearer(&hs256(&now))), 200);
}
