//! The clients of `docs/api.md`, each run as it is written there.

use std::process::Command;

use crate::access::material::{Guarded, key};
use crate::support::python;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md");

#[test]
fn the_python_client_of_the_page_reads_figures_and_is_pushed_the_default_topics() {
    let guarded = Guarded::start(&[]);
    let url = format!("http://{}", guarded.admin());
    let found = python::run("clients/dashboard_client.py", &[PAGE, &url, &key("reader")]);
    assert_eq!(found["topics"], serde_json::json!(["alerts", "metrics", "stats"]));
    let said = found["said"].as_str().expect("text");
    assert!(said.contains("CPU usage: ") && said.contains(" models"), "{said}");
}

/// Node is not on every machine: the fetch is run where it is.
#[test]
fn the_fetch_of_the_page_s_component_reads_the_stats() {
    let page = std::fs::read_to_string(PAGE).expect("the page");
    let (_, component) = page.split_once("```tsx\n").expect("a component");
    let begin = component.find("const fetchStats").expect("its fetch");
    let end = begin + component[begin..].find("};\n").expect("its end") + 2;
    let guarded = Guarded::start(&[]);
    let (url, key) = (format!("http://{}", guarded.admin()), key("reader"));
    let program = format!(
        "const real = globalThis.fetch, apiKey = {key:?};\n\
         globalThis.fetch = (path, options) => real({url:?} + path, options);\n\
         const setStats = (stats) => console.log(JSON.stringify(stats));\n{}\nfetchStats();",
        &component[begin..end]
    );
    let output = match Command::new("node").args(["--input-type=module", "--eval", &program]).output() {
        Ok(output) => output,
        Err(error) => return println!("without Node, the fetch is not run: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stats: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    // A rate is unknown at first.
    assert!(stats["system"].is_object() && stats["inference"]["total_requests"].is_u64(), "{said}");
}
