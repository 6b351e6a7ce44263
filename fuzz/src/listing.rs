//! Lists of several servers that are merged by splicing: every element is one that came, and what is around them too.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use inferometer::wire::listing::Listing;
use serde_json::Value;

/// Between the bodies of an input: no JSON has it.
const BETWEEN: u8 = 0x1e;

/// Runs the target `listing`: the kind of list, and the bodies of several servers. Gives how many elements were listed.
pub fn listing(input: &[u8]) -> usize {
    let [kind, bodies @ ..] = input else { return 0 };
    let kind = Listing::ALL[usize::from(*kind) % Listing::ALL.len()];
    let bodies: Vec<_> = bodies.split(|byte| *byte == BETWEEN).collect();
    let Some(merged) = kind.merge(&bodies) else {
        let is_alone = |body: &&[u8]| kind.merge(&[body]).is_none();
        assert!(bodies.iter().any(is_alone), "what each is a list merges");
        return 0;
    };
    assert_eq!(kind.merge(&[&merged]).as_deref(), Some(&*merged), "what is merged is a list that stays as it is");
    if kind == Listing::Version {
        return version(&merged, &bodies);
    }
    let key = if kind == Listing::Models { "data" } else { "models" };
    let parts: Vec<_> = bodies.iter().map(|body| Parts::of(body, key)).collect();
    let (first, spliced) = (&parts[0], Parts::of(&merged, key));
    assert_eq!((spliced.before, spliced.after), (first.before, first.after), "what is around it is the first server's");
    let came: Vec<_> = parts.iter().flat_map(|part| part.elements.iter().copied()).collect();
    if kind == Listing::Resident {
        assert_eq!(spliced.elements, came);
        return came.len();
    }
    let (name, digest) = if kind == Listing::Models { ("id", "") } else { ("name", "digest") };
    let entries = entries(&came, name, digest);
    assert_eq!(spliced.elements.len(), entries.len(), "each name once");
    for (element, of_name) in spliced.elements.iter().zip(&entries) {
        let most = of_name.values().map(|(_, times)| *times).max();
        let chosen = of_name.values().find(|(first, _)| first == element);
        assert!(chosen.is_some_and(|(_, times)| digest.is_empty() || Some(*times) == most), "{element:?}");
    }
    came.len()
}

/// The different entries of each name in the order of their arrival, by their digest, with the first of each and how many
/// there are.
type Entries<'a> = Vec<BTreeMap<Option<String>, (&'a [u8], usize)>>;

fn entries<'a>(elements: &[&'a [u8]], name: &str, digest: &str) -> Entries<'a> {
    let (mut order, mut known) = (Entries::new(), BTreeMap::new());
    for element in elements {
        let text = |key: &str| {
            let value: Value = serde_json::from_slice(element).ok()?;
            value.get(key)?.as_str().map(str::to_owned)
        };
        let place = |order: &mut Entries<'a>| {
            order.push(BTreeMap::new());
            order.len() - 1
        };
        let at = match text(name) {
            Some(name) => *known.entry(name).or_insert_with(|| place(&mut order)),
            // Without a name it is like another that is written alike, where digests are counted.
            None if digest.is_empty() => place(&mut order),
            None => *known.entry(String::from_utf8_lossy(element).into()).or_insert_with(|| place(&mut order)),
        };
        let digest = if digest.is_empty() { None } else { text(digest) };
        order[at].entry(digest).or_insert((element, 0)).1 += 1;
    }
    order
}

/// A body around the elements of its array.
struct Parts<'a> {
    before: &'a [u8],
    elements: Vec<&'a [u8]>,
    after: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits a body that is known to be a list under this key.
    fn of(body: &'a [u8], key: &str) -> Self {
        let mut found = None;
        for member in split(body) {
            let colon = end_of_value(member);
            let name: String = serde_json::from_slice(&member[..colon]).expect("a key");
            let value = member[colon..].trim_ascii_start()[1..].trim_ascii();
            if name == key {
                found = Some(value);
            }
        }
        let value = found.expect("the key");
        let start = value.as_ptr() as usize - body.as_ptr() as usize;
        let elements = if value == b"null" { Vec::new() } else { split(value) };
        Self { before: &body[..start], elements, after: &body[start + value.len()..] }
    }
}

/// The members of an object, or the elements of an array.
fn split(value: &[u8]) -> Vec<&[u8]> {
    let inner = value.trim_ascii();
    let mut rest = inner[1..inner.len() - 1].trim_ascii();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let mut end = end_of_value(rest);
        while rest.get(end).is_some_and(|byte| *byte != b',') {
            end += end_of_value(&rest[end..]).max(1);
        }
        parts.push(rest[..end].trim_ascii());
        rest = rest.get(end + 1..).unwrap_or_default().trim_ascii();
    }
    parts
}

/// How many bytes the text, object, array or scalar at the start takes.
fn end_of_value(bytes: &[u8]) -> usize {
    let (mut depth, mut in_text, mut at) = (0_usize, false, 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' | b':' if depth == 0 => return at - 1,
            _ => {}
        }
        if depth == 0 && !in_text && matches!(byte, b'"' | b'}' | b']') {
            return at;
        }
    }
    at
}

/// What is merged is what one of the servers says, and none says less.
fn version(merged: &[u8], bodies: &[&[u8]]) -> usize {
    assert!(bodies.contains(&merged));
    let of = |body: &[u8]| {
        let value: Value = serde_json::from_slice(body).expect("it was merged");
        value["version"].as_str().expect("a version").to_owned()
    };
    let lowest = of(merged);
    for other in bodies.iter().map(|body| of(body)) {
        let order = precedence(&lowest, &other);
        assert!(order.is_none_or(Ordering::is_le), "{lowest} is not below {other}");
    }
    1
}

/// Which version comes first (semver 2.0.0, 11). `None` where either is not a version.
fn precedence(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (Version::of(one)?, Version::of(other)?);
    Some(one.numbers.cmp(&other.numbers).then_with(|| match (one.pre.is_empty(), other.pre.is_empty()) {
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => {
            let pairs = one.pre.iter().zip(&other.pre).map(|(one, other)| identifiers(one, other));
            pairs.fold(Ordering::Equal, Ordering::then).then(one.pre.len().cmp(&other.pre.len()))
        }
    }))
}

struct Version<'a> {
    numbers: [u64; 3],
    pre: Vec<&'a str>,
}

impl<'a> Version<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (text, build) = text.split_once('+').unwrap_or((text, "0"));
        let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
        let numbers: Vec<_> = numbers.split('.').map(number).collect::<Option<_>>()?;
        let pre: Vec<_> = if text.contains('-') { pre.split('.').collect() } else { Vec::new() };
        let fits = |it: &&str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_zero_led = |it: &&str| it.bytes().all(|byte| byte.is_ascii_digit()) && number(it).is_none();
        let fine = pre.iter().chain(&build.split('.').collect::<Vec<_>>()).all(fits) && !pre.iter().any(is_zero_led);
        Some(Self { numbers: numbers.try_into().ok()?, pre }).filter(|_| fine)
    }
}

/// A number of digits alone that does not begin with a zero.
fn number(text: &str) -> Option<u64> {
    let is_one = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_one)
}

fn identifiers(one: &str, other: &str) -> Ordering {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}
