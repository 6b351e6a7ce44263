//! Label names and values of a series or an alert.

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::digest::{Context, SHA256};

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

    /// The same for the same labels of the same rule, also in another build of the program: alerts are kept by it.
    #[must_use]
    pub fn fingerprint(&self, rule: &str) -> u64 {
        let mut digest = Context::new(&SHA256);
        let parts = std::iter::once(rule).chain(self.iter().flat_map(|(name, value)| [name, value]));
        for part in parts {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        u64::from_be_bytes(*digest.finish().as_ref().first_chunk().expect("32 bytes"))
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut labels = Self::default();
        pairs.into_iter().for_each(|(name, value)| labels.set(name, value));
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_same_in_every_build() {
        let labels = Labels::default().with("backend", "gpu").with("instance", "a:8001");
        assert_eq!(labels.fingerprint("InferometerBackendDown"), 3_632_267_923_369_506_189);
        let moved = Labels::default().with("backendg", "pu").with("instance", "a:8001");
        assert_ne!(labels.fingerprint("A"), moved.fingerprint("A"));
    }
}
