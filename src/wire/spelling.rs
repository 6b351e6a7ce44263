//! Folds the spellings of a model's name that Ollama takes for one model.
//!
//! Source: Ollama `types/model/name.go` (`ParseName`, `DisplayShortest`): the default host is `registry.ollama.ai`, the
//! default namespace `library` and the default tag `latest`, and `server` finds a stored model without regard to case.
//! Answers repeat the requested spelling. Left out: digests, which requests do not use.

use std::borrow::Cow;

use smallvec::SmallVec;

/// Bytes of a name as they were sent. Most names take no allocation.
pub(crate) type NameBuffer = SmallVec<[u8; 32]>;

/// The default tag, with its colon.
pub(crate) const LATEST: &str = ":latest";

/// The default host.
const HOST: &str = "registry.ollama.ai/";

/// The default namespace.
const NAMESPACE: &str = "library/";

/// One spelling for all spellings of a model. Borrowed where the name already is that one.
#[must_use]
pub(crate) fn folded(name: &str) -> Cow<'_, str> {
    // Most names have neither, which leaves only the tag to look at.
    if !name.bytes().any(|byte| byte == b'/' || byte.is_ascii_uppercase()) {
        return Cow::Borrowed(name.strip_suffix(LATEST).filter(|bare| !bare.is_empty()).unwrap_or(name));
    }
    let short = shortest(name);
    let short = strip_latest(short).unwrap_or(short);
    if short.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(short.to_ascii_lowercase())
    } else {
        Cow::Borrowed(short)
    }
}

/// The folded name of a model of Ollama's cloud without its cloud suffix, the name by which the cloud itself answers.
/// `None` for other models.
#[must_use]
pub(crate) fn cloud_base(folded: &str) -> Option<&str> {
    folded.strip_suffix("-cloud").or_else(|| folded.strip_suffix(":cloud"))
}

/// The name under which Ollama lists the model: without the default host and namespace, and with a tag.
#[must_use]
pub(crate) fn whole(name: &str) -> Cow<'_, str> {
    let short = shortest(name);
    match strip_latest(short) {
        Some(bare) if !short.ends_with(LATEST) => Cow::Owned(format!("{bare}{LATEST}")),
        None if !has_tag(short) => Cow::Owned(format!("{short}{LATEST}")),
        _ => Cow::Borrowed(short),
    }
}

/// A colon before the last slash belongs to a registry's port. An empty name counts as having a tag, so none is added.
#[must_use]
pub(crate) fn has_tag(name: &str) -> bool {
    // By bytes, from the end: this is called several times an exchange.
    let name = name.as_bytes();
    let mark = name.iter().rposition(|byte| matches!(byte, b'/' | b':'));
    name.is_empty() || mark.is_some_and(|at| name[at] == b':' || at + 1 == name.len())
}

/// Without a scheme and without the default host and namespace.
fn shortest(name: &str) -> &str {
    // Most names have none of these.
    if !name.as_bytes().contains(&b'/') {
        return name;
    }
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    // In `registry.ollama.ai/m` that is a namespace, not the host.
    let name = strip_prefix(name, HOST).filter(|rest| rest.contains('/')).unwrap_or(name);
    // `library` on another host is not the default namespace.
    strip_prefix(name, NAMESPACE).filter(|rest| !rest.is_empty() && !rest.contains('/')).unwrap_or(name)
}

fn strip_latest(name: &str) -> Option<&str> {
    let at = name.len().checked_sub(LATEST.len())?;
    let (bare, tag) = name.split_at_checked(at)?;
    (!bare.is_empty() && tag.eq_ignore_ascii_case(LATEST)).then_some(bare)
}

fn strip_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_one_model_fold_to_one() {
        for spelling in [
            "m",
            "M",
            "m:latest",
            "M:LATEST",
            "library/m",
            "Library/M:Latest",
            "registry.ollama.ai/library/m",
            "Registry.Ollama.AI/library/m:latest",
            "https://registry.ollama.ai/library/m",
        ] {
            assert_eq!((&*folded(spelling), &*whole(spelling).to_ascii_lowercase()), ("m", "m:latest"), "{spelling}");
        }
        assert!(matches!(folded("m:8b"), Cow::Borrowed(_)) && matches!(whole("m:8b"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_model_of_the_cloud_is_known_by_its_suffix() {
        assert_eq!(cloud_base("gpt-oss:120b-cloud"), Some("gpt-oss:120b"));
        assert_eq!(cloud_base("glm-4.6:cloud"), Some("glm-4.6"));
        assert_eq!(cloud_base("cloud-m:8b"), None);
    }

    #[test]
    fn models_of_another_host_or_namespace_stay_distinct() {
        for (name, key, listed) in [
            ("hf.co/x/Y:Q4_K_M", "hf.co/x/y:q4_k_m", "hf.co/x/Y:Q4_K_M"),
            ("hf.co/library/m", "hf.co/library/m", "hf.co/library/m:latest"),
            ("registry.ollama.ai/me/m", "me/m", "me/m:latest"),
            ("registry.ollama.ai/m", "registry.ollama.ai/m", "registry.ollama.ai/m:latest"),
            ("localhost:5000/library/m", "localhost:5000/library/m", "localhost:5000/library/m:latest"),
            ("library/", "library/", "library/"),
            (":latest", ":latest", ":latest"),
            ("é", "é", "é:latest"),
            ("", "", ""),
        ] {
            assert_eq!((&*folded(name), &*whole(name)), (key, listed), "{name}");
        }
    }
}
