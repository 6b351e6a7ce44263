//! What is unknown: `null` in its place, and the reason by JSON pointer in `unknown` at the top of the answer.

use std::borrow::Cow;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Why something is unknown. It is written in the place of the value, until [`resolve`] moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The source does not report it.
    NotReported,
    /// It concerns another machine.
    NotLocal,
    /// What would know it is not configured.
    NotConfigured,
    /// It does not apply here.
    NotApplicable,
    /// It is not known yet.
    NotYet,
    /// Nothing happened that could tell.
    NoSamples,
    /// A process serves several, and cannot be divided among them.
    SharedProcess,
    /// Its source could not be read.
    CollectorFailed,
}

impl Reason {
    /// Every reason.
    const ALL: [Self; 8] = [
        Self::NotReported,
        Self::NotLocal,
        Self::NotConfigured,
        Self::NotApplicable,
        Self::NotYet,
        Self::NoSamples,
        Self::SharedProcess,
        Self::CollectorFailed,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::NotReported => "not_reported",
            Self::NotLocal => "not_local",
            Self::NotConfigured => "not_configured",
            Self::NotApplicable => "not_applicable",
            Self::NotYet => "not_yet",
            Self::NoSamples => "no_samples",
            Self::SharedProcess => "shared_process",
            Self::CollectorFailed => "collector_failed",
        }
    }
}

/// The key of an object that takes the place of an unknown value until [`resolve`] has seen it. No name has a NUL.
const MARK: &str = "\0unknown";

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut mark = serializer.serialize_map(Some(1))?;
        mark.serialize_entry(MARK, self.as_str())?;
        mark.end()
    }
}

impl PartialSchema for Reason {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).description(Some("Unknown; `unknown` has the reason.")).into()
    }
}

impl ToSchema for Reason {
    fn name() -> Cow<'static, str> {
        "Null".into()
    }
}

/// A value, or why it is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Maybe<T> {
    Known(T),
    Unknown(Reason),
}

impl<T> Maybe<T> {
    pub(crate) const fn as_ref(&self) -> Maybe<&T> {
        match self {
            Self::Known(value) => Maybe::Known(value),
            Self::Unknown(reason) => Maybe::Unknown(*reason),
        }
    }

    pub(crate) const fn as_mut(&mut self) -> Maybe<&mut T> {
        match self {
            Self::Known(value) => Maybe::Known(value),
            Self::Unknown(reason) => Maybe::Unknown(*reason),
        }
    }

    pub(crate) const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Maybe<U> {
        match self {
            Self::Known(value) => Maybe::Known(f(value)),
            Self::Unknown(reason) => Maybe::Unknown(reason),
        }
    }

    pub(crate) fn and_then<U>(self, f: impl FnOnce(T) -> Maybe<U>) -> Maybe<U> {
        match self {
            Self::Known(value) => f(value),
            Self::Unknown(reason) => Maybe::Unknown(reason),
        }
    }
}

/// Gives an absent value its reason.
pub(crate) trait OrUnknown<T> {
    fn or_unknown(self, reason: Reason) -> Maybe<T>;
}

impl<T> OrUnknown<T> for Option<T> {
    fn or_unknown(self, reason: Reason) -> Maybe<T> {
        self.map_or(Maybe::Unknown(reason), Maybe::Known)
    }
}

/// The sum of what is known of some things. Unknown where there are things and nothing is known of any, and 0 without things.
pub(crate) fn known_sum(values: impl Iterator<Item = Option<f64>>) -> Maybe<f64> {
    let (mut sum, mut are_there) = (None, false);
    for value in values {
        are_there = true;
        sum = value.map(|value| sum.unwrap_or(0.0) + value).or(sum);
    }
    match sum {
        Some(sum) => Maybe::Known(sum),
        None if are_there => Maybe::Unknown(Reason::NotReported),
        None => Maybe::Known(0.0),
    }
}

/// The reasons of an answer, by JSON pointer. An endpoint leaves it empty; the reply fills it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Unknown {}

impl PartialSchema for Unknown {
    fn schema() -> RefOr<Schema> {
        let reasons = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Reason::ALL.map(Reason::as_str)));
        let text = "Why a value is `null`, by its JSON pointer.";
        ObjectBuilder::new().description(Some(text)).additional_properties(Some(Schema::from(reasons))).into()
    }
}

impl ToSchema for Unknown {}

/// The JSON of an answer, with `null` for what is unknown and the reasons in its `unknown`.
pub(crate) fn resolve(body: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(body).expect("strings, numbers, lists and objects with names only");
    let mut reasons = serde_json::Map::new();
    visit(&mut value, &mut String::new(), &mut reasons);
    if let Value::Object(fields) = &mut value {
        fields.insert("unknown".to_owned(), Value::Object(reasons));
    }
    value
}

fn visit(value: &mut Value, pointer: &mut String, reasons: &mut serde_json::Map<String, Value>) {
    let length = pointer.len();
    match value {
        Value::Object(fields) => {
            if let Some(reason) = fields.remove(MARK) {
                reasons.insert(pointer.clone(), reason);
                *value = Value::Null;
                return;
            }
            for (name, inner) in fields {
                pointer.push('/');
                push_escaped(pointer, name);
                visit(inner, pointer, reasons);
                pointer.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter_mut().enumerate() {
                pointer.push('/');
                pointer.push_str(itoa::Buffer::new().format(index));
                visit(inner, pointer, reasons);
                pointer.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Appends a name as RFC 6901, 3, has it. Few names need more than a copy.
fn push_escaped(pointer: &mut String, name: &str) {
    if name.contains(['~', '/']) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Answer {
        a: Maybe<u8>,
        list: Vec<Maybe<u8>>,
        map: BTreeMap<&'static str, Maybe<bool>>,
        unknown: Unknown,
    }

    #[test]
    fn a_sum_of_things_of_which_nothing_is_known_is_unknown_and_no_zero() {
        let of = |values: &[Option<f64>]| known_sum(values.iter().copied());
        assert_eq!(of(&[None, None]), Maybe::Unknown(Reason::NotReported));
        assert_eq!(of(&[None, Some(1.5), None, Some(2.0)]), Maybe::Known(3.5));
        assert_eq!(of(&[]).known().map(ToString::to_string), Some("0".to_owned()), "and not -0");
    }

    #[test]
    fn an_unknown_value_is_null_and_its_reason_is_found_by_its_pointer() {
        let answer = Answer {
            a: None.or_unknown(Reason::NotYet),
            list: vec![Maybe::Known(3), Maybe::Unknown(Reason::NoSamples)],
            map: [("x/y~", Maybe::Unknown(Reason::NotLocal)), ("z", Maybe::Known(true))].into(),
            unknown: Unknown::default(),
        };
        let value = resolve(&answer);
        let expected = json!({
            "a": null, "list": [3, null], "map": {"x/y~": null, "z": true},
            "unknown": {"/a": "not_yet", "/list/1": "no_samples", "/map/x~1y~0": "not_local"},
        });
        assert_eq!(value, expected);
        for pointer in expected["unknown"].as_object().expect("an object").keys() {
            assert_eq!(value.pointer(pointer), Some(&Value::Null), "{pointer}");
        }
    }
}
