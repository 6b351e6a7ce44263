//! Which of some names was meant.

/// How alike two names must be (Jaro-Winkler, 0 to 1) for one to be a slip of the other.
const SIMILAR: f64 = 0.88;

/// The most similar of these names.
pub(super) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Whether one of these words was meant.
pub(super) fn is_slip(text: &str, words: &[&str]) -> bool {
    closest(text, words.iter().copied()).is_some()
}
