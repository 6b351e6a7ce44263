//! Every documented query parameter changes the answer, and what is not documented is refused.

use std::collections::BTreeSet;

use serde_json::Value;

use super::samples::{Demo, post, traffic};
use super::{get, send};
use crate::support::look_until;

/// The values of a key in a list.
fn values(list: &Value, key: &str) -> Vec<String> {
    let text = |entry: &Value| entry[key].as_str().map(str::to_owned).unwrap_or_else(|| entry[key].to_string());
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(text).collect()
}

/// Waits until a list has something.
fn filled(demo: &Demo, target: &str, list: &str) -> Value {
    look_until(|| {
        let answer = get(&demo.program, target);
        if answer[list].as_array().is_some_and(|list| !list.is_empty()) { Ok(answer) } else { Err(answer.to_string()) }
    })
}

#[test]
fn each_parameter_of_logs_and_audit_changes_the_answer() {
    let demo = Demo::start("parameters");
    traffic(&demo);
    for action in ["load", "unload", "pull"] {
        filled(&demo, &format!("/dashboard/audit?action=model_{action}"), "entries");
    }
    let all = filled(&demo, "/dashboard/logs", "logs");
    let (levels, components) = (values(&all["logs"], "level"), values(&all["logs"], "component"));
    assert!(levels.contains(&"info".to_owned()) && BTreeSet::from_iter(&components).len() > 1, "{all}");
    let one = get(&demo.program, "/dashboard/logs?limit=1");
    assert_eq!((values(&one["logs"], "level").len(), &one["filtered_count"]), (1, &all["filtered_count"]), "{one}");
    let errors = get(&demo.program, "/dashboard/logs?level=error");
    assert_eq!(
        (&errors["logs"], &errors["filtered_count"]),
        (&serde_json::json!([]), &serde_json::json!(0)),
        "{errors}"
    );
    assert_eq!(errors["total_count"], all["total_count"], "what is kept does not depend on the question");
    let component = &components[0];
    let part = get(&demo.program, &format!("/dashboard/logs?component={component}"));
    assert!(values(&part["logs"], "component").iter().all(|it| it == component), "{part}");
    assert!(part["filtered_count"].as_u64() < all["filtered_count"].as_u64(), "{part}");

    let audit = get(&demo.program, "/dashboard/audit");
    let (users, kinds) = (values(&audit["entries"], "user"), values(&audit["entries"], "action"));
    assert!(users.contains(&"curl".to_owned()) && BTreeSet::from_iter(&kinds).len() > 1, "{audit}");
    for (parameter, key, value) in [
        ("action", "action", "model_load"),
        ("action", "action", "model_pull"),
        ("user", "user", "curl"),
        ("resource", "resource", "llama3.2:3b"),
    ] {
        let some = get(&demo.program, &format!("/dashboard/audit?{parameter}={value}"));
        let found = values(&some["entries"], key);
        assert!(!found.is_empty() && found.iter().all(|it| it == value), "{parameter}: {some}");
    }
    let nobody = get(&demo.program, "/dashboard/audit?user=nobody");
    assert_eq!(nobody["filtered_count"], 0, "{nobody}");
    let grave = get(&demo.program, "/dashboard/audit?level=critical");
    assert_eq!((&grave["filtered_count"], &grave["total_count"]), (&0.into(), &audit["total_count"]), "{grave}");
    assert_eq!(values(&get(&demo.program, "/dashboard/audit?limit=1")["entries"], "action").len(), 1);
    let requests = filled(&demo, "/dashboard/audit?action=inference_request&limit=2", "entries");
    assert_eq!(values(&requests["entries"], "action"), ["inference_request", "inference_request"], "{requests}");
    for target in ["/dashboard/logs?since=1s", "/dashboard/audit?since=1s"] {
        look_until(|| match get(&demo.program, target) {
            answer if answer["filtered_count"] == 0 => Ok(()),
            answer => Err(answer.to_string()),
        });
    }
}

#[test]
fn each_parameter_of_errors_changes_the_answer() {
    let demo = Demo::start("errors");
    for _ in 0..2 {
        post(demo.program.clients, "/api/generate", r#"{"model":"llama3.2:3b","prompt":"[[refuse]]"}"#);
    }
    let found = look_until(|| {
        let answer = get(&demo.program, "/dashboard/errors");
        let count = answer["recent_errors"].as_array().map_or(0, Vec::len);
        if count == 2 { Ok(answer) } else { Err(answer.to_string()) }
    });
    let kind = values(&found["recent_errors"], "type")[0].clone();
    let none =
        |target: &str| assert_eq!(get(&demo.program, target)["recent_errors"], serde_json::json!([]), "{target}");
    none("/dashboard/errors?severity=critical");
    none("/dashboard/errors?type=dns");
    none("/dashboard/errors?backend=other");
    none("/dashboard/errors?model=other");
    let same = get(&demo.program, &format!("/dashboard/errors?type={kind}&limit=1"));
    assert_eq!(values(&same["recent_errors"], "type"), [kind], "{same}");
    assert_eq!(
        (&found["recent_errors"][0]["severity"], &found["error_summary"]["last_24_hours"]["high"]),
        (&"high".into(), &2.into())
    );
    assert_eq!(found["error_summary"]["resolution_stats"]["investigating"], 2, "{found}");
    post(demo.program.clients, "/api/generate", r#"{"model":"llama3.2:3b","prompt":"hi"}"#);
    look_until(|| {
        let answer = get(&demo.program, "/dashboard/errors");
        let resolved = &answer["error_summary"]["resolution_stats"]["auto_resolved"];
        if resolved == 2 { Ok(()) } else { Err(format!("a later success resolves both: {answer}")) }
    });
    let csv = crate::support::client::ask(
        demo.program.admin,
        "GET /dashboard/errors?format=csv HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(csv.contains("content-type: text/csv") && csv.contains("\r\n\r\ntimestamp,type,severity,"), "{csv}");
}

#[test]
fn a_value_that_is_not_allowed_is_refused_with_what_is() {
    let (program, _backend) = super::program();
    for (target, parameter) in [
        ("/dashboard/logs?level=loud", "level"),
        ("/dashboard/logs?since=yesterday", "since"),
        ("/dashboard/logs?limit=0", "limit"),
        ("/dashboard/logs?limit=1001", "limit"),
        ("/dashboard/logs?format=xml", "format"),
        ("/dashboard/audit?action=dance", "action"),
        ("/dashboard/audit?level=debug", "level"),
        ("/dashboard/errors?severity=none", "severity"),
        ("/dashboard/jobs?limit=x", "limit"),
        ("/api/metrics/timeseries?hours=721", "hours"),
        ("/api/health?x=1", "x"),
    ] {
        let answer = send(program.admin, "GET", target, "");
        let error = &answer.json["error"];
        assert_eq!((answer.status, &error["code"]), (400, &"INVALID_PARAMETER".into()), "{target}: {error}");
        assert_eq!(error["details"]["parameter"], parameter, "{target}: {error}");
        assert!(!error["details"]["allowed"].is_null(), "{target}: {error}");
    }
}
