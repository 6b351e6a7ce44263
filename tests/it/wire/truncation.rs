//! Silent truncation on the recorded streams: all that was cut is suspected, and nothing else.

use std::collections::BTreeMap;

use inferometer::exchange::truncation::{ContextLength, PromptSize, Truncation};
use inferometer::wire::request::ModelScanner;
use serde_json::Value;

use super::{Fixture, fixtures};

/// What the recorded servers had loaded.
const CONTEXT: ContextLength = ContextLength::Reported(2048);

fn evidence(fixture: &Fixture, context: ContextLength) -> Option<PromptSize> {
    let mut scanner = ModelScanner::default();
    scanner.read(&fixture.request);
    let tokens = fixture.expect["prompt_tokens"].as_u64()?;
    Some(PromptSize { characters: scanner.prompt_characters()?, tokens, context })
}

/// The suspected cases, in one observer for each model of each server.
fn suspected(context: ContextLength) -> Vec<String> {
    let mut models = BTreeMap::<(String, String), Truncation>::new();
    let observe = |fixture: &Fixture| {
        let evidence = evidence(fixture, context)?;
        let server = fixture.name.split('/').next().unwrap().to_owned();
        let model = fixture.expect["model"].as_str().unwrap_or_default().to_owned();
        models.entry((server, model)).or_default().observe(evidence).then(|| fixture.name.clone())
    };
    fixtures().iter().filter_map(observe).collect()
}

#[test]
fn every_cut_prompt_is_suspected_and_no_other_is() {
    let cut = |case: &str| ["0.13.1", "0.24.0", "0.33.0-rc2"].map(|version| format!("ollama-{version}/{case}"));
    let mut expected = [cut("generate-big-context"), cut("generate-truncated-prompt")].concat();
    expected.sort();
    assert_eq!(suspected(CONTEXT), expected);
}

#[test]
fn without_a_context_length_no_recorded_prompt_is_suspected() {
    assert_eq!(suspected(ContextLength::Unknown), Vec::<String>::new(), "misses, but no false positive");
}

#[test]
fn the_characters_of_recorded_prompts_equal_those_of_a_parser() {
    let mut counted = 0;
    for fixture in fixtures().iter().filter(|fixture| fixture.route.operation.generates()) {
        let Ok(body) = serde_json::from_slice::<Value>(&fixture.request) else { continue };
        let texts = [&body["prompt"], &body["system"], &body["suffix"], &body["input"], &body["instructions"]];
        let messages = body["messages"].as_array().into_iter().flatten().map(|message| &message["content"]);
        let several = body["prompt"].as_array().into_iter().flatten();
        let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count() as u64);
        let expected: u64 = texts.into_iter().chain(messages).chain(several).map(length).sum();
        let mut scanner = ModelScanner::default();
        scanner.read(&fixture.request);
        assert_eq!(scanner.prompt_characters().unwrap_or(0), expected, "{}", fixture.name);
        counted += u64::from(expected > 0);
    }
    assert!(counted > 100, "{counted} prompts");
}
