//! Leaves out of a text what says where machines are.

use std::net::{IpAddr, SocketAddr};

/// What takes the place of an address.
const LEFT_OUT: &str = "(address)";

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
