//! Every number that the document lets one ask for has its bounds there, and what is beyond them is refused.

use serde_json::Value;

use super::{get, send};

/// The parameters of GETs: the path, what else it needs, the parameter.
fn numbers(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let parameters = methods["get"]["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|it| ["integer", "number"].map(Value::from).contains(&it["schema"]["type"]))
        {
            // Any id will do: parameters are looked at first.
            found.push((path.replace("{id}", "1"), parameter.clone()));
        }
    }
    found
}

#[test]
fn every_number_has_bounds_in_the_document_and_nothing_beyond_them_is_accepted() {
    let (program, _backend) = super::program();
    let numbers = numbers(&get(&program, "/openapi.json"));
    assert!(numbers.len() > 25, "{numbers:?}");
    for (path, parameter) in &numbers {
        let name = parameter["name"].as_str().expect("a name");
        let bound = |bound: &str| parameter["schema"][bound].as_i64().unwrap_or_else(|| panic!("{path}: {parameter}"));
        let (least, most) = (bound("minimum"), bound("maximum"));
        let status = |value: &str| {
            let answer = send(program.admin, "GET", &format!("{path}?{name}={value}"), "");
            assert!(answer.status == 200 || answer.json["error"]["details"]["parameter"] == *name, "{}", answer.json);
            answer.status
        };
        for within in [least, most] {
            assert_eq!(status(&within.to_string()), 200, "{path}?{name}={within}");
        }
        let beyond = [least - 1, most + 1].map(|number| number.to_string());
        let far = ["9223372036854775807", "9223372036854775808", "18446744073709551616", "1e3", "0.5", ""];
        for beyond in beyond.iter().map(String::as_str).chain(far) {
            assert_eq!(status(beyond), 400, "{path}?{name}={beyond}");
        }
    }
}

#[test]
fn an_instant_is_what_the_document_says_or_refused() {
    let (program, _backend) = super::program();
    for path in
        ["/dashboard/series?metrics=requests&interval=1d&", "/dashboard/exchanges?", "/dashboard/alerts/history?"]
    {
        let status = |instant: &str| {
            let target = format!("{path}from=2026-01-01&to={instant}");
            send(program.admin, "GET", &target, "").status
        };
        for instant in ["2026-02-28", "2026-11-29T12:30Z", "2026-11-29t12:30:00.25z", "2026-11-29%2012:30"] {
            assert_eq!(status(instant), 200, "{path}: {instant}");
        }
        for instant in [
            "",
            "now",
            "2026-02-29",
            "2026-11-29T24:00Z",
            "2026-11-29T12:30:00%2B01:00",
            "10000-01-01",
            // What would be multiplied beyond what a number holds.
            "9999999999999999-01-01",
        ] {
            assert_eq!(status(instant), 400, "{path}: {instant}");
        }
    }
}
