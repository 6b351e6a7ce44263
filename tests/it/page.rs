//! The dashboard's page, as a browser gets it; its looks and figures are tested in a browser (`make page-test`).

use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::program::Program;

fn program() -> (Program, Backend) {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    (Program::before(backend.address), backend)
}

fn get(program: &Program, path: &str, fields: &str) -> String {
    ask(program.admin, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"))
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().filter_map(|line| line.split_once(": ")).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Files that the page names.
fn assets(page: &str) -> Vec<&str> {
    page.split(['"', '\'']).filter(|part| part.starts_with("/assets/")).collect()
}

/// `make web` has been run or not, and both are whole.
#[test]
fn the_page_is_shown_or_the_plain_one_says_how_to_get_it() {
    let (program, _backend) = program();
    let (page, plain) = (get(&program, "/", ""), get(&program, "/plain", ""));
    assert!(plain.starts_with("HTTP/1.1 200 ") && plain.contains("Nothing in flight.") && !plain.contains("<script"));
    let is_built = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/index.html")).exists();
    if !is_built {
        println!("web/dist has no page: `make web` makes one; the rest of this test has nothing to look at");
        assert!(page.contains("make web") && page.contains("Nothing in flight."), "{page}");
        return;
    }
    assert!(plain.contains("<a href=\"/\">"), "{plain}");
    let policy = field(&page, "content-security-policy").expect("a policy");
    for rule in
        ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(rule), "{rule}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let files = assets(&page);
    assert!(files.len() >= 2, "{page}");
    for path in files {
        let file = get(&program, path, "");
        assert!(file.starts_with("HTTP/1.1 200 "), "{path}: {file:.200}");
        assert_eq!(field(&file, "cache-control"), Some("public, max-age=31536000, immutable"), "{path}");
        let tag = field(&file, "etag").expect("a tag").to_owned();
        let again = get(&program, path, &format!("If-None-Match: {tag}\r\n"));
        assert!(again.starts_with("HTTP/1.1 304 ") && again.ends_with("\r\n\r\n"), "{path}: {again:.200}");
    }
    assert_eq!(field(&page, "cache-control"), Some("no-cache"));
    assert!(get(&program, "/assets/none.js", "").starts_with("HTTP/1.1 404 "));
}
