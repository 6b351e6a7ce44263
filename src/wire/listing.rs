//! Merges what several servers list into one answer, by splicing their elements as they are on the wire.
//!
//! No element is written anew, so fields of any release pass: what a client gets of a model is, byte for byte, what one
//! of the servers says. What surrounds the elements is that of the first server.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use serde_json::value::RawValue;

/// A kind of answer that can be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Ollama's models. Of one name the entry that most servers have, by its digest; the first among equals.
    Tags,
    /// Ollama's models in memory, of every server.
    Resident,
    /// `OpenAI`'s models. Of one id the first.
    Models,
    /// Ollama's version: the lowest, which every server has at least.
    Version,
}

impl Listing {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Tags, Self::Resident, Self::Models, Self::Version];

    /// The endpoint that answers with it.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Tags => "/api/tags",
            Self::Resident => "/api/ps",
            Self::Models => "/v1/models",
            Self::Version => "/api/version",
        }
    }

    /// The listing that an endpoint answers with; `None` for every other endpoint.
    #[must_use]
    pub fn of(endpoint: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|listing| listing.endpoint() == endpoint)
    }

    /// Merges the bodies of servers, in their order. `None` where one of them is no such listing.
    #[must_use]
    pub fn merge(self, bodies: &[&[u8]]) -> Option<Vec<u8>> {
        if self == Self::Version {
            return lowest(bodies);
        }
        let arrays = bodies.iter().map(|body| array(body, self.key())).collect::<Option<Vec<_>>>()?;
        let elements = arrays.iter().flat_map(|(_, elements)| elements.iter().copied());
        let elements = match self {
            Self::Tags => by_majority(elements),
            Self::Models => first_by(elements, |element| text(element, "id")),
            Self::Resident | Self::Version => elements.collect(),
        };
        let (place, _) = arrays.first()?;
        Some(spliced(bodies[0], place, &elements))
    }

    /// The body without the models that are not `admitted`, as it came where all are. `None` where it is no such listing.
    #[must_use]
    pub fn admitted(self, body: &[u8], admits: impl Fn(&str) -> bool) -> Option<Cow<'_, [u8]>> {
        if self == Self::Version {
            return lowest(&[body]).map(|_| Cow::Borrowed(body));
        }
        let (place, elements) = array(body, self.key())?;
        let name = if self == Self::Models { "id" } else { "name" };
        let is_kept = |element: &&&str| text(element, name).is_none_or(|name| admits(&name));
        let kept: Vec<_> = elements.iter().filter(is_kept).copied().collect();
        let is_whole = kept.len() == elements.len();
        Some(if is_whole { Cow::Borrowed(body) } else { Cow::Owned(spliced(body, &place, &kept)) })
    }

    /// The key of the array.
    const fn key(self) -> &'static str {
        if matches!(self, Self::Models) { "data" } else { "models" }
    }
}

/// The body with these elements in its array.
fn spliced(body: &[u8], array: &std::ops::Range<usize>, elements: &[&str]) -> Vec<u8> {
    [&body[..array.start], b"[", elements.join(",").as_bytes(), b"]", &body[array.end..]].concat()
}

/// Where the array of this key stands in a body, and its elements as they are written. `null` is an empty one.
fn array<'a>(body: &'a [u8], key: &str) -> Option<(std::ops::Range<usize>, Vec<&'a str>)> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
    let array = fields.get(key)?.get();
    let elements: Option<Vec<&RawValue>> = serde_json::from_str(array).ok()?;
    let start = (array.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    Some((start..start + array.len(), elements.unwrap_or_default().into_iter().map(RawValue::get).collect()))
}

fn text(element: &str, key: &str) -> Option<String> {
    let value: Value = serde_json::from_str(element).ok()?;
    value.get(key)?.as_str().map(str::to_owned)
}

/// Each element whose name is new; one without a name is always new.
fn first_by<'a>(elements: impl Iterator<Item = &'a str>, name: impl Fn(&str) -> Option<String>) -> Vec<&'a str> {
    let mut seen = HashMap::new();
    elements.filter(|element| name(element).is_none_or(|name| seen.insert(name, ()).is_none())).collect()
}

/// Of each name the entry whose digest is the most frequent.
fn by_majority<'a>(elements: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let (mut order, mut by_name) = (Vec::new(), HashMap::<String, Vec<(Option<String>, &str, usize)>>::new());
    for element in elements {
        let name = text(element, "name").unwrap_or_else(|| element.to_owned());
        let digest = text(element, "digest");
        let entries = by_name.entry(name.clone()).or_insert_with(|| {
            order.push(name);
            Vec::new()
        });
        match entries.iter_mut().find(|(known, ..)| *known == digest) {
            Some((_, _, times)) => *times += 1,
            None => entries.push((digest, element, 1)),
        }
    }
    let most = |name: &String| {
        let entries = &by_name[name];
        let most = entries.iter().map(|(.., times)| *times).max()?;
        entries.iter().find(|(.., times)| *times == most).map(|(_, element, _)| *element)
    };
    order.iter().filter_map(most).collect()
}

/// The body with the lowest version, as it is.
fn lowest(bodies: &[&[u8]]) -> Option<Vec<u8>> {
    let versions = bodies.iter().map(|body| text(std::str::from_utf8(body).ok()?, "version"));
    let versions = versions.collect::<Option<Vec<_>>>()?;
    let (at, _) = versions.iter().enumerate().min_by_key(|(_, version)| rank(version))?;
    Some(bodies[at].to_vec())
}

/// Numbers before anything else; a release after its pre-releases, and of these numbers before words (semver 2.0.0, 11).
fn rank(version: &str) -> impl Ord {
    let (version, _build) = version.split_once('+').unwrap_or((version, ""));
    let (numbers, pre) = version.split_once('-').unwrap_or((version, ""));
    let numbers: Vec<u64> = numbers.split('.').map(|number| number.parse().unwrap_or(0)).collect();
    let identifiers: Vec<_> = pre.split('.').map(identifier_rank).collect();
    (numbers, pre.is_empty(), identifiers)
}

fn identifier_rank(identifier: &str) -> (bool, u64, &str) {
    match identifier.parse() {
        Ok(number) => (false, number, ""),
        Err(_) => (true, 0, identifier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(listing: Listing, bodies: &[&str]) -> Option<String> {
        let bodies: Vec<_> = bodies.iter().map(|body| body.as_bytes()).collect();
        Some(String::from_utf8(listing.merge(&bodies)?).expect("text"))
    }

    #[test]
    fn models_of_several_servers_are_listed_once_as_one_of_them_writes_them() {
        let one = r#"{ "models" : [ {"name":"a","digest":"1", "new" : {"x":1.0}} , {"name":"b","digest":"2"} ],"z":0}"#;
        let other = r#"{"models":[{"digest":"3","name":"b"},{"name":"c","digest":"4"}]}"#;
        let third = r#"{"models":[{"digest":"3","name":"b"}]}"#;
        let expected = r#"{ "models" : [{"name":"a","digest":"1", "new" : {"x":1.0}},{"digest":"3","name":"b"},{"name":"c","digest":"4"}],"z":0}"#;
        assert_eq!(merged(Listing::Tags, &[one, other, third]).as_deref(), Some(expected));
        let two = merged(Listing::Tags, &[one, other]).expect("lists");
        assert!(two.contains(r#"{"name":"b","digest":"2"}"#), "the first among equals: {two}");
        assert_eq!(merged(Listing::Tags, &[r#"{"models":null}"#, third]).as_deref(), Some(third));
    }

    #[test]
    fn models_in_memory_are_all_listed_and_ids_once() {
        let (one, other) = (r#"{"models":[{"name":"a"}]}"#, r#"{"models":[{"name":"a"},{"name":"b"}]}"#);
        let all = r#"{"models":[{"name":"a"},{"name":"a"},{"name":"b"}]}"#;
        assert_eq!(merged(Listing::Resident, &[one, other]).as_deref(), Some(all));
        let one = r#"{"object":"list","data":[{"id":"a","owned_by":"x"}]}"#;
        let other = r#"{"object":"list","data":[{"id":"a","owned_by":"y"},{"id":"b"}]}"#;
        let all = r#"{"object":"list","data":[{"id":"a","owned_by":"x"},{"id":"b"}]}"#;
        assert_eq!(merged(Listing::Models, &[one, other]).as_deref(), Some(all));
    }

    #[test]
    fn a_listing_is_as_it_came_but_for_what_may_not_be_asked_for() {
        let tags = br#"{ "x":1, "models" : [ {"name":"a"} , {"name":"b","n":1.0}, {"model":"c"} ],"z":0}"#;
        let admitted = |admits: fn(&str) -> bool| Listing::Tags.admitted(tags, admits).expect("a listing");
        assert!(matches!(admitted(|_| true), Cow::Borrowed(body) if body == tags));
        let left = br#"{ "x":1, "models" : [{"name":"b","n":1.0},{"model":"c"}],"z":0}"#;
        assert_eq!(admitted(|name| name != "a"), &left[..]);
        let models = br#"{"data":[{"id":"a"}]}"#;
        assert_eq!(Listing::Models.admitted(models, |_| false), Some(Cow::Borrowed(&br#"{"data":[]}"#[..])));
        let version = br#"{"version":"0.33.0"}"#;
        assert_eq!(Listing::Version.admitted(version, |_| false), Some(Cow::Borrowed(&version[..])));
        assert_eq!(Listing::Resident.admitted(b"{}", |_| true), None);
    }

    #[test]
    fn the_version_is_the_lowest_of_all() {
        let of = |version: &str| format!(r#"{{"version":"{version}"}}"#);
        for (versions, lowest) in [
            (["0.10.0", "0.9.9"], "0.9.9"),
            (["0.33.0", "0.33.0-rc2"], "0.33.0-rc2"),
            (["1.0", "0.99.99"], "0.99.99"),
            (["0.33.0-rc.10", "0.33.0-rc.2"], "0.33.0-rc.2"),
            (["0.33.0-rc.1.x", "0.33.0-rc.1"], "0.33.0-rc.1"),
            (["0.33.1+a", "0.33.0+b"], "0.33.0+b"),
        ] {
            let bodies = versions.map(of);
            assert_eq!(merged(Listing::Version, &[&bodies[0], &bodies[1]]), Some(of(lowest)));
        }
    }

    #[test]
    fn whatever_is_merged_is_json_of_elements_that_came() {
        let whole = br#"{"x":[1],"models":[{"name":"a","digest":"1"},{"name":"b"},3,"\u00e9]"],"y":{"models":[2]}}"#;
        let (mut state, mut merges) = (1_u64, 0);
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let mut bodies = [whole.to_vec(), whole.to_vec()];
            for body in &mut bodies {
                for _ in 0..random(3) {
                    let at = random(body.len());
                    body[at] = b"[]{},:\"\\1 a"[random(11)];
                }
            }
            let Some(merged) = Listing::Tags.merge(&[&bodies[0], &bodies[1]]) else { continue };
            let (_, elements) = array(&merged, "models").expect("what is merged is a listing");
            let came: Vec<_> = bodies.iter().flat_map(|body| array(body, "models").expect("it was merged").1).collect();
            assert!(elements.iter().all(|element| came.contains(element)), "{}", String::from_utf8_lossy(&merged));
            merges += 1;
        }
        assert!(merges > 2_000, "{merges}");
    }

    #[test]
    fn what_is_no_listing_is_not_merged() {
        let fine = r#"{"models":[]}"#;
        for wrong in ["", "[]", "{}", r#"{"models":{}}"#, r#"{"error":"x"}"#, "\u{0}"] {
            assert_eq!(merged(Listing::Tags, &[fine, wrong]), None, "{wrong}");
        }
        assert_eq!((Listing::of("/api/tags"), Listing::of("/api/chat")), (Some(Listing::Tags), None));
        assert_eq!(merged(Listing::Version, &[r#"{"version":1}"#]), None);
    }
}
