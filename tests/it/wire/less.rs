//! Old and look-alike servers: a value that is null, a member that is missing, a list that is null leave less, never
//! something else.

use inferometer::wire::event::FinishReason;
use serde_json::Value;

use super::{Facts, Fixture, read, readable};

/// The range of bytes of each JSON object in the body.
fn objects(body: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let start = line.iter().position(|byte| *byte == b'{');
        if let Some(start) = start {
            let text = line[start..].trim_ascii_end();
            if serde_json::from_slice::<Value>(text).is_ok() {
                found.push((at + start, at + start + text.len()));
            }
        }
        at += line.len();
    }
    found
}

/// The object with one value null, and with one member missing, for every value in it.
fn lesser(object: &Value, into: &mut Vec<(String, Value)>) {
    fn paths(value: &Value, path: &str, into: &mut Vec<String>) {
        let inner: Vec<(String, &Value)> = match value {
            Value::Object(members) => members.iter().map(|(key, value)| (format!("{path}/{key}"), value)).collect(),
            Value::Array(list) => {
                list.iter().take(3).enumerate().map(|(at, value)| (format!("{path}/{at}"), value)).collect()
            }
            _ => Vec::new(),
        };
        for (path, value) in inner {
            into.push(path.clone());
            paths(value, &path, into);
        }
    }
    let mut all = Vec::new();
    paths(object, "", &mut all);
    for path in all {
        let mut null = object.clone();
        *null.pointer_mut(&path).unwrap() = Value::Null;
        into.push((format!("{path} is null"), null));
        let (parent, key) = path.rsplit_once('/').unwrap();
        let mut without = object.clone();
        if let Some(Value::Object(members)) = without.pointer_mut(parent) {
            members.remove(key);
            into.push((format!("{path} is missing"), without));
        }
    }
}

/// Nothing is said that was not said before, and no count is greater.
fn says_less(less: &Facts, whole: &Facts) -> bool {
    fn known<T: PartialEq>(less: &Option<T>, whole: &Option<T>) -> bool {
        less.is_none() || less == whole
    }
    let counted =
        |less: Option<u64>, whole: Option<u64>| less.is_none_or(|less| whole.is_some_and(|whole| less <= whole));
    let (usage, all) = (&less.usage, &whole.usage);
    known(&less.model, &whole.model)
        // Only the request says whether a model that does nothing is to come or to go.
        && (known(&less.finish, &whole.finish)
            || (less.finish, whole.finish) == (Some(FinishReason::Load), Some(FinishReason::Unload)))
        && counted(usage.prompt, all.prompt)
        && counted(usage.generated, all.generated)
        // A cache of nothing is believed where nothing beside it is printed as zero: llama.cpp states it so.
        && (counted(usage.cached, all.cached) || (usage.cached, usage.reasoning) == (Some(0), None))
        && counted(usage.reasoning, all.reasoning)
        && counted(less.progress, whole.progress)
        // Where durations are stated again and again, those of an earlier event stay.
        && less.timings.load.is_some() <= whole.timings.load.is_some()
        && less.timings.prefill.is_some() <= whole.timings.prefill.is_some()
        && less.timings.decode.is_some() <= whole.timings.decode.is_some()
        && less.token_events <= whole.token_events
        && (!less.error || whole.error)
        && less.defects == whole.defects
}

fn with(fixture: &Fixture, at: (usize, usize), object: &Value) -> Vec<u8> {
    let text = serde_json::to_vec(object).unwrap();
    [&fixture.body[..at.0], &text, &fixture.body[at.1..]].concat()
}

#[test]
fn what_is_null_or_missing_leaves_less_and_never_something_else() {
    let (mut tried, mut faults) = (0, Vec::new());
    for mut fixture in readable().filter(|fixture| fixture.status < 300 && fixture.body.len() < 20_000) {
        let whole = read(&fixture, [fixture.body.as_slice()]);
        let body = fixture.body.clone();
        let all = objects(&body);
        // The first ones, and those that end it.
        let chosen = all.iter().take(2).chain(all.iter().skip(2.max(all.len().saturating_sub(3))));
        for at in chosen.copied().collect::<Vec<_>>() {
            let object: Value = serde_json::from_slice(&body[at.0..at.1]).unwrap();
            let mut changed = Vec::new();
            lesser(&object, &mut changed);
            for (what, object) in changed {
                fixture.body.clone_from(&body);
                fixture.body = with(&fixture, at, &object);
                let less = read(&fixture, [fixture.body.as_slice()]);
                tried += 1;
                if !says_less(&less, &whole) {
                    faults.push(format!("{}: {what}: {less:?}\n  in place of {whole:?}", fixture.name));
                }
            }
        }
    }
    println!("{tried} changes, {} faults", faults.len());
    assert!(faults.is_empty(), "{}", faults[..faults.len().min(25)].join("\n"));
    assert!(tried > 10_000, "{tried}");
}
