//! What a shape tells is what reading in full tells, byte for byte of difference.

use super::super::table::{Object, Want};
use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Model,
    Text,
    Error,
    Count,
    Quantity,
    Done,
    Length,
    Item,
}

static OBJECT: Object<Field> = Object::new(&[
    ("model", Want::Text(Field::Model)),
    ("message", Want::Object(&MESSAGE)),
    ("error", Want::Truthy(Field::Error)),
    ("count", Want::Count(Field::Count)),
    ("quantity", Want::Quantity(Field::Quantity)),
    ("done", Want::Flag(Field::Done)),
    ("length", Want::Length(Field::Length)),
    ("items", Want::Each(Field::Item, &Want::Object(&MESSAGE))),
]);
static MESSAGE: Object<Field> = Object::new(&[("content", Want::Present(Field::Text))]);

/// Everything that can be in a gap, and everything that cannot.
const ELEMENT: &str = "{\"model\":\"m\\u00e9\",\"at\":\"12:00\",\"n\":17,\"x\":{\"y\":[1,\"2\"]},\"message\":{\"content\":\" a\"},\
                       \"count\":12,\"quantity\":0.5,\"error\":\"\",\"length\":[1,\"b\",{}],\
                       \"items\":[{\"content\":\"b\",\"z\":null},{}],\"done\":false}";

/// What was told, as text, so that it can be kept.
#[derive(Default)]
struct Log(Vec<String>);

impl Visit<Field> for Log {
    fn value(&mut self, field: Field, value: Value<'_>) {
        self.0.push(format!("{field:?} {value:?}"));
    }
}

/// A scanner that has read the element often enough to know its shape.
fn taught(element: &str) -> Scanner<Field> {
    let mut scanner = Scanner::new(&OBJECT);
    for _ in 0..BEFORE_FIRST {
        scanner.read(element.as_bytes(), &mut Log::default());
        scanner.reset();
    }
    scanner
}

/// One that has also seen which gaps vary: the time and the text.
fn taught_twice() -> Scanner<Field> {
    let mut scanner = taught(ELEMENT);
    let second = ELEMENT.replacen("12:00", "12:01", 1).replacen("\" a\"", "\" b\"", 1);
    scanner.read(second.as_bytes(), &mut Log::default());
    scanner.reset();
    scanner
}

/// Reads one element: what was told, where it ends, whether it is whole, and what was wrong.
fn read(scanner: &mut Scanner<Field>, element: &[u8]) -> (Vec<String>, usize, bool, Defects) {
    let mut log = Log::default();
    let end = scanner.read(element, &mut log);
    (log.0, end, scanner.is_done(), scanner.defects())
}

fn fits(element: &str, other: &str) -> bool {
    let mut scanner = taught(element);
    read(&mut scanner, other.as_bytes());
    scanner.lessons.fitted == 1
}

#[test]
fn an_element_that_differs_only_in_its_gaps_fits() {
    assert!(fits(ELEMENT, ELEMENT));
    for (there, other) in [
        ("\" a\"", "\"\""),
        ("\" a\"", "\"a \\\" and \\\\\""),
        ("12:00", "12:00:00.123456789"),
        ("17", "-1.5e9"),
        ("17", "null"),
        ("12,", "0,"),
        ("\"error\":\"\"", "\"error\":\"no\""),
        ("[1,\"b\"", "[-2,\"\""),
    ] {
        assert!(ELEMENT.contains(there));
        assert!(fits(ELEMENT, &ELEMENT.replacen(there, other, 1)), "{there} {other}");
    }
}

#[test]
fn whatever_differs_elsewhere_does_not_fit() {
    for (there, other) in [
        ("false", "true"),
        ("0.5", "0.6"),
        ("12,", "1.0,"),
        ("12,", "012,"),
        ("12,", "null,"),
        ("\"m\\u00e9\"", "\"m\""),
        ("17", "[]"),
        ("17", "+1"),
        ("\" a\"", "null"),
        ("[1,\"b\"", "[1,2,\"b\""),
        (",{}]", "]"),
        ("\"at\"", "\"au\""),
    ] {
        assert!(ELEMENT.contains(there));
        assert!(!fits(ELEMENT, &ELEMENT.replacen(there, other, 1)), "{there} {other}");
    }
}

#[test]
fn what_stays_the_same_is_no_gap_until_it_varies() {
    let gaps = |scanner: &Scanner<Field>| scanner.lessons.shape.as_ref().map_or(0, |shape| shape.gaps.len());
    let mut scanner = taught_twice();
    assert!(gaps(&scanner) < gaps(&taught(ELEMENT)));
    let (later, last) = (ELEMENT.replacen("17", "18", 1), ELEMENT.replacen("17", "19", 1));
    let missed = std::iter::repeat_n(&*later, (2 * BEFORE_FIRST) as usize);
    for element in [ELEMENT].into_iter().chain(missed).chain([ELEMENT, &last]) {
        read(&mut scanner, element.as_bytes());
        scanner.reset();
    }
    assert_eq!((scanner.lessons.varies, gaps(&scanner)), (true, gaps(&taught(ELEMENT))));
    assert_eq!(scanner.lessons.fitted, 2);
}

#[test]
fn every_change_of_a_byte_is_told_as_reading_in_full_tells_it() {
    let same = |element: &[u8]| {
        let expected = read(&mut Scanner::new(&OBJECT), element);
        for mut scanner in [taught(ELEMENT), taught_twice()] {
            assert_eq!(read(&mut scanner, element), expected, "{}", String::from_utf8_lossy(element));
        }
    };
    for at in 0..ELEMENT.len() {
        let (before, after) = ELEMENT.as_bytes().split_at(at);
        same(&[before, &after[1..]].concat());
        same(before);
        for byte in br#""\{}[],:0-.ea n"# {
            same(&[before, &[*byte], after].concat());
            same(&[before, &[*byte], &after[1..]].concat());
        }
    }
}

#[test]
fn what_follows_an_element_is_left() {
    let mut scanner = taught(ELEMENT);
    let (_, end, done, _) = read(&mut scanner, format!("{ELEMENT} {ELEMENT}").as_bytes());
    assert_eq!((end, done, scanner.lessons.fitted), (ELEMENT.len(), true, 1));
}

#[test]
fn one_element_teaches_nothing_and_neither_does_what_is_not_as_documented() {
    let mut scanner = Scanner::new(&OBJECT);
    read(&mut scanner, ELEMENT.as_bytes());
    assert!(scanner.lessons.shape.is_none());
    assert!(taught("{\"count\":-1}").lessons.shape.is_none());
    assert!(taught("[1]").lessons.shape.is_none());
}

#[test]
fn what_is_kept_is_bounded() {
    let long = "x".repeat(MAX_BYTES);
    for (element, kept) in [
        (format!("{{\"at\":\"{long}\"}}"), true),
        (format!("{{\"{long}\":1}}"), false),
        (format!("{{\"at\":[{}1]}}", "\"\",".repeat(MAX_ELEMENT)), false),
        (format!("{{\"length\":[{}1]}}", "1,".repeat(MAX_GAPS - 1)), true),
        (format!("{{\"length\":[{}1]}}", "1,".repeat(MAX_GAPS)), false),
        (format!("{{\"items\":[{}1]}}", "{},".repeat(MAX_TOLD)), false),
    ] {
        assert_eq!(taught(&element).lessons.shape.is_some(), kept, "{element:.40}");
    }
}

#[test]
fn lessons_that_do_not_pay_become_rare_and_those_that_pay_do_not() {
    // Elements alike come in runs of so many.
    let read_in_full = |run: usize| {
        let (mut scanner, mut in_full) = (Scanner::new(&OBJECT), 0);
        for element in 0..10_000 {
            let fitted = scanner.lessons.fitted;
            read(&mut scanner, format!("{{\"k{}\":1}}", element / run).as_bytes());
            in_full += usize::from(scanner.lessons.fitted <= fitted);
            scanner.reset();
        }
        (in_full, scanner.lessons.patience)
    };
    assert_eq!(read_in_full(1), (10_000, MAX_BETWEEN));
    let (in_full, patience) = read_in_full(100);
    assert!(in_full < 120 && patience == 1, "{in_full} {patience}");
}
