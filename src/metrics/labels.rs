//! Label values that are not names of something.

use std::borrow::Cow;

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
pub(super) fn full_name(name: &str, dialect: Dialect) -> Cow<'_, str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    if dialect == Dialect::Ollama && !last.is_empty() && !last.contains(':') {
        Cow::Owned(format!("{name}:latest"))
    } else {
        Cow::Borrowed(name)
    }
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
    fn durations_tell_apart_get_post_and_the_rest() {
        assert_eq!(
            [Method::Get, Method::Post, Method::Head, Method::Other].map(duration_method),
            ["GET", "POST", OTHER, OTHER]
        );
    }
}
