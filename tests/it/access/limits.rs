//! How often each may ask.

use std::time::Instant;

use super::material::{DEFAULT_LIMITS, Guarded, bearer, field, key, keys, status, write_private};
use super::session::{cookie, json};
use crate::support::authority::folder;
use crate::support::client::Client;
use crate::support::program::command;

/// How many of these many requests on one connection are answered, what the last answer is, and the seconds that passed.
fn burst(guarded: &Guarded, host: u8, most: usize, fields: &str) -> (usize, String, f64) {
    let begun = Instant::now();
    let mut client = Client::connect_from(host, guarded.admin());
    let (mut answered, mut last) = (0, String::new());
    for _ in 0..most {
        client.send(format!("GET /dashboard/session HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
        let head = String::from_utf8_lossy(&client.until("\r\n\r\n")).into_owned();
        let length: usize = field(&head, "content-length").and_then(|it| it.parse().ok()).expect("a length");
        let mut body = vec![0; length];
        std::io::Read::read_exact(&mut client.stream, &mut body).expect("a body");
        answered += usize::from(status(&head) == 200);
        last = head + &String::from_utf8_lossy(&body);
    }
    (answered, last, begun.elapsed().as_secs_f64())
}

/// Whether as many were answered as the bucket held, and as it got back meanwhile.
fn holds(answered: usize, bucket: usize, per_second: f64, seconds: f64) -> bool {
    (bucket..=bucket + (per_second * seconds).ceil() as usize).contains(&answered)
}

#[test]
fn the_default_limits_hold_for_each_address_key_and_session() {
    let printed = command().arg("--print-config").output().expect("it runs").stdout;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    for line in ["requests_per_minute = 100", "requests_per_10s = 20", "session_requests_per_minute = 600"] {
        assert!(printed.lines().any(|it| it == line), "{line} in {printed}");
    }
    let guarded = Guarded::within(folder(), DEFAULT_LIMITS, false, &[]);
    let (answered, last, seconds) = burst(&guarded, 2, 60, "");
    println!("{answered} of 60 requests of one address were answered in {seconds:.2} s");
    assert!(holds(answered, 20, 2.0, seconds), "{answered} in {seconds} s");
    let wait: u64 = field(&last, "retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!(status(&last) == 429 && wait == 1, "{last}");
    let error = &json(&last)["error"];
    assert_eq!((&error["code"], error["details"].is_object()), (&"RATE_LIMITED".into(), true), "{last}");
    for path in ["/metrics", "/health", "/livez", "/readyz", "/"] {
        assert_eq!(status(&guarded.ask_from(2, "GET", path, "")), 200, "{path} does not count");
    }
    let (other, _, seconds) = burst(&guarded, 3, 30, "");
    assert!(holds(other, 20, 2.0, seconds), "another address has its own: {other}");
    let begun = guarded.post("/dashboard/session", "", "");
    let (in_session, _, seconds) = burst(&guarded, 4, 700, &cookie(&begun));
    println!("{in_session} of 700 requests of a session were answered in {seconds:.2} s");
    assert!(holds(in_session, 600, 10.0, seconds), "{in_session} in {seconds} s");
}

#[test]
fn the_default_limits_hold_for_each_key_from_wherever_it_comes() {
    let folder = folder();
    write_private(&folder.join("keys"), &keys());
    let guarded = Guarded::within(folder, DEFAULT_LIMITS, false, &[]);
    let (first, _, seconds) = burst(&guarded, 2, 30, &bearer(&key("reader")));
    let (then, _, more) = burst(&guarded, 3, 30, &bearer(&key("reader")));
    assert!(holds(first + then, 20, 2.0, seconds + more), "{first} and {then} in {seconds} and {more} s");
    let (other, _, seconds) = burst(&guarded, 2, 30, &bearer(&key("admin")));
    assert!(holds(other, 20, 2.0, seconds), "another key has its own: {other}");
}

#[test]
fn limits_are_settings_that_a_reload_changes() {
    let folder = folder();
    let guarded = Guarded::within(folder, &format!("{DEFAULT_LIMITS}\nrequests_per_10s = 5"), false, &[]);
    let (few, _, seconds) = burst(&guarded, 2, 20, "");
    assert!(holds(few, 5, 0.5, seconds), "{few} in {seconds} s");
    let toml = guarded.folder.join("inferometer.toml");
    let text =
        std::fs::read_to_string(&toml).expect("the file").replace("requests_per_10s = 5", "requests_per_10s = 50");
    std::fs::write(&toml, text).expect("a file");
    guarded.program.signal(rustix::process::Signal::HUP);
    guarded.program.logged(|line| line["keys"] == "access.requests_per_10s");
    let (more, _, seconds) = burst(&guarded, 2, 80, "");
    assert!(holds(more, 50, 5.0, seconds), "{more} in {seconds} s");
}

#[test]
fn only_a_trusted_proxy_says_who_asks() {
    let from = |client: usize| format!("X-Forwarded-For: 192.0.2.{client}\r\n");
    let few = format!("{DEFAULT_LIMITS}\nrequests_per_10s = 3");
    let answered = |guarded: &Guarded| {
        let statuses = (0..12).map(|at| status(&guarded.ask_from(2, "GET", "/dashboard/session", &from(1 + at % 4))));
        statuses.filter(|status| *status == 200).count()
    };
    let trusting = Guarded::within(folder(), &format!("{few}\ntrusted_proxies = [\"127.0.0.0/8\"]"), false, &[]);
    assert_eq!(answered(&trusting), 12, "four clients, three requests each");
    let strict = Guarded::within(folder(), &format!("{few}\ntrusted_proxies = [\"10.0.0.1\"]"), false, &[]);
    let once = answered(&strict);
    assert!((3..=6).contains(&once), "one address, whatever it says: {once}");
}
