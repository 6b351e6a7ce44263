//! All-null is failure: in `make demo` with a stand-in GPU every path of the document answers with values, and only
//! what `docs/api.md` lists may be unknown.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::listed::Listed;
use super::{send, shape};
use crate::support::authority::folder;
use crate::support::nvml::StandIn;
use crate::support::program::access_limits;
use crate::support::{cargo, look_until, one_demo};

/// Exchanges after which each kind of request that the demo sends has ended twice.
const ENOUGH: u64 = 40;

/// WebSockets, which other tests hold against the GETs of the same.
const SOCKETS: [&str; 2] = ["/dashboard/ws", "/ws"];

/// The list that may be empty in the demo: a simulated server is no process that is known to infer.
const NOT_THERE: &str = "/dashboard/infrastructure/resources/{id}";

/// Where the ids of a path are listed: the path, the list, the key of each.
const IDS: [(&str, [&str; 3]); 7] = [
    ("/dashboard/exchanges/{id}", ["/dashboard/exchanges", "exchanges", "id"]),
    ("/dashboard/traces/{id}", ["/dashboard/traces", "traces", "trace_id"]),
    ("/dashboard/infrastructure/nodes/{id}", ["/dashboard/infrastructure/nodes", "nodes", "_id"]),
    (NOT_THERE, ["/dashboard/infrastructure/resources", "resources", "_id"]),
    ("/dashboard/workload/agents/{id}/performance", ["/dashboard/workload/agents", "agents", "name"]),
    ("/dashboard/workload/deployments/{id}/metrics", ["/dashboard/workload/deployments", "deployments", "_id"]),
    ("/dashboard/workload/executions/{id}", ["/dashboard/workload/executions", "executions", "_id"]),
];

/// The demo, as it is run by hand. Dropping it ends it, with all that it has started.
struct Running {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    admin: SocketAddr,
}

impl Running {
    fn start(gpu: &StandIn) -> Self {
        let demo = cargo::built(&["--bins", "--examples"], "examples/demo");
        let file = folder().join("demo.toml");
        std::fs::write(&file, format!("[host]\nperiod = \"1s\"\n{}", access_limits())).expect("a file");
        let mut command = Command::new(demo);
        command.args(["--simulated", "--seconds", "240", "--config"]).arg(file).env("LD_LIBRARY_PATH", gpu.folder());
        let mut process = command.stdout(Stdio::piped()).spawn().expect("it was built");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let page = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let address = line.trim().strip_prefix("page")?.trim().strip_prefix("http://")?;
            address.trim_end_matches('/').parse().ok()
        });
        Self { process, lines, admin: page.expect("it says where its page is") }
    }

    fn get(&self, target: &str) -> Value {
        let answer = send(self.admin, "GET", target, "");
        assert_eq!(answer.status, 200, "{target}: {}", answer.json);
        answer.json
    }

    /// Waits until so many exchanges have ended. It says a line every second.
    fn wait_for_exchanges(&mut self, enough: u64) {
        loop {
            let line = self.lines.next().expect("it runs").expect("text");
            let total = self.get("/dashboard/exchanges")["pagination"]["total"].as_u64();
            if total.is_some_and(|total| total >= enough) {
                println!("{line}");
                return;
            }
        }
    }

    /// What is asked for a path of the document: it, or that of each id that is listed.
    fn targets(&self, path: &str) -> Vec<String> {
        let Some((_, [list, entries, key])) = IDS.iter().find(|(known, _)| *known == path) else {
            return vec![path.to_owned()];
        };
        let listed = self.get(list);
        let ids: BTreeSet<_> = listed[entries].as_array().into_iter().flatten().map(|it| it[key].as_str()).collect();
        ids.into_iter().map(|id| path.replace("{id}", &encoded(id.expect("text")))).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(process, Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

/// As one part of a path.
fn encoded(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("a text takes everything"),
        }
        text
    })
}

/// The metrics that have no value in any interval, as rows of the table. What is not measured has no reason of its own.
fn without_values(running: &Running, listed: &Listed, metrics: &[&str]) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for metrics in metrics.chunks(20) {
        let answer = running.get(&format!("/dashboard/series?period=5m&metrics={}", metrics.join(",")));
        for series in answer["series"].as_array().expect("a list") {
            let has_none = series["values"].as_array().expect("a list").iter().all(Value::is_null);
            let field = format!("/series/{}", series["metric"].as_str().expect("a name"));
            let may = ["not_reported", "not_configured"];
            if has_none && may.iter().all(|reason| listed.has("/dashboard/series", &field, reason).is_err()) {
                missing.insert(format!("`/dashboard/series`: `{field}`"));
            }
        }
    }
    missing
}

#[test]
fn only_what_the_page_lists_is_unknown_in_the_demo() {
    let _alone = one_demo();
    let (gpu, listed) = (StandIn::new("demo"), Listed::read());
    let mut running = Running::start(&gpu);
    running.wait_for_exchanges(ENOUGH);
    let document = running.get("/openapi.json");
    let paths = document["paths"].as_object().expect("paths");
    let asked = || paths.iter().filter(|(_, methods)| methods["get"].is_object()).map(|(path, _)| path.as_str());
    let parameter = &document["paths"]["/dashboard/series"]["get"]["parameters"][0];
    let metrics: Vec<_> = parameter["schema"]["items"]["enum"].as_array().expect("names").iter().collect();
    let metrics: Vec<_> = metrics.into_iter().filter_map(Value::as_str).collect();
    assert!(asked().count() > 40 && metrics.len() > 60, "{} paths, {} metrics", asked().count(), metrics.len());
    // Some figures come a few seconds after what they are of.
    let answers = look_until(|| {
        let mut missing = without_values(&running, &listed, &metrics);
        let mut answers = 0;
        for path in asked().filter(|path| !SOCKETS.contains(path) && *path != "/dashboard/series") {
            let targets = running.targets(path);
            if targets.is_empty() && path != NOT_THERE {
                missing.insert(format!("nothing is listed for {path}"));
            }
            for target in targets {
                // What is in flight may be over before it is asked for.
                let answer = send(running.admin, "GET", &target, "");
                if answer.status == 404 && path == "/dashboard/workload/executions/{id}" {
                    continue;
                }
                assert_eq!(answer.status, 200, "{target}: {}", answer.json);
                missing.extend(listed.missing(path, &answer.json));
                // Every null has a reason.
                missing.extend(shape::faults(&json!({}), &answer.json).into_iter().map(|it| format!("{target}: {it}")));
                answers += 1;
            }
        }
        if missing.is_empty() { Ok(answers) } else { Err(Vec::from_iter(missing).join("\n")) }
    });
    println!("{answers} answers");
}
