//! What the scanner tells, for JSON good and bad, split anywhere.

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

/// What was told, as text, so that it can be kept.
#[derive(Default)]
struct Told(Vec<String>);

impl Visit<Field> for Told {
    fn value(&mut self, field: Field, value: Value<'_>) {
        let value = match value {
            Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        self.0.push(format!("{field:?} {value}"));
    }
}

struct Read {
    told: Vec<String>,
    done: bool,
    defects: Vec<(Defect, u32)>,
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut scanner, mut told) = (Scanner::new(&OBJECT), Told::default());
    for piece in pieces {
        scanner.read(piece, &mut told);
    }
    Read { told: told.0, done: scanner.is_done(), defects: scanner.defects().iter().collect() }
}

/// Reads it whole, split at every byte, and byte by byte: always the same.
fn read_anyhow(json: &str) -> Read {
    let bytes = json.as_bytes();
    let whole = read([bytes]);
    for at in 0..=bytes.len() {
        let split = read([&bytes[..at], &bytes[at..]]);
        assert_eq!((&split.told, split.done), (&whole.told, whole.done), "{json} split at {at}");
        assert_eq!(split.defects, whole.defects, "{json} split at {at}");
    }
    assert_eq!(read(bytes.chunks(1)).told, whole.told, "{json} byte by byte");
    whole
}

#[track_caller]
fn tells(json: &str, told: &[&str]) {
    let read = read_anyhow(json);
    assert_eq!(read.told, told, "{json}");
    assert!(read.done, "{json} is whole");
    assert_eq!(read.defects, [], "{json} is as documented");
}

#[track_caller]
fn defect(json: &str, defect: Defect, told: &[&str]) {
    let read = read_anyhow(json);
    assert_eq!(read.told, told, "{json}");
    assert_eq!(read.defects, [(defect, 1)], "{json}");
}

#[test]
fn wanted_values_are_told_and_others_are_passed_over() {
    tells(
        r#"{"a":{"text":"no"},"text":"yes","b":[1,{"count":2},"]",[[]]],"count":3,"flag":true,"c":"\"}","quantity":0.5}"#,
        &["Text yes", "Count Count(3)", "Flag Is(true)", "Quantity Quantity(0.5)"],
    );
    tells(r#"{}"#, &[]);
    tells(r#"{"object":{"count":1,"text":"no"},"count":2}"#, &["Inner Count(1)", "Count Count(2)"]);
}

#[test]
fn space_is_allowed_wherever_the_grammar_has_it() {
    let json = " \t\r\n{ \"text\" : \"a\" , \"each\" : [ { \"text\" : \"b\" } , { } ] , \"length\" : [ 1 , 2 ] , \"x\" : [ ] }";
    tells(json, &["Text a", "ElementText b", "Element Ended", "Element Ended", "Length Length(2)"]);
}

#[test]
fn presence_means_not_empty() {
    for (value, there) in
        [(r#""x""#, true), (r#""""#, false), ("[0]", true), ("[]", false), (r#"{"a":1}"#, true), ("{}", false)]
    {
        let told = format!("Present Is({there})");
        tells(&format!(r#"{{"present":{value}}}"#), &[&told]);
        let told = format!("Truthy Is({there})");
        tells(&format!(r#"{{"truthy":{value}}}"#), &[&told]);
    }
    tells(r#"{"present":"\"","truthy":false}"#, &["Present Is(true)", "Truthy Is(false)"]);
}

#[test]
fn elements_are_counted_however_deep_they_are() {
    tells(r#"{"length":[{"a":[1,2]},[[],[]],"x,y",null]}"#, &["Length Length(4)"]);
    tells(r#"{"length":[]}"#, &["Length Length(0)"]);
}

#[test]
fn null_is_unknown_and_no_defect() {
    for key in ["text", "count", "quantity", "flag", "present", "truthy", "length", "object", "each"] {
        tells(&format!(r#"{{"{key}":null}}"#), &[]);
    }
    tells("null ", &[]);
}

#[test]
fn a_repeated_key_is_told_again() {
    tells(r#"{"count":1,"count":2,"text":"a","text":"b"}"#, &["Count Count(1)", "Count Count(2)", "Text a", "Text b"]);
}

#[test]
fn escapes_are_resolved_in_keys_and_texts() {
    tells(r#"{"t\u0065xt":"a\"\ud83d\ude00\n"}"#, &["Text a\"\u{1f600}\n"]);
    tells(r#"{"text\\":"no","\"text":"no","text":"\\"}"#, &["Text \\"]);
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
    tells(r#"{"count":1.0}"#, &["Count Count(1)"]);
    tells(r#"{"x":NaN,"count":1}"#, &["Count Count(1)"]);
}

#[test]
fn what_is_not_json_is_a_defect_once() {
    for json in
        ["x", "{x", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,", "{\"each\":[{]", "{\"a\" 1", "\"a\"", "5", "nul,"]
    {
        let read = read_anyhow(json);
        assert_eq!((read.done, read.defects), (false, vec![(Defect::Json, 1)]), "{json}");
    }
}

#[test]
fn a_text_longer_than_is_kept_is_unknown() {
    let long = "x".repeat(Text::MAX + 1);
    for json in [format!(r#"{{"text":"{long}","count":1}}"#), format!(r#"{{"text":"\n{long}","count":1}}"#)] {
        let read = read([json.as_bytes()]);
        assert_eq!(
            (read.told, read.defects),
            (vec!["Text ".into(), "Count Count(1)".into()], vec![(Defect::TooLong, 1)])
        );
    }
    let exact = "y".repeat(Text::MAX);
    tells(&format!(r#"{{"text":"{exact}"}}"#), &[&format!("Text {exact}")]);
}

#[test]
fn a_number_or_word_longer_than_is_kept_is_unknown_however_it_is_split() {
    let zeros = "0".repeat(Text::MAX);
    for scalar in [format!("1.{zeros}"), "n".repeat(Text::MAX + 1)] {
        defect(&format!(r#"{{"count":{scalar},"text":"b"}}"#), Defect::TooLong, &["Text b"]);
    }
    let longest = "0".repeat(Text::MAX - 2);
    tells(&format!(r#"{{"count":1.{longest}}}"#), &["Count Count(1)"]);
}

#[test]
fn nesting_of_a_hundred_thousand_is_passed_over() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let json = format!(r#"{{"x":{}1{},"count":7}}"#, open.repeat(100_000), close.repeat(100_000));
        let read = read(json.as_bytes().chunks(4096));
        assert_eq!((read.told, read.done, read.defects), (vec!["Count Count(7)".into()], true, vec![]));
    }
}

#[test]
fn invalid_utf8_is_passed_on_or_over() {
    let read = read([&b"{\"x\":\"\xff\xfe\",\"text\":\"\xff\",\"count\":1}"[..]]);
    assert_eq!((read.told, read.done), (vec!["Text \u{fffd}".into(), "Count Count(1)".into()], true));
    assert_eq!(read.defects, Defects::default().iter().collect::<Vec<_>>());
}

#[test]
fn reading_stops_where_the_value_ends() {
    let mut scanner = Scanner::new(&OBJECT);
    let told = &mut Told::default();
    assert_eq!(scanner.read(br#" {"a":[]} {"#, told), 9);
    assert!(scanner.is_done());
    scanner.reset();
    assert!(scanner.is_blank());
    assert_eq!(scanner.read(br#" {}"#, told), 3);
    assert!(scanner.is_done());
}
