//! Label names and values of a series or an alert.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Pairs of names and values, sorted by name. An empty value is the same as none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(BTreeMap<Arc<str>, Arc<str>>);

impl Labels {
    /// With this label too; an empty value takes the label away.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a label; an empty value takes it away.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.into(), value.into());
        }
    }

    /// The value of a label; empty where it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value)
    }

    /// Only these labels.
    #[must_use]
    pub fn only(&self, names: &[impl AsRef<str>]) -> Self {
        let kept = names.iter().filter_map(|name| self.0.get_key_value(name.as_ref()));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// All but this label.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// The pairs, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The same for the same labels of the same rule, also in another run of the program.
    #[must_use]
    pub fn fingerprint(&self, rule: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        rule.hash(&mut hasher);
        self.iter().for_each(|pair| pair.hash(&mut hasher));
        hasher.finish()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut labels = Self::default();
        pairs.into_iter().for_each(|(name, value)| labels.set(name, value));
        labels
    }
}
