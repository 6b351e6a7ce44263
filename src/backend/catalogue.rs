//! The model names that a backend has confirmed: the only ones that may become label values; and what a backend means
//! by a name without a tag.
//!
//! Promises: bounded (a number of names, each of bounded length and without control characters), and cheap to read at
//! the same time from many threads. A name once admitted stays: its series exist anyway. Left out: what else is known
//! of a model, and who asks the backend.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashMap;

use super::inventory::Runtime;
use crate::wire::route::Dialect;

/// How many models have labels of their own, unless configured otherwise.
pub const DEFAULT_MAX_MODELS: usize = 200;

/// Longest name that becomes a label, in bytes. Ollama's own names (host, namespace, model, tag) stay below it.
pub const MAX_NAME: usize = 256;

/// The tag that Ollama means where a name has none.
pub const LATEST: &str = ":latest";

/// Names that may become labels.
#[derive(Debug)]
pub struct Catalogue {
    max_models: usize,
    names: RwLock<Names>,
    /// What each backend means by a name without a tag.
    tags: RwLock<HashMap<Arc<str>, Tags>>,
}

/// What a name without a tag means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tags {
    /// Nobody knows yet: the backend is about to be asked which server it is.
    Asked,
    /// The tag is `latest`: an Ollama backend, whichever of its routes is spoken.
    Latest,
    /// Just that: another server.
    Plain,
    /// What the route's dialect means: the backend was not recognised.
    Spoken,
}

#[derive(Debug, Default)]
struct Names {
    /// Each admitted name, and `x` as another name of `x:latest`. Hashed fast: backends say what is in it, clients only
    /// look.
    labels: HashMap<Box<str>, Arc<str>>,
    admitted: usize,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_MODELS)
    }
}

impl Catalogue {
    /// An empty catalogue that will admit so many names.
    #[must_use]
    pub fn new(max_models: usize) -> Self {
        Self { max_models, names: RwLock::default(), tags: RwLock::default() }
    }

    /// The backend is about to be asked which server it is.
    pub fn asking(&self, backend: &Arc<str>) {
        self.set_tags(backend, Tags::Asked);
    }

    /// The backend was recognised, as nothing if need be.
    pub fn recognised(&self, backend: &Arc<str>, runtime: Runtime) {
        self.set_tags(
            backend,
            match runtime {
                Runtime::Ollama => Tags::Latest,
                Runtime::Unknown => Tags::Spoken,
                _ => Tags::Plain,
            },
        );
    }

    fn set_tags(&self, backend: &Arc<str>, tags: Tags) {
        self.tags.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(backend), tags);
    }

    /// A model's whole name as this backend means it. None while that is not known: a name without a tag, on a route
    /// that several servers have, of a backend that was not recognised yet. It would be a label of its own beside the
    /// one that the listing is about to bring.
    #[must_use]
    pub fn whole_name<'a>(&self, backend: &str, spoken: Dialect, name: &'a str) -> Option<Name<'a>> {
        if has_tag(name) {
            return Some(Name::from(name));
        }
        let tags = self.tags.read().unwrap_or_else(PoisonError::into_inner).get(backend).copied();
        let latest = match tags.unwrap_or(Tags::Spoken) {
            Tags::Latest => true,
            Tags::Plain => false,
            Tags::Spoken => spoken == Dialect::Ollama,
            Tags::Asked if spoken == Dialect::Ollama => true,
            Tags::Asked => return None,
        };
        Some(Name { text: name, latest })
    }

    /// A backend listed this name, or a success answer named it. Returns its label; none where it can have none of its
    /// own: the catalogue is full, or the name is empty, longer than [`MAX_NAME`] or holds control characters.
    pub fn admit<'a>(&self, name: impl Into<Name<'a>>) -> Option<Arc<str>> {
        let name = name.into();
        if let Some(label) = self.admitted(name) {
            return Some(label);
        }
        let name = &*name.whole();
        if !is_fit(name) {
            return None;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = names.labels.get(name).filter(|label| ***label == *name) {
            return Some(Arc::clone(label));
        }
        if names.admitted >= self.max_models {
            return None;
        }
        names.admitted += 1;
        let label: Arc<str> = name.into();
        names.labels.insert(name.into(), Arc::clone(&label));
        if let Some(short) = name.strip_suffix(LATEST) {
            names.labels.insert(short.into(), Arc::clone(&label));
        }
        Some(label)
    }

    /// The label of a name, if it was admitted. `x` is `x:latest` where that was.
    #[must_use]
    pub fn admitted<'a>(&self, name: impl Into<Name<'a>>) -> Option<Arc<str>> {
        let name = name.into();
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let label = names.labels.get(name.text);
        // An admitted `x:latest` is found by `x` too, so nothing is put together for most.
        match label.filter(|label| !name.latest || is_latest_of(label, name.text)) {
            None if name.latest => names.labels.get(&*name.whole()),
            found => found,
        }
        .cloned()
    }
}

/// What a model is called.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    text: &'a str,
    /// The tag that is left out is `latest`.
    latest: bool,
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, latest: false }
    }
}

impl<'a> Name<'a> {
    /// With its tag.
    fn whole(self) -> Cow<'a, str> {
        if self.latest { Cow::Owned(format!("{}{LATEST}", self.text)) } else { Cow::Borrowed(self.text) }
    }
}

fn is_latest_of(label: &str, short: &str) -> bool {
    label.strip_prefix(short).is_some_and(|rest| rest == LATEST)
}

/// A colon before the last slash is that of a registry's port. Nothing is taken for whole.
fn has_tag(name: &str) -> bool {
    // By bytes, from behind: it is asked several times an exchange.
    let name = name.as_bytes();
    let mark = name.iter().rposition(|byte| matches!(byte, b'/' | b':'));
    name.is_empty() || mark.is_some_and(|at| name[at] == b':' || at + 1 == name.len())
}

fn is_fit(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tag_is_what_the_backend_means_by_it() {
        let (catalogue, backend) = (Catalogue::default(), Arc::from("a"));
        let mean = |spoken, name| catalogue.whole_name("a", spoken, name).map(|name| name.whole().into_owned());
        let whole = |name: &str| Some(name.to_owned());
        let tables: [(Option<Runtime>, Option<String>, Option<String>); 4] = [
            (None, whole("m:latest"), None),
            (Some(Runtime::Ollama), whole("m:latest"), whole("m:latest")),
            (Some(Runtime::Sglang), whole("m"), whole("m")),
            (Some(Runtime::Unknown), whole("m:latest"), whole("m")),
        ];
        assert_eq!(mean(Dialect::OpenAi, "m"), whole("m"), "nobody asks");
        catalogue.asking(&backend);
        for (runtime, on_ollamas_routes, on_others) in tables {
            if let Some(runtime) = runtime {
                catalogue.recognised(&backend, runtime);
            }
            assert_eq!(mean(Dialect::Ollama, "m"), on_ollamas_routes, "{runtime:?}");
            assert_eq!(mean(Dialect::OpenAi, "m"), on_others, "{runtime:?}");
            assert_eq!(mean(Dialect::Anthropic, "m"), on_others, "{runtime:?}");
            for name in ["m:8b", "hf.co/x/y:Q4_K_M", "", "x/"] {
                assert_eq!(mean(Dialect::OpenAi, name), whole(name), "{runtime:?}");
            }
        }
        catalogue.recognised(&backend, Runtime::Ollama);
        assert_eq!(mean(Dialect::OpenAi, "localhost:5000/library/m"), whole("localhost:5000/library/m:latest"));
    }

    #[test]
    fn only_admitted_names_have_labels() {
        let catalogue = Catalogue::default();
        assert_eq!(catalogue.admitted("a"), None);
        assert_eq!(catalogue.admit("a").as_deref(), Some("a"));
        assert_eq!(catalogue.admitted("a").as_deref(), Some("a"));
    }

    #[test]
    fn a_name_without_a_tag_is_the_latest_one_where_that_is_listed() {
        let catalogue = Catalogue::default();
        catalogue.admit("hf.co/x/y");
        catalogue.admit("llama3:latest");
        assert_eq!(catalogue.admitted("llama3").as_deref(), Some("llama3:latest"));
        assert_eq!(catalogue.admit("llama3").as_deref(), Some("llama3:latest"));
        assert_eq!(catalogue.admitted("hf.co/x/y").as_deref(), Some("hf.co/x/y"));
        assert_eq!(catalogue.admitted("llama3:8b"), None);
    }

    #[test]
    fn a_full_catalogue_admits_no_more_and_forgets_none() {
        let catalogue = Catalogue::new(2);
        for name in ["a:latest", "b", "a", "a:latest", "b"] {
            assert!(catalogue.admit(name).is_some(), "{name}");
        }
        assert_eq!(catalogue.admit("c"), None);
        assert_eq!(catalogue.admitted("c"), None);
        assert_eq!(catalogue.admitted("a").as_deref(), Some("a:latest"));
    }

    #[test]
    fn names_that_could_harm_a_scrape_are_not_admitted() {
        let catalogue = Catalogue::default();
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", "a\nb", "a\0", "a\u{7f}", "a\u{85}", &long] {
            assert_eq!(catalogue.admit(name), None, "{name:?}");
        }
        for name in ["qwen \"q\" \\ {le=\"1\"}", "模型:7b", &long[1..]] {
            assert_eq!(catalogue.admit(name).as_deref(), Some(name));
        }
    }
}
