//! Texts held against their golden files. What differs is printed line by line, and how to mend it.

use std::path::Path;

/// Most lines that are printed of a difference.
const SHOWN: usize = 40;

/// Fails where the text is not what the file says. With `UPDATE_GOLDEN` set the file is written instead.
pub(crate) fn hold(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    if let Some(difference) = difference(&golden, text) {
        panic!(
            "{} (-) is not what is produced now (+):\n{difference}\n\
             If the new text is right, `make golden` writes it, or UPDATE_GOLDEN=1 and this test alone.",
            path.display()
        );
    }
}

/// The lines that only one of the texts has, those of the first with `-`, those of the second with `+`.
pub(crate) fn difference(golden: &str, now: &str) -> Option<String> {
    if golden == now {
        return None;
    }
    let mut lines: Vec<_> = only_in(golden, now).map(|line| format!("- {line}")).collect();
    lines.extend(only_in(now, golden).map(|line| format!("+ {line}")));
    if lines.is_empty() {
        let same = golden.lines().zip(now.lines()).take_while(|(golden, now)| golden == now).count();
        return Some(format!("the same lines, in another order from line {} on, or another end of line", same + 1));
    }
    let rest = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if rest > 0 {
        lines.push(format!("… and {rest} lines more"));
    }
    Some(lines.join("\n"))
}

/// The lines of `text` that `other` does not have, as often as it lacks them.
fn only_in<'a>(text: &'a str, other: &'a str) -> impl Iterator<Item = &'a str> {
    let mut left = std::collections::HashMap::<&str, usize>::new();
    other.lines().for_each(|line| *left.entry(line).or_default() += 1);
    text.lines().filter(move |line| match left.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

#[test]
fn a_difference_shows_what_is_missing_and_what_is_extra_and_no_line_more() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(difference("a\nb\nb\nc\n", "a\nx\nb\n").as_deref(), Some("- b\n- c\n+ x"));
    let long: String = (0..60).map(|number| format!("{number}\n")).collect();
    let shown = difference("", &long).expect("they differ");
    assert_eq!((shown.lines().count(), shown.ends_with("… and 20 lines more")), (SHOWN + 1, true));
    assert!(difference("a\nb\n", "b\na\n").expect("they differ").contains("another order from line 1"));
}
