//! An incremental parser of property lists in XML that reports numbers and strings.
//!
//! Promises: accepts any bytes in any pieces without a panic; memory does not grow with the input; a document that is
//! not well nested has no [`Event::End`]. Left out: what `powermetrics` does not write (CDATA, entities in names, dates
//! and data as values).

/// Deepest nesting; `powermetrics` uses seven levels.
const MAX_DEPTH: usize = 32;

/// Longest tag, key or value, in bytes. None of the wanted ones is longer.
const MAX_TEXT: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Number(f64),
    Text(String),
}

/// What the parser reports.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A value and its keys, the outermost first. Values in arrays are not reported.
    Value(Vec<String>, Scalar),
    /// The end of a well nested document.
    End,
    /// The start of a document. Values before it that had no end are invalid.
    Begin,
}

/// The state between two pieces.
#[derive(Debug, Default)]
pub(crate) struct PlistParser {
    state: ParserState,
    /// The text since the last tag, up to [`MAX_TEXT`] and one byte more.
    text: Vec<u8>,
    /// The current tag so far, up to the same length.
    tag: Vec<u8>,
    /// The last two bytes of a comment.
    tail: [u8; 2],
    open: Vec<OpenElement>,
    /// The document is well nested so far.
    is_valid: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ParserState {
    #[default]
    Text,
    Tag,
    Comment,
}

#[derive(Debug, PartialEq, Eq)]
enum OpenElement {
    /// With the key of the next value; `None` before a key, and for one above [`MAX_TEXT`].
    Dict(Option<String>),
    Array,
}

impl PlistParser {
    /// Parses the next piece.
    pub(crate) fn feed(&mut self, piece: &[u8], mut emit: impl FnMut(Event)) {
        for byte in piece {
            self.feed_byte(*byte, &mut emit);
        }
    }

    fn feed_byte(&mut self, byte: u8, emit: &mut impl FnMut(Event)) {
        match (self.state, byte) {
            // powermetrics writes one before each sample.
            (_, 0) => self.state = ParserState::Text,
            (ParserState::Text, b'<') => {
                self.state = ParserState::Tag;
                self.tag.clear();
            }
            (ParserState::Text, _) => push_bounded(&mut self.text, byte),
            (ParserState::Tag, b'>') => {
                self.state = ParserState::Text;
                self.end_tag(emit);
                self.text.clear();
            }
            (ParserState::Tag, _) => {
                push_bounded(&mut self.tag, byte);
                if self.tag == b"!--" {
                    (self.state, self.tail) = (ParserState::Comment, [0; 2]);
                }
            }
            (ParserState::Comment, b'>') if self.tail == *b"--" => self.state = ParserState::Text,
            (ParserState::Comment, _) => self.tail = [self.tail[1], byte],
        }
    }

    fn end_tag(&mut self, emit: &mut impl FnMut(Event)) {
        let tag = std::mem::take(&mut self.tag);
        let tag = String::from_utf8_lossy(&tag);
        let name = tag.split_ascii_whitespace().next().unwrap_or_default();
        match name.trim_end_matches('/') {
            "plist" => {
                self.open.clear();
                self.is_valid = true;
                emit(Event::Begin);
            }
            _ if !self.is_valid => {}
            "/plist" => {
                if self.open.is_empty() {
                    emit(Event::End);
                }
                self.is_valid = false;
            }
            "dict" | "array" if tag.ends_with('/') => self.clear_key(),
            "dict" => self.push(OpenElement::Dict(None)),
            "array" => self.push(OpenElement::Array),
            "/dict" => self.pop(|element| matches!(element, OpenElement::Dict(_))),
            "/array" => self.pop(|element| *element == OpenElement::Array),
            "/key" => {
                let key = self.trimmed_text();
                match self.open.last_mut() {
                    Some(OpenElement::Dict(next)) => *next = key,
                    _ => self.is_valid = false,
                }
            }
            "/integer" | "/real" => {
                let number =
                    self.trimmed_text().and_then(|text| text.parse().ok()).filter(|number: &f64| number.is_finite());
                self.value(number.map(Scalar::Number), emit);
            }
            "/string" => {
                let text = self.trimmed_text();
                self.value(text.map(Scalar::Text), emit);
            }
            "/date" | "/data" => self.clear_key(),
            "true" | "false" => self.clear_key(),
            _ => {}
        }
    }

    /// `None` where it is too long or not UTF-8.
    fn trimmed_text(&mut self) -> Option<String> {
        let text = std::str::from_utf8(&self.text).ok().filter(|text| text.len() <= MAX_TEXT)?;
        Some(text.trim().to_owned())
    }

    fn push(&mut self, element: OpenElement) {
        if self.open.len() < MAX_DEPTH { self.open.push(element) } else { self.is_valid = false }
    }

    fn pop(&mut self, is_match: impl Fn(&OpenElement) -> bool) {
        match self.open.pop() {
            Some(element) if is_match(&element) => self.clear_key(),
            _ => self.is_valid = false,
        }
    }

    fn clear_key(&mut self) {
        if let Some(OpenElement::Dict(key)) = self.open.last_mut() {
            *key = None;
        }
    }

    fn value(&mut self, value: Option<Scalar>, emit: &mut impl FnMut(Event)) {
        let keys: Option<Vec<String>> = self
            .open
            .iter()
            .map(|element| match element {
                OpenElement::Dict(key) => key.clone(),
                OpenElement::Array => None,
            })
            .collect();
        if let (Some(keys), Some(value)) = (keys.filter(|keys| !keys.is_empty()), value) {
            emit(Event::Value(keys, value));
        }
        self.clear_key();
    }
}

/// Keeps one byte more than [`MAX_TEXT`], so that a longer text is recognised.
fn push_bounded(bytes: &mut Vec<u8>, byte: u8) {
    if bytes.len() <= MAX_TEXT {
        bytes.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut reader, mut events) = (PlistParser::default(), Vec::new());
        for piece in pieces {
            reader.feed(piece, |event| events.push(event));
        }
        events
    }

    fn value(keys: &[&str], scalar: Scalar) -> Event {
        Event::Value(keys.iter().map(ToString::to_string).collect(), scalar)
    }

    #[test]
    fn numbers_and_texts_come_with_their_keys() {
        let document = b"<?xml version=\"1.0\"?><!DOCTYPE plist><plist version=\"1.0\">\n<dict><!-- a > b -->\n\
            <key>a</key><dict><key>b</key><real>1.5</real><key>none</key><dict/><key>c</key><integer>-2</integer></dict>\
            <key>list</key><array><real>7</real><dict><key>d</key><real>8</real></dict></array>\
            <key>yes</key><true/><key>e</key><string>Nominal</string></dict></plist>";
        let expected = [
            Event::Begin,
            value(&["a", "b"], Scalar::Number(1.5)),
            value(&["a", "c"], Scalar::Number(-2.0)),
            value(&["e"], Scalar::Text("Nominal".into())),
            Event::End,
        ];
        assert_eq!(events(&[document]), expected);
    }

    #[test]
    fn a_document_that_is_not_well_nested_has_no_end() {
        for document in [
            "<plist><dict></array></plist>",
            "<plist><dict></plist>",
            "<plist></dict></plist>",
            "<plist><array><key>a</key></array></plist>",
            "</plist>",
        ] {
            assert!(!events(&[document.as_bytes()]).contains(&Event::End), "{document}");
        }
        let deep = "<plist>".to_owned() + &"<dict><key>a</key>".repeat(1000) + &"</dict>".repeat(1000) + "</plist>";
        assert!(!events(&[deep.as_bytes()]).contains(&Event::End));
    }

    #[test]
    fn an_endless_text_takes_bounded_memory() {
        let mut reader = PlistParser::default();
        reader.feed(b"<plist><dict><key>", |_| {});
        for _ in 0..1000 {
            reader.feed(&[b'x'; 1000], |_| {});
        }
        assert!(reader.text.capacity() <= 4 * MAX_TEXT);
        reader.feed(b"</key><", |_| {});
        for _ in 0..1000 {
            reader.feed(&[b'y'; 1000], |_| {});
        }
        assert!(reader.tag.capacity() <= 4 * MAX_TEXT);
    }
}
