//! Reports: their counts are those of what clients did, their parameters select, and what is not there is not found.

use serde_json::{Value, json};

use super::samples::{Demo, post, traffic};
use super::{get, send};
use crate::support::client::ask;
use crate::support::look_until;

const PATHS: [&str; 7] = [
    "/dashboard/overview",
    "/dashboard/infrastructure/nodes",
    "/dashboard/infrastructure/resources",
    "/dashboard/workload/models",
    "/dashboard/workload/deployments",
    "/dashboard/workload/agents",
    "/dashboard/workload/executions",
];

/// Waits until an answer holds.
fn until(demo: &Demo, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    look_until(|| {
        let answer = get(&demo.program, path);
        if holds(&answer) { Ok(answer) } else { Err(format!("{path}: {answer}")) }
    })
}

#[test]
fn reports_count_what_clients_did() {
    let demo = Demo::start("reports-count");
    traffic(&demo);
    // Seven requests, of which one is a pull, which is no task, and one is answered with 404, which is no failure of the
    // backend.
    let agents = until(&demo, "/dashboard/workload/agents", |it| it["summary"]["performance"]["totalTasks"] == 6);
    assert_eq!(
        (&agents["agents"][0]["name"], &agents["agents"][0]["failedTasks"]),
        (&json!("curl"), &json!(0)),
        "{agents}"
    );
    let one = get(&demo.program, "/dashboard/workload/agents/curl/performance");
    assert_eq!(
        (&one["performance"]["allTime"]["totalTasks"], &one["performance"]["last7d"]["tasks"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(one["recentTasks"].as_array().map(Vec::len), Some(6), "{one}");
    // From the rows, and not from the sums.
    let tasks = one["recentTasks"].as_array().expect("a list");
    let completed = tasks.iter().filter(|task| task["status"] == "completed").count();
    assert!(completed < 6, "the 404 is not among them: {one}");
    for counted in [
        &agents["agents"][0]["completedTasks"],
        &agents["summary"]["performance"]["completed"],
        &one["performance"]["allTime"]["completed"],
        &one["performance"]["last24h"]["completed"],
    ] {
        assert_eq!(counted, completed, "{agents} {one}");
    }
    let overview = until(&demo, "/dashboard/overview", |it| it["activity"]["apiRequests"] == 7);
    assert_eq!(
        overview["infrastructure"]["nodes"]["byRole"],
        json!({"controller": 0, "worker": 1, "proxy": 1, "storage": 0})
    );
    assert_eq!(overview["workload"]["agents"]["total"], 1, "{overview}");
    // Lists of models that are asked for again and again change nothing but the number of requests.
    (0..20).for_each(|_| {
        drop(ask(
            demo.program.clients,
            "GET /api/tags HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n",
        ))
    });
    let polled = until(&demo, "/dashboard/overview", |it| it["activity"]["apiRequests"] == 27);
    for figure in ["inferenceRequests", "agentTasks", "avgResponseTime", "successRate"] {
        assert_eq!(polled["activity"][figure], overview["activity"][figure], "{figure}");
    }
    assert_eq!(polled["activity"]["agentTasks"], agents["summary"]["activity24h"]["tasksExecuted"], "{polled}");
    let again = get(&demo.program, "/dashboard/workload/agents");
    assert_eq!(again["agents"][0]["avgResponseTime"], agents["agents"][0]["avgResponseTime"], "{again}");
    let id = "/dashboard/workload/deployments/test%2Fllama3.2:3b/metrics?period=1h&interval=1m";
    let metrics = until(&demo, id, |it| it["metrics"]["requests"]["total"].as_u64() >= Some(5));
    let history = metrics["metrics"]["requests"]["history"].as_array().expect("a list");
    let sum: f64 = history.iter().filter_map(Value::as_f64).sum();
    assert_eq!(Some(sum as u64), metrics["metrics"]["requests"]["total"].as_u64(), "the history adds up: {metrics}");
    assert_eq!(metrics["timestamps"].as_array().map(Vec::len), Some(history.len()));
    let latency = &metrics["metrics"]["latency"];
    assert!(latency["p95"].as_f64() >= latency["p50"].as_f64() && latency["p95"].is_f64(), "{metrics}");
    // One that was loaded past this program is in memory, and nothing is known of its latency.
    post(demo.server.address, "/api/generate", r#"{"model":"qwen3:8b"}"#);
    let deployments = until(&demo, "/dashboard/workload/deployments", |it| it["summary"]["total"] == 2);
    let place = |name: &str| {
        let all = deployments["deployments"].as_array().expect("a list");
        all.iter().position(|it| it["modelName"] == name).unwrap_or_else(|| panic!("{name}: {deployments}"))
    };
    let (used, unused) = (place("llama3.2:3b"), place("qwen3:8b"));
    assert_eq!(deployments["deployments"][used]["p95Latency"], latency["p95"], "{deployments}");
    assert_eq!(deployments["summary"]["usage"]["p95Latency"], latency["p95"], "only this one was asked for");
    assert_eq!(
        (&deployments["deployments"][unused]["requests24h"], &deployments["deployments"][unused]["p95Latency"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(deployments["unknown"][format!("/deployments/{unused}/p95Latency")], "no_samples", "{deployments}");
    // The pull, and four of the five generations: one is of a model that is not there.
    let executions = until(&demo, "/dashboard/workload/executions", |it| it["summary"]["total"] == 7);
    assert_eq!(
        (&executions["summary"]["completed"], &executions["summary"]["byType"]["inference"]),
        (&json!(6), &json!(6)),
        "{executions}"
    );
    let job = executions["executions"][0]["_id"].as_str().expect("an id");
    let job = get(&demo.program, &format!("/dashboard/workload/executions/{job}"));
    assert_eq!((&job["type"], &job["status"]), (&json!("model.download"), &json!("completed")), "{job}");
}

#[test]
fn each_filter_of_a_report_selects_and_what_is_not_documented_is_refused() {
    let demo = Demo::start("reports-filter");
    traffic(&demo);
    until(&demo, "/dashboard/workload/agents", |it| it["summary"]["total"] == 1);
    let total = |target: &str| get(&demo.program, target)["pagination"]["total"].clone();
    for (target, expected) in [
        ("/dashboard/infrastructure/nodes?role=proxy", 1),
        ("/dashboard/infrastructure/nodes?role=storage", 0),
        ("/dashboard/infrastructure/nodes?status=offline", 0),
        ("/dashboard/infrastructure/resources?resourceType=vm", 0),
        ("/dashboard/infrastructure/resources?nodeId=elsewhere", 0),
        ("/dashboard/workload/models?backend=elsewhere", 0),
        ("/dashboard/workload/models?status=failed", 0),
        ("/dashboard/workload/models?type=embedding", 0),
        ("/dashboard/workload/deployments?model=llama3.2:3b&backend=test", 1),
        ("/dashboard/workload/deployments?status=failed", 0),
        ("/dashboard/workload/agents?status=active", 1),
        ("/dashboard/workload/agents?status=inactive", 0),
        ("/dashboard/workload/executions?status=pending", 0),
    ] {
        assert_eq!(total(target), expected, "{target}");
    }
    let models = get(&demo.program, "/dashboard/workload/models?limit=1&page=2");
    assert_eq!(models["models"].as_array().map(Vec::len), Some(1), "{models}");
    for path in PATHS {
        let refused = send(demo.program.admin, "GET", &format!("{path}?colour=red"), "");
        assert_eq!((refused.status, &refused.json["error"]["code"]), (400, &json!("INVALID_PARAMETER")), "{path}");
        if path != "/dashboard/overview" {
            assert_eq!(send(demo.program.admin, "GET", &format!("{path}?limit=101"), "").status, 400, "{path}");
        }
    }
    for path in [
        "/dashboard/infrastructure/nodes/elsewhere",
        "/dashboard/infrastructure/resources/elsewhere",
        "/dashboard/workload/deployments/test%2Fnothing/metrics",
        "/dashboard/workload/deployments/nothing/metrics",
        "/dashboard/workload/agents/nobody/performance",
        "/dashboard/workload/executions/job_1",
    ] {
        assert_eq!(send(demo.program.admin, "GET", path, "").status, 404, "{path}");
    }
}
