//! Every endpoint against the sample of its document, before a simulated Ollama with a stand-in GPU and live traffic: every
//! key is there, and only what `docs/api.md` lists may be unknown, for the reason that it gives.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::Value;

use super::listed::{Listed, documented};
use super::{get, shape};
use crate::support::client::ask;
use crate::support::look_until;
use crate::support::nvml::StandIn;
use crate::support::program::{Program, command};
use crate::support::servers::free;
use crate::support::simulator::Simulator;

/// Of the first document, and of the one for fleets, whose ids are those of what is there.
const SAMPLES: [&str; 2] = [include_str!("samples/dashboard.json"), include_str!("samples/reports.json")];

/// A machine with everything that the stand-ins have.
pub(super) struct Demo {
    pub(super) program: Program,
    pub(super) server: Simulator,
    _gpu: StandIn,
}

impl Demo {
    pub(super) fn start(name: &str) -> Self {
        Self::with(name, "")
    }

    /// With these settings before all tables.
    pub(super) fn with(name: &str, settings: &str) -> Self {
        let (server, gpu) = (Simulator::start(), StandIn::new(name));
        let mut command = command();
        command.env("LD_LIBRARY_PATH", gpu.folder());
        let helper = format!("helper_url = \"http://{}/simulated/helper\"\n{settings}", server.address);
        let program = Program::start(command, server.address, &["--config", &super::unlimited_with(&helper)]);
        program.wait_for_history();
        Self { program, server, _gpu: gpu }
    }
}

/// Sends a body and reads the whole answer.
pub(super) fn post(address: SocketAddr, path: &str, body: &str) -> String {
    let length = body.len();
    let head = "Host: a\r\nUser-Agent: curl/8\r\nConnection: close\r\nContent-Type: application/json";
    ask(address, format!("POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

/// Whatever fills lists: generations, a failure, a pull, a load and an unload.
pub(super) fn traffic(demo: &Demo) {
    let clients = demo.program.clients;
    for _ in 0..3 {
        let answer =
            post(clients, "/api/chat", r#"{"model":"llama3.2:3b","messages":[{"role":"user","content":"hi"}]}"#);
        assert!(answer.contains("\"done\":true"), "{answer}");
    }
    post(clients, "/api/chat", r#"{"model":"nowhere","messages":[]}"#);
    post(clients, "/api/pull", r#"{"model":"llama3.2:3b"}"#);
    post(clients, "/api/generate", r#"{"model":"llama3.2:3b","keep_alive":0}"#);
    post(clients, "/api/generate", r#"{"model":"llama3.2:3b"}"#);
}

#[test]
fn only_what_the_page_lists_is_unknown_and_every_key_of_the_samples_is_there() {
    let demo = Demo::start("samples");
    traffic(&demo);
    let parsed = SAMPLES.map(|text| serde_json::from_str::<BTreeMap<String, Value>>(text).expect("JSON"));
    let samples: BTreeMap<String, Value> = parsed.into_iter().flatten().collect();
    assert_eq!(samples.len(), 14 + 5 + 10);
    let (listed, document) = (Listed::read(), get(&demo.program, "/openapi.json"));
    // Names are found in the sums, which are written every few seconds.
    look_until(|| match get(&demo.program, "/dashboard/workload/agents") {
        agents if agents["agents"][0]["name"] == "curl" => Ok(()),
        agents => Err(agents.to_string()),
    });
    let unknown = look_until(|| {
        let (mut faults, mut unknown) = (BTreeSet::new(), 0);
        for (path, sample) in &samples {
            let answer = get(&demo.program, path);
            faults.extend(shape::faults(sample, &answer).into_iter().map(|fault| format!("{path}: {fault}")));
            faults.extend(listed.missing(documented(&document, path), &answer));
            unknown += answer["unknown"].as_object().expect("an object").len();
        }
        if faults.is_empty() { Ok(unknown) } else { Err(Vec::from_iter(faults).join("\n")) }
    });
    println!("{unknown} values are unknown");
}

#[test]
fn lists_hold_what_a_client_did() {
    let demo = Demo::start("lists");
    traffic(&demo);
    let program = &demo.program;
    // What is written is in the files after the writer's next turn.
    look_until(|| {
        let audit = get(program, "/dashboard/audit");
        let actions: BTreeSet<_> =
            audit["entries"].as_array().expect("a list").iter().filter_map(|it| it["action"].as_str()).collect();
        let all = ["model_load", "model_pull", "model_unload"].iter().all(|action| actions.contains(action));
        if all { Ok(()) } else { Err(audit.to_string()) }
    });
    let stats = get(program, "/dashboard/stats");
    assert_eq!(stats["inference"]["total_requests"], 7, "{stats}");
    assert_eq!(stats["inference"]["total_errors"], 0, "a model that is not there is the client's doing: {stats}");
    let metrics = get(program, "/dashboard/metrics");
    assert_eq!(metrics["metrics"]["errors"]["client_errors"], 1, "{metrics}");
    let sum: u64 =
        metrics["metrics"]["errors"]["types"].as_object().expect("kinds").values().filter_map(Value::as_u64).sum();
    assert_eq!(metrics["metrics"]["errors"]["total"], sum, "the kinds add up: {metrics}");
    let models = get(program, "/dashboard/models");
    let model = models["models"].as_array().expect("a list").iter().find(|model| model["id"] == "llama3.2:3b");
    let model = model.unwrap_or_else(|| panic!("{models}"));
    assert_eq!(model["status"], "loaded", "{model}");
    let gpu = get(program, "/dashboard/resources");
    assert!(gpu["gpu"]["devices"].as_array().is_some_and(|devices| !devices.is_empty()), "{gpu}");
    assert_eq!(source(&gpu, "helper").map(|it| &it["success"]), Some(&true.into()), "{gpu}");
    assert_eq!(source(&gpu, "nvidia").map(|it| &it["success"]), Some(&true.into()), "{gpu}");
    let jobs = get(program, "/dashboard/jobs");
    assert_eq!((&jobs["completed_jobs"][0]["type"], &jobs["total_count"]), (&"pull".into(), &1.into()), "{jobs}");
    let workers = get(program, "/dashboard/workers");
    assert_eq!(workers["workers"][0]["status"], "active");
    assert_eq!(workers["coordinator"]["address"], program.clients.to_string());
}

/// What the machine is read from, by its name.
fn source<'a>(resources: &'a Value, name: &str) -> Option<&'a Value> {
    resources["sources"].as_array()?.iter().find(|it| it["name"] == name)
}

#[test]
fn a_source_that_cannot_be_read_says_so_and_one_that_is_not_configured_is_not_listed() {
    let server = Simulator::start();
    let start =
        |settings: &str| Program::start(command(), server.address, &["--config", &super::unlimited_with(settings)]);
    let without = start("");
    let resources = look_until(|| {
        let resources = get(&without, "/dashboard/resources");
        let is_read =
            source(&resources, "cpu").is_some_and(|it| it["success"] == true && it["last_success"].is_string());
        if is_read { Ok(resources) } else { Err(resources.to_string()) }
    });
    assert_eq!(source(&resources, "helper"), None, "{resources}");
    let with = start(&format!("helper_url = \"http://{}/\"\n", free()));
    look_until(|| {
        let resources = get(&with, "/dashboard/resources");
        let is_failing =
            source(&resources, "helper").is_some_and(|it| it["success"] == false && it["last_success"].is_null());
        if is_failing { Ok(()) } else { Err(resources.to_string()) }
    });
}
