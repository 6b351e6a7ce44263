//! A shape gives the values that parsing gives, for a change of any byte.

use super::super::scanner::Scanner;
use super::super::table::Want;
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

/// The visited values as text.
#[derive(Default)]
struct Log(Vec<String>);

impl Visit<Field> for Log {
    fn value(&mut self, field: Field, value: Value<'_>) {
        self.0.push(format!("{field:?} {value:?}"));
    }
}

/// A scanner that has recorded the shape of the element.
fn scanner_with_shape(element: &str) -> Scanner<Field> {
    let mut scanner = Scanner::new(&OBJECT);
    for _ in 0..MISSES_BEFORE_FIRST {
        scanner.read(element.as_bytes(), &mut Log::default());
        scanner.reset();
    }
    scanner
}

/// One that has also seen which gaps vary: the time and the text.
fn scanner_with_narrow_shape() -> Scanner<Field> {
    let mut scanner = scanner_with_shape(ELEMENT);
    let second = ELEMENT.replacen("12:00", "12:01", 1).replacen("\" a\"", "\" b\"", 1);
    scanner.read(second.as_bytes(), &mut Log::default());
    scanner.reset();
    scanner
}

/// Reads one element. Returns its values, its end, whether it is whole, and its defects.
fn read(scanner: &mut Scanner<Field>, element: &[u8]) -> (Vec<String>, usize, bool, Defects) {
    let mut log = Log::default();
    let end = scanner.read(element, &mut log);
    (log.0, end, scanner.is_done(), scanner.defects())
}

fn matches_shape(element: &str, other: &str) -> bool {
    let mut scanner = scanner_with_shape(element);
    read(&mut scanner, other.as_bytes());
    scanner.shapes().hits == 1
}

#[test]
fn an_element_that_differs_only_in_its_gaps_matches() {
    assert!(matches_shape(ELEMENT, ELEMENT));
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
        assert!(matches_shape(ELEMENT, &ELEMENT.replacen(there, other, 1)), "{there} {other}");
    }
}

#[test]
fn an_element_that_differs_outside_its_gaps_does_not_match() {
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
        assert!(!matches_shape(ELEMENT, &ELEMENT.replacen(there, other, 1)), "{there} {other}");
    }
}

#[test]
fn a_constant_content_is_no_gap_until_it_varies() {
    let gaps = |scanner: &Scanner<Field>| scanner.shapes().shape.as_ref().map_or(0, |shape| shape.gaps.len());
    let mut scanner = scanner_with_narrow_shape();
    assert!(gaps(&scanner) < gaps(&scanner_with_shape(ELEMENT)));
    let (later, last) = (ELEMENT.replacen("17", "18", 1), ELEMENT.replacen("17", "19", 1));
    let missed = std::iter::repeat_n(&*later, (2 * MISSES_BEFORE_FIRST) as usize);
    for element in [ELEMENT].into_iter().chain(missed).chain([ELEMENT, &last]) {
        read(&mut scanner, element.as_bytes());
        scanner.reset();
    }
    assert_eq!((scanner.shapes().keeps_gaps, gaps(&scanner)), (true, gaps(&scanner_with_shape(ELEMENT))));
    assert_eq!(scanner.shapes().hits, 2);
}

#[test]
fn every_changed_byte_gives_the_values_that_parsing_gives() {
    let same = |element: &[u8]| {
        let expected = read(&mut Scanner::new(&OBJECT), element);
        for mut scanner in [scanner_with_shape(ELEMENT), scanner_with_narrow_shape()] {
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
fn bytes_after_an_element_are_not_read() {
    let mut scanner = scanner_with_shape(ELEMENT);
    let (_, end, done, _) = read(&mut scanner, format!("{ELEMENT} {ELEMENT}").as_bytes());
    assert_eq!((end, done, scanner.shapes().hits), (ELEMENT.len(), true, 1));
}

#[test]
fn one_element_and_elements_with_defects_are_not_recorded() {
    let mut scanner = Scanner::new(&OBJECT);
    read(&mut scanner, ELEMENT.as_bytes());
    assert!(scanner.shapes().shape.is_none());
    assert!(scanner_with_shape("{\"count\":-1}").shapes().shape.is_none());
    assert!(scanner_with_shape("[1]").shapes().shape.is_none());
}

#[test]
fn a_recorded_shape_is_bounded() {
    let long = "x".repeat(MAX_BYTES);
    for (element, kept) in [
        (format!("{{\"at\":\"{long}\"}}"), true),
        (format!("{{\"{long}\":1}}"), false),
        (format!("{{\"at\":[{}1]}}", "\"\",".repeat(MAX_ELEMENT)), false),
        (format!("{{\"length\":[{}1]}}", "1,".repeat(MAX_GAPS - 1)), true),
        (format!("{{\"length\":[{}1]}}", "1,".repeat(MAX_GAPS)), false),
        (format!("{{\"items\":[{}1]}}", "{},".repeat(MAX_VISITS)), false),
    ] {
        assert_eq!(scanner_with_shape(&element).shapes().shape.is_some(), kept, "{element:.40}");
    }
}

#[test]
fn recordings_that_do_not_pay_become_rare() {
    // Elements alike come in runs of so many.
    let parsed_of = |run: usize| {
        let (mut scanner, mut parsed) = (Scanner::new(&OBJECT), 0);
        for element in 0..10_000 {
            let hits = scanner.shapes().hits;
            read(&mut scanner, format!("{{\"k{}\":1}}", element / run).as_bytes());
            parsed += usize::from(scanner.shapes().hits <= hits);
            scanner.reset();
        }
        (parsed, scanner.shapes().max_misses)
    };
    assert_eq!(parsed_of(1), (10_000, MAX_MISSES_BETWEEN));
    let (parsed, max_misses) = parsed_of(100);
    assert!(parsed < 120 && max_misses == 1, "{parsed} {max_misses}");
}
