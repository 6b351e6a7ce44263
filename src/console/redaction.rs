//! Leaves out of a text what says where machines are.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

/// What takes the place of an address.
const LEFT_OUT: &str = "(address)";

/// Keys of what is the name of a machine, or the way to one, whatever it looks like.
const NAMED: [&str; 4] = ["address", "node", "nodeId", "hostname"];

/// Leaves addresses out of every text of an answer.
pub(super) fn redact(value: &mut Value) {
    visit(value, false);
}

fn visit(value: &mut Value, is_named: bool) {
    match value {
        Value::String(text) => *text = if is_named { LEFT_OUT.to_owned() } else { redacted(text) },
        Value::Array(all) => all.iter_mut().for_each(|one| visit(one, is_named)),
        Value::Object(all) => all.iter_mut().for_each(|(name, one)| visit(one, NAMED.contains(&name.as_str()))),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where a word of a text ends.
fn is_apart(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '"' | '\'' | ',' | ';' | '(' | ')' | '=' | '<' | '>' | '{' | '}' | '`')
}

/// The text without addresses, and without the hosts of URLs.
pub(super) fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive(is_apart) {
        let word = part.trim_end_matches(is_apart);
        let bare = word.trim_end_matches(['.', ':']);
        out.push_str(if is_address(bare) { LEFT_OUT } else { word });
        out.push_str(&part[word.len()..]);
    }
    out
}

fn is_address(word: &str) -> bool {
    word.contains("://") || word.parse::<SocketAddr>().is_ok() || word.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_everything_but_addresses_and_names_of_machines() {
        let mut answer = serde_json::json!({"workers": [{"id": "a", "address": "gpu-box:11434", "n": 1, "why": "10.0.0.7:1 refused"}], "node": "gpu-box"});
        redact(&mut answer);
        let expected = serde_json::json!({"workers": [{"id": "a", "address": "(address)", "n": 1, "why": "(address) refused"}], "node": "(address)"});
        assert_eq!(answer, expected);
    }

    #[test]
    fn addresses_are_left_out_and_figures_stay() {
        for (text, expected) in [
            ("dialling 10.0.0.7:11434: refused", "dialling (address) refused"),
            ("backend=\"http://gpu-box:11434/x\", models=5", "backend=\"(address)\", models=5"),
            ("on [::1]:80 and fe80::1.", "on (address) and (address)"),
            ("version 0.33.0, 12:30:05, 3.5 s", "version 0.33.0, 12:30:05, 3.5 s"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }
}
