//! What a listener shows that other machines reach.

use super::material::{Guarded, bearer, key, status};
use crate::support::authority::{Authority, folder};
use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::program::{Program, command};
use crate::support::secure;

const EVERYWHERE: [&str; 2] = ["--admin-listen", "0.0.0.0:0"];

fn exposed(arguments: &[&str]) -> (Program, Backend) {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut command = command();
    command.args(EVERYWHERE).args(arguments);
    (Program::start(command, backend.address, &[]), backend)
}

fn get(program: &Program, path: &str) -> String {
    get_of(program, "inferometer.example", path)
}

fn get_of(program: &Program, host: &str, path: &str) -> String {
    let here = ([127, 0, 0, 1], program.admin.port()).into();
    ask(here, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

#[test]
fn beyond_loopback_without_credentials_only_metrics_and_health_are_shown() {
    let (program, _backend) = exposed(&[]);
    for path in ["/metrics", "/health", "/livez", "/readyz", "/-/healthy", "/-/ready"] {
        assert_eq!(status(&get(&program, path)), 200, "{path}");
    }
    for path in ["/", "/dashboard", "/dashboard/stats", "/api/status", "/openapi.json", "/ws", "/x"] {
        let refused = get(&program, path);
        assert!(status(&refused) == 403 && refused.contains("--dashboard-open"), "{path}: {refused}");
    }
}

#[test]
fn beyond_loopback_the_flag_shows_the_rest() {
    for flag in [&["--dashboard-open"][..], &["--dashboard-open", "on"]] {
        let (program, _backend) = exposed(flag);
        assert_eq!(status(&get_of(&program, "10.1.2.3:8001", "/")), 200);
        assert_eq!(status(&get_of(&program, "localhost", "/dashboard/stats")), 200);
        assert_eq!(status(&get(&program, "/metrics")), 200, "Prometheus asks by whatever name");
    }
}

#[test]
fn shown_without_credentials_it_answers_to_no_name_that_a_site_may_point_here() {
    let open = [EVERYWHERE[0], EVERYWHERE[1], "--dashboard-open"];
    let guarded = Guarded::within(folder(), "names = [\"inferometer.example\"]", false, &open);
    for (host, expected) in [
        ("inferometer.example", 200),
        ("Inferometer.Example:8001", 200),
        ("192.0.2.7", 200),
        ("[2001:db8::7]:8001", 200),
        ("evil.example", 403),
        ("inferometer.example.evil.example", 403),
    ] {
        for path in ["/", "/dashboard/stats"] {
            let answer = get_of(&guarded.program, host, path);
            assert_eq!(status(&answer), expected, "{host} {path}");
            assert!(expected == 200 || answer.contains("access.names"), "{answer}");
        }
    }
}

#[test]
fn beyond_loopback_credentials_count_and_the_flag_does_not() {
    let guarded = Guarded::with_keys(&[EVERYWHERE[0], EVERYWHERE[1], "--dashboard-open"]);
    assert_eq!(guarded.status("/", ""), 401);
    assert_eq!(guarded.status("/", &bearer(&key("reader"))), 200);
    assert_eq!(guarded.status("/metrics", ""), 200);
    let guarded = Guarded::within(folder(), "", false, &EVERYWHERE);
    assert_eq!(guarded.status("/", &bearer("anything")), 403);
}

/// TLS has then asked every client for one.
#[test]
fn beyond_loopback_a_certificate_counts_where_nothing_else_is_configured() {
    let authority = Authority::new();
    let (server, client) = (authority.identity(&["localhost"]), authority.identity(&["person"]));
    let web = |folder: &std::path::Path, kind: &str| {
        let file = folder.join("web.yml");
        let text = format!(
            "tls_server_config: {{cert_file: {}, key_file: {}, client_auth_type: {kind}, client_ca_file: {}}}\n",
            server.cert_file.display(),
            server.key_file.display(),
            authority.file().display()
        );
        std::fs::write(file, text).expect("a file");
    };
    let ask = |guarded: &Guarded, path: &str| {
        let request = super::material::request("GET", path, "");
        let config = authority.client(Some(&client), &["http/1.1"]);
        status(&secure::ask(guarded.admin(), &config, &request).expect("an answer and a farewell"))
    };
    for (kind, expected) in [("RequireAndVerifyClientCert", 200), ("VerifyClientCertIfGiven", 403)] {
        let folder = folder();
        web(&folder, kind);
        let guarded = Guarded::within(folder, "", true, &EVERYWHERE);
        assert_eq!(
            [ask(&guarded, "/"), ask(&guarded, "/dashboard/session"), ask(&guarded, "/metrics")],
            [expected, expected, 200]
        );
    }
    let folder = folder();
    web(&folder, "RequireAndVerifyClientCert");
    super::material::write_private(&folder.join("keys"), &super::material::keys());
    assert_eq!(ask(&Guarded::within(folder, "", true, &EVERYWHERE), "/"), 401, "a key is asked for as well");
}

#[test]
fn on_loopback_credentials_that_nobody_asked_for_are_ignored() {
    let guarded = Guarded::within(folder(), "", false, &[]);
    assert_eq!(guarded.status("/", &bearer("anything")), 200);
}
