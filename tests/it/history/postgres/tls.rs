//! A server that is reached over TLS.

use crate::history::journal::wait_for;
use crate::history::rows::{CHAT, ollama};
use crate::support::authority::Authority;
use crate::support::client::ask;
use crate::support::postgres::Postgres;
use crate::support::program::Program;

/// Connections of the program that are encrypted.
const ENCRYPTED: &str = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE ssl AND application_name = 'inferometer'";

#[test]
fn a_server_is_reached_over_tls_and_only_with_its_own_certificate() {
    let (right, wrong) = (Authority::new(), Authority::new());
    let server = Postgres::start_with_tls(&right.identity(&["127.0.0.1"]));
    let backend = ollama();
    // Its certificate is for the first of its two addresses alone.
    let at = |host: &str, rest: &str| server.url().replace("127.0.0.1", host) + rest;
    let verified = |authority: &Authority| format!("?sslmode=verify-full&sslrootcert={}", authority.file().display());
    let mut rows = 0;
    for (rest, host) in [(verified(&right), "127.0.0.1"), ("?sslmode=require".to_owned(), "127.0.0.2")] {
        let program = Program::with(backend.address, &["--history", &at(host, &rest)]);
        ask(program.clients, CHAT);
        rows += 1;
        server.wait_for_rows(rows);
        assert!(server.number(ENCRYPTED) > 0, "{rest}");
    }
    let refused = [
        (at("127.0.0.1", &verified(&wrong)), "UnknownIssuer"),
        (at("127.0.0.2", &verified(&right)), "not valid for name"),
        (at("127.0.0.1", "?sslmode=disable"), "no encryption"),
    ];
    for (url, why) in refused {
        let program = Program::with(backend.address, &["--history", &url]);
        ask(program.clients, CHAT);
        // As the history has it, since it may have been logged before the program was ready.
        wait_for(program.state(), &["logs", "--level=warn"], |line| line.to_string().contains(why));
        assert_eq!(server.number("SELECT count(*) FROM inferometer.exchanges"), rows, "{url}");
    }
}
