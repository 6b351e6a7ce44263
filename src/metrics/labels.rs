//! Label values that are not names of something.

use std::borrow::Cow;
use std::sync::Arc;

use crate::backend::catalogue::{Catalogue, LATEST};
use crate::exchange::record::Method;
use crate::exchange::vocabulary::Dialect;

/// Whatever has no label of its own.
pub(super) const OTHER: &str = "other";
/// A model that no backend has confirmed, or that is not known yet.
pub(super) const UNKNOWN: &str = "unknown";
/// A request that names no model by its nature.
pub(super) const NONE: &str = "";

/// A model's name as the backend means it: Ollama takes a missing tag for `latest`. A colon before the last slash is
/// that of a registry's port.
fn full_name(name: &str, dialect: Dialect) -> Cow<'_, str> {
    if lacks_tag(name, dialect) { Cow::Owned(format!("{name}{LATEST}")) } else { Cow::Borrowed(name) }
}

fn lacks_tag(name: &str, dialect: Dialect) -> bool {
    let mut last = name.bytes().rev().take_while(|byte| *byte != b'/').peekable();
    dialect == Dialect::Ollama && last.peek().is_some() && last.all(|byte| byte != b':')
}

/// The label of a model that was admitted.
pub(super) fn admitted(catalogue: &Catalogue, name: &str, dialect: Dialect) -> Option<Arc<str>> {
    let label = catalogue.admitted(name);
    if !lacks_tag(name, dialect) {
        return label;
    }
    // The catalogue knows `x` as another name of `x:latest`: mostly the longer one need not be put together.
    let is_full = |label: &str| label.strip_suffix(LATEST) == Some(name);
    label.filter(|label| is_full(label)).or_else(|| catalogue.admitted(&full_name(name, dialect)))
}

/// The label of a model that answered, which admits it. None where it can have none of its own.
pub(super) fn admit(catalogue: &Catalogue, name: &str, dialect: Dialect) -> Option<Arc<str>> {
    admitted(catalogue, name, dialect).or_else(|| catalogue.admit(&full_name(name, dialect)))
}

/// The method of a duration: the two that matter, to keep the histograms few.
pub(super) const fn duration_method(method: Method) -> &'static str {
    match method {
        Method::Get | Method::Post => method.as_str(),
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_ollama_a_missing_tag_is_latest() {
        for (name, full) in [
            ("llama3", "llama3:latest"),
            ("llama3:8b", "llama3:8b"),
            ("localhost:5000/library/llama3", "localhost:5000/library/llama3:latest"),
            ("hf.co/x/y:Q4_K_M", "hf.co/x/y:Q4_K_M"),
            ("", ""),
        ] {
            assert_eq!(full_name(name, Dialect::Ollama), full);
            assert_eq!(full_name(name, Dialect::OpenAi), name);
        }
    }

    #[test]
    fn a_label_is_that_of_the_full_name_however_names_were_admitted() {
        for admitted_before in [&["x:latest"][..], &["x"], &["x", "x:latest"], &["x:latest", "x"], &[]] {
            let catalogue = Catalogue::default();
            admitted_before.iter().for_each(|name| drop(catalogue.admit(name)));
            for (name, dialect) in [("x", Dialect::Ollama), ("x", Dialect::OpenAi), ("x:latest", Dialect::Ollama)] {
                let full = catalogue.admitted(&full_name(name, dialect));
                assert_eq!(admitted(&catalogue, name, dialect), full, "{name} {dialect:?} {admitted_before:?}");
            }
            assert_eq!(admit(&catalogue, "x", Dialect::Ollama).as_deref(), Some("x:latest"));
        }
    }

    #[test]
    fn durations_tell_apart_get_post_and_the_rest() {
        assert_eq!(
            [Method::Get, Method::Post, Method::Head, Method::Other].map(duration_method),
            ["GET", "POST", OTHER, OTHER]
        );
    }
}
