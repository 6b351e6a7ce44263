//! Finds the most similar of known names.

/// Least similarity (Jaro-Winkler, 0 to 1) of a misspelling.
const MIN_SIMILARITY: f64 = 0.88;

/// The most similar of these names; `None` where none is similar enough.
pub(super) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness >= MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Whether the text is, or misspells, one of these words.
pub(super) fn is_misspelling(text: &str, words: &[&str]) -> bool {
    closest(text, words.iter().copied()).is_some()
}
