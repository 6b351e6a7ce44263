//! The values that the scanner visits, for valid and malformed JSON, at every split.

use super::*;
use crate::wire::event::{Defect, Defects};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Text,
    Count,
    Quantity,
    Flag,
    Present,
    Truthy,
    Length,
    Inner,
    Element,
    ElementText,
}

static OBJECT: Object<Field> = Object::new(&[
    ("text", Want::Text(Field::Text)),
    ("count", Want::Count(Field::Count)),
    ("quantity", Want::Quantity(Field::Quantity)),
    ("flag", Want::Flag(Field::Flag)),
    ("present", Want::Present(Field::Present)),
    ("truthy", Want::Truthy(Field::Truthy)),
    ("length", Want::Length(Field::Length)),
    ("object", Want::Object(&INNER)),
    ("each", Want::Each(Field::Element, &Want::Object(&ELEMENT))),
]);
static INNER: Object<Field> = Object::new(&[("count", Want::Count(Field::Inner))]);
static ELEMENT: Object<Field> = Object::new(&[("text", Want::Text(Field::ElementText))]);

/// The visited values as text.
#[derive(Default)]
struct Visited(Vec<String>);

impl Visit<Field> for Visited {
    fn value(&mut self, field: Field, value: Value<'_>) {
        let value = match value {
            Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        self.0.push(format!("{field:?} {value}"));
    }
}

struct Read {
    visited: Vec<String>,
    done: bool,
    defects: Vec<(Defect, u32)>,
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut scanner, mut visited) = (Scanner::new(&OBJECT), Visited::default());
    for piece in pieces {
        scanner.read(piece, &mut visited);
    }
    Read { visited: visited.0, done: scanner.is_done(), defects: scanner.defects().iter().collect() }
}

/// Reads it whole, split at every byte, and byte by byte: always the same.
fn read_anyhow(json: &str) -> Read {
    let bytes = json.as_bytes();
    let whole = read([bytes]);
    for at in 0..=bytes.len() {
        let split = read([&bytes[..at], &bytes[at..]]);
        assert_eq!((&split.visited, split.done), (&whole.visited, whole.done), "{json} split at {at}");
        assert_eq!(split.defects, whole.defects, "{json} split at {at}");
    }
    assert_eq!(read(bytes.chunks(1)).visited, whole.visited, "{json} byte by byte");
    whole
}

#[track_caller]
fn visits(json: &str, visited: &[&str]) {
    let read = read_anyhow(json);
    assert_eq!(read.visited, visited, "{json}");
    assert!(read.done, "{json} is whole");
    assert_eq!(read.defects, [], "{json} is as documented");
}

#[track_caller]
fn defect(json: &str, defect: Defect, visited: &[&str]) {
    let read = read_anyhow(json);
    assert_eq!(read.visited, visited, "{json}");
    assert_eq!(read.defects, [(defect, 1)], "{json}");
}

#[test]
fn wanted_values_are_visited_and_others_skipped() {
    visits(
        r#"{"a":{"text":"no"},"text":"yes","b":[1,{"count":2},"]",[[]]],"count":3,"flag":true,"c":"\"}","quantity":0.5}"#,
        &["Text yes", "Count Count(3)", "Flag Is(true)", "Quantity Quantity(0.5)"],
    );
    visits(r#"{}"#, &[]);
    visits(r#"{"object":{"count":1,"text":"no"},"count":2}"#, &["Inner Count(1)", "Count Count(2)"]);
}

#[test]
fn space_is_allowed_wherever_the_grammar_has_it() {
    let json = " \t\r\n{ \"text\" : \"a\" , \"each\" : [ { \"text\" : \"b\" } , { } ] , \"length\" : [ 1 , 2 ] , \"x\" : [ ] }";
    visits(json, &["Text a", "ElementText b", "Element Ended", "Element Ended", "Length Length(2)"]);
}

#[test]
fn presence_means_not_empty() {
    for (value, there) in
        [(r#""x""#, true), (r#""""#, false), ("[0]", true), ("[]", false), (r#"{"a":1}"#, true), ("{}", false)]
    {
        let visited = format!("Present Is({there})");
        visits(&format!(r#"{{"present":{value}}}"#), &[&visited]);
        let visited = format!("Truthy Is({there})");
        visits(&format!(r#"{{"truthy":{value}}}"#), &[&visited]);
    }
    visits(r#"{"present":"\"","truthy":false}"#, &["Present Is(true)", "Truthy Is(false)"]);
}

#[test]
fn elements_are_counted_however_deep_they_are() {
    visits(r#"{"length":[{"a":[1,2]},[[],[]],"x,y",null]}"#, &["Length Length(4)"]);
    visits(r#"{"length":[]}"#, &["Length Length(0)"]);
}

#[test]
fn null_is_unknown_and_no_defect() {
    for key in ["text", "count", "quantity", "flag", "present", "truthy", "length", "object", "each"] {
        visits(&format!(r#"{{"{key}":null}}"#), &[]);
    }
    visits("null ", &[]);
}

#[test]
fn a_repeated_key_is_visited_again() {
    visits(r#"{"count":1,"count":2,"text":"a","text":"b"}"#, &["Count Count(1)", "Count Count(2)", "Text a", "Text b"]);
}

#[test]
fn escapes_are_resolved_in_keys_and_texts() {
    visits(r#"{"t\u0065xt":"a\"\ud83d\ude00\n"}"#, &["Text a\"\u{1f600}\n"]);
    visits(r#"{"text\\":"no","\"text":"no","text":"\\"}"#, &["Text \\"]);
}

#[test]
fn a_value_of_another_type_is_a_defect_and_nothing_more() {
    let cases = [
        ("text", "5"),
        ("text", "[1]"),
        ("count", r#""5""#),
        ("count", "{}"),
        ("count", "true"),
        ("flag", "1"),
        ("flag", r#""true""#),
        ("present", "true"),
        ("length", r#""x""#),
        ("length", "{}"),
        ("object", "[]"),
        ("object", r#""x""#),
        ("each", "{}"),
    ];
    for (key, value) in cases {
        defect(&format!(r#"{{"{key}":{value},"x":1}}"#), Defect::Type, &[]);
    }
    defect(r#"{"each":["x"],"count":1}"#, Defect::Type, &["Element Ended", "Count Count(1)"]);
    defect(r#"[{"count":1}]"#, Defect::Type, &[]);
}

#[test]
fn an_absurd_number_is_a_defect_and_nothing_more() {
    for value in ["-1", "1.5", "1e400", "NaN", "-Infinity", "18446744073709551616"] {
        defect(&format!(r#"{{"count":{value},"flag":true}}"#), Defect::Number, &["Flag Is(true)"]);
    }
    visits(r#"{"count":1.0}"#, &["Count Count(1)"]);
    visits(r#"{"x":NaN,"count":1}"#, &["Count Count(1)"]);
}

#[test]
fn malformed_json_is_one_defect() {
    for json in
        ["x", "{x", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,", "{\"each\":[{]", "{\"a\" 1", "\"a\"", "5", "nul,"]
    {
        let read = read_anyhow(json);
        assert_eq!((read.done, read.defects), (false, vec![(Defect::Json, 1)]), "{json}");
    }
}

#[test]
fn a_text_above_the_limit_is_unknown() {
    let long = "x".repeat(Text::MAX + 1);
    for json in [format!(r#"{{"text":"{long}","count":1}}"#), format!(r#"{{"text":"\n{long}","count":1}}"#)] {
        let read = read([json.as_bytes()]);
        assert_eq!(
            (read.visited, read.defects),
            (vec!["Text ".into(), "Count Count(1)".into()], vec![(Defect::TooLong, 1)])
        );
    }
    let exact = "y".repeat(Text::MAX);
    visits(&format!(r#"{{"text":"{exact}"}}"#), &[&format!("Text {exact}")]);
}

#[test]
fn a_number_or_word_above_the_limit_is_unknown_at_every_split() {
    let zeros = "0".repeat(Text::MAX);
    for scalar in [format!("1.{zeros}"), "n".repeat(Text::MAX + 1)] {
        defect(&format!(r#"{{"count":{scalar},"text":"b"}}"#), Defect::TooLong, &["Text b"]);
    }
    let longest = "0".repeat(Text::MAX - 2);
    visits(&format!(r#"{{"count":1.{longest}}}"#), &["Count Count(1)"]);
}

#[test]
fn nesting_of_a_hundred_thousand_is_skipped() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let json = format!(r#"{{"x":{}1{},"count":7}}"#, open.repeat(100_000), close.repeat(100_000));
        let read = read(json.as_bytes().chunks(4096));
        assert_eq!((read.visited, read.done, read.defects), (vec!["Count Count(7)".into()], true, vec![]));
    }
}

#[test]
fn invalid_utf8_is_passed_on_or_over() {
    let read = read([&b"{\"x\":\"\xff\xfe\",\"text\":\"\xff\",\"count\":1}"[..]]);
    assert_eq!((read.visited, read.done), (vec!["Text \u{fffd}".into(), "Count Count(1)".into()], true));
    assert_eq!(read.defects, Defects::default().iter().collect::<Vec<_>>());
}

#[test]
fn reading_stops_where_the_value_ends() {
    let mut scanner = Scanner::new(&OBJECT);
    let visited = &mut Visited::default();
    assert_eq!(scanner.read(br#" {"a":[]} {"#, visited), 9);
    assert!(scanner.is_done());
    scanner.reset();
    assert!(scanner.is_blank());
    assert_eq!(scanner.read(br#" {}"#, visited), 3);
    assert!(scanner.is_done());
}
