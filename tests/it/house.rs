//! Which room may import which, and words that the code must not contain. Checked on the sources.

mod circles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("access", &["exchange", "history", "tls"]),
    ("admin", &["access", "api", "backend", "clock", "exchange", "history", "tls"]),
    ("alert", &["history"]),
    ("api", &["access", "alert", "backend", "clock", "exchange", "fleet", "history", "host", "logs"]),
    (
        "app",
        &[
            "access", "admin", "alert", "api", "backend", "cli", "clock", "config", "console", "doctor", "exchange",
            "fleet", "history", "host", "logs", "metrics", "priority", "proxy", "remote", "tls",
        ],
    ),
    ("backend", &["tls", "wire"]),
    ("cli", &[]),
    ("clock", &[]),
    ("config", &["access", "backend", "cli", "fleet", "history", "host", "logs", "proxy", "tls"]),
    ("console", &["backend", "tls"]),
    ("doctor", &["backend", "cli", "config", "host", "tls"]),
    ("exchange", &["wire"]),
    ("fleet", &["backend", "exchange", "wire"]),
    ("history", &["clock", "exchange", "priority"]),
    ("host", &["clock", "priority"]),
    ("logs", &["exchange", "wire"]),
    ("metrics", &["backend", "clock", "exchange", "fleet", "history", "host"]),
    ("priority", &[]),
    ("proxy", &["backend", "exchange", "fleet", "tls", "wire"]),
    ("remote", &["backend", "tls"]),
    ("tls", &[]),
    ("wire", &[]),
];

/// Rooms that are pure: none of these crates may appear in them.
const PURE: &[&str] = &["alert", "wire", "exchange"];
/// Parts of rooms that are.
const PURE_FILES: &[&str] = &["fleet/policy", "fleet/load", "fleet/health"];
const IMPURE: &[&str] = &["tokio", "hyper", "prometheus::", "tracing", "Instant::now", "SystemTime::now"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The room that a file belongs to, and its code without its tests and comments.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = sources(&root);
    all.into_iter()
        .filter(|path| !path.iter().any(|part| part == "tests" || part == "tests.rs"))
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("inside").with_extension("");
            let room = inside.iter().next().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("text");
            (room, path, code(&text))
        })
        .collect()
}

/// A source without its comments and tests. Test modules that have a file of their own are only declared, in the midst of
/// it.
fn code(text: &str) -> String {
    let mut parts = text.split("#[cfg(test)]\n");
    let mut code = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('\n') {
            Some((declaration, rest)) if declaration.starts_with("mod ") && declaration.ends_with(';') => code += rest,
            _ => break,
        }
    }
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn code_continues_after_a_declared_tests_module() {
    let text = "//! Doc.\nmod a;\n#[cfg(test)]\nmod stage;\nuse crate::b;\n#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(code(text), "mod a;\nuse crate::b;");
}

/// The rooms that a piece of code names as `crate::room`, also within `use crate::{a, b}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let end = if rest.starts_with('{') { rest.find('}') } else { rest.find([':', ';', ',', ' ', ')']) };
        for name in rest[..end.unwrap_or(0)].trim_start_matches('{').split(',') {
            found.insert(name.trim().split("::").next().unwrap_or_default().to_owned());
        }
    }
    found
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut faults = Vec::new();
    for (room, path, code) in rooms() {
        if matches!(room.as_str(), "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("{}: {room} is no room yet: list what it may import", path.display()));
            continue;
        };
        let known: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
        for other in named(&code).iter().filter(|other| **other != room && known.contains(other.as_str())) {
            if !allowed.contains(&other.as_str()) {
                faults.push(format!("{}: {room} must not import {other}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn pure_rooms_ask_for_no_time_and_do_no_io() {
    for (room, path, code) in rooms() {
        let is_pure =
            PURE.contains(&room.as_str()) || PURE_FILES.iter().any(|part| path.to_string_lossy().contains(part));
        if is_pure {
            for word in IMPURE {
                assert!(!code.contains(word), "{} holds {word}", path.display());
            }
        }
    }
}

#[test]
fn metric_names_exist_only_in_the_metrics_room_and_in_the_rules_of_alerts() {
    for (room, path, code) in rooms() {
        let may = room == "metrics" || path.to_string_lossy().contains("alert/rules/");
        assert!(may || !code.contains("ollama_proxy_"), "{} names a metric", path.display());
    }
}
