//! A sample of a document as a schema: every key must be there, with a value of the same kind, or `null` with its reason.

use serde_json::Value;

/// The reasons for which a value may be unknown.
const REASONS: [&str; 8] = [
    "not_reported",
    "not_local",
    "not_configured",
    "not_applicable",
    "not_yet",
    "no_samples",
    "shared_process",
    "collector_failed",
];

/// What is wrong with an answer, given a sample.
pub(super) fn faults(sample: &Value, answer: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    compare(sample, answer, "", &mut faults);
    let reasons = answer["unknown"].as_object().cloned().unwrap_or_default();
    for (pointer, reason) in &reasons {
        if answer.pointer(pointer) != Some(&Value::Null) {
            faults.push(format!("{pointer} has a reason and is not null"));
        }
        if !reason.as_str().is_some_and(|reason| REASONS.contains(&reason)) {
            faults.push(format!("{pointer}: {reason} is no reason"));
        }
    }
    nulls(answer, "", &mut |pointer| {
        if !reasons.contains_key(pointer) {
            faults.push(format!("{pointer} is null without a reason"));
        }
    });
    faults
}

fn compare(sample: &Value, answer: &Value, pointer: &str, faults: &mut Vec<String>) {
    match (sample, answer) {
        (_, Value::Null) | (Value::Null, _) => {}
        (Value::Object(expected), Value::Object(given)) => {
            for (name, sample) in expected {
                match given.get(name) {
                    Some(answer) => compare(sample, answer, &format!("{pointer}/{name}"), faults),
                    None => faults.push(format!("{pointer}/{name} is missing")),
                }
            }
        }
        // The first element of a sample is that of a list of any length.
        (Value::Array(expected), Value::Array(given)) => {
            let Some(sample) = expected.first() else { return };
            for (index, answer) in given.iter().enumerate() {
                compare(sample, answer, &format!("{pointer}/{index}"), faults);
            }
        }
        (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::String(_), Value::String(_)) => {}
        (sample, answer) => faults.push(format!("{pointer} is {answer}, not like {sample}")),
    }
}

/// Calls `found` with the pointer of everything that is unknown.
pub(super) fn nulls(value: &Value, pointer: &str, found: &mut impl FnMut(&str)) {
    match value {
        Value::Null => found(pointer),
        Value::Object(fields) => {
            for (name, value) in fields {
                nulls(value, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                nulls(value, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_sample_finds_what_is_missing_of_another_kind_or_null_without_a_reason() {
    use serde_json::json;
    let sample = json!({"a": 1, "b": {"c": "text"}, "d": [{"e": true}]});
    let right = json!({"a": null, "b": {"c": "x", "more": 1}, "d": [{"e": false}, {"e": null}],
                       "unknown": {"/a": "not_yet", "/d/1/e": "no_samples"}});
    assert_eq!(faults(&sample, &right), Vec::<String>::new());
    let wrong = json!({"a": "1", "b": {}, "d": [{"e": null}], "unknown": {"/a": "because"}});
    assert_eq!(faults(&sample, &wrong).len(), 5, "{:?}", faults(&sample, &wrong));
}
