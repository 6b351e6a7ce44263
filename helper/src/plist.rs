//! Property lists in XML, read as they stream by: only numbers and texts at the wanted places are kept.
//!
//! Promises: any bytes in any pieces are taken, never a panic; memory does not grow with the input; a document that
//! is not well nested gives nothing. Left out: what `powermetrics` does not write (CDATA, entities in names, dates and
//! data as values).

/// Deepest nesting that is followed; `powermetrics` uses seven.
const DEEPEST: usize = 32;

/// Longest name of a tag, key or value that is kept, in bytes. A longer one is not one of ours.
const LONGEST: usize = 64;

/// A number or a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Number(f64),
    Text(String),
}

/// What a piece of input can bring about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A value under these keys, from the outermost; values in lists are not reported.
    Value(Vec<String>, Scalar),
    /// A document ended, well nested.
    End,
    /// A new document began; whatever came before without an end is void.
    Begin,
}

/// The reader's state between two pieces.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    place: Place,
    /// What stands between the last two tags, up to [`LONGEST`] and one byte.
    text: Vec<u8>,
    /// The tag or comment so far, up to the same.
    tag: Vec<u8>,
    /// The last two bytes of a comment.
    tail: [u8; 2],
    frames: Vec<Frame>,
    sound: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    Tag,
    Comment,
}

#[derive(Debug, PartialEq, Eq)]
enum Frame {
    /// With the key whose value comes next.
    Dict(Option<String>),
    Array,
}

impl Reader {
    /// Takes the next piece.
    pub(crate) fn feed(&mut self, piece: &[u8], mut tell: impl FnMut(Event)) {
        for byte in piece {
            self.take(*byte, &mut tell);
        }
    }

    fn take(&mut self, byte: u8, tell: &mut impl FnMut(Event)) {
        match (self.place, byte) {
            // powermetrics puts one before each sample.
            (_, 0) => self.place = Place::Text,
            (Place::Text, b'<') => {
                self.place = Place::Tag;
                self.tag.clear();
            }
            (Place::Text, _) => keep(&mut self.text, byte),
            (Place::Tag, b'>') => {
                self.place = Place::Text;
                self.tag_ended(tell);
                self.text.clear();
            }
            (Place::Tag, _) => {
                keep(&mut self.tag, byte);
                if self.tag == b"!--" {
                    (self.place, self.tail) = (Place::Comment, [0; 2]);
                }
            }
            (Place::Comment, b'>') if self.tail == *b"--" => self.place = Place::Text,
            (Place::Comment, _) => self.tail = [self.tail[1], byte],
        }
    }

    fn tag_ended(&mut self, tell: &mut impl FnMut(Event)) {
        let tag = std::mem::take(&mut self.tag);
        let tag = String::from_utf8_lossy(&tag);
        let name = tag.split_ascii_whitespace().next().unwrap_or_default();
        match name.trim_end_matches('/') {
            "plist" => {
                self.frames.clear();
                self.sound = true;
                tell(Event::Begin);
            }
            _ if !self.sound => {}
            "/plist" => {
                if self.frames.is_empty() {
                    tell(Event::End);
                }
                self.sound = false;
            }
            "dict" | "array" if tag.ends_with('/') => self.forget_key(),
            "dict" => self.open(Frame::Dict(None)),
            "array" => self.open(Frame::Array),
            "/dict" => self.close(|frame| matches!(frame, Frame::Dict(_))),
            "/array" => self.close(|frame| *frame == Frame::Array),
            "/key" => {
                let key = self.taken_text();
                match self.frames.last_mut() {
                    Some(Frame::Dict(next)) => *next = key,
                    _ => self.sound = false,
                }
            }
            "/integer" | "/real" => {
                let number =
                    self.taken_text().and_then(|text| text.parse().ok()).filter(|number: &f64| number.is_finite());
                self.value(number.map(Scalar::Number), tell);
            }
            "/string" => {
                let text = self.taken_text();
                self.value(text.map(Scalar::Text), tell);
            }
            "/date" | "/data" => self.forget_key(),
            "true" | "false" => self.forget_key(),
            _ => {}
        }
    }

    /// `None` where it is too long or not UTF-8.
    fn taken_text(&mut self) -> Option<String> {
        let text = std::str::from_utf8(&self.text).ok().filter(|text| text.len() <= LONGEST)?;
        Some(text.trim().to_owned())
    }

    fn open(&mut self, frame: Frame) {
        if self.frames.len() < DEEPEST { self.frames.push(frame) } else { self.sound = false }
    }

    fn close(&mut self, fits: impl Fn(&Frame) -> bool) {
        match self.frames.pop() {
            Some(frame) if fits(&frame) => self.forget_key(),
            _ => self.sound = false,
        }
    }

    fn forget_key(&mut self) {
        if let Some(Frame::Dict(key)) = self.frames.last_mut() {
            *key = None;
        }
    }

    fn value(&mut self, value: Option<Scalar>, tell: &mut impl FnMut(Event)) {
        let keys: Option<Vec<String>> = self
            .frames
            .iter()
            .map(|frame| match frame {
                Frame::Dict(key) => key.clone(),
                Frame::Array => None,
            })
            .collect();
        if let (Some(keys), Some(value)) = (keys.filter(|keys| !keys.is_empty()), value) {
            tell(Event::Value(keys, value));
        }
        self.forget_key();
    }
}

/// One byte more than is of use is kept, so that a longer one is known.
fn keep(bytes: &mut Vec<u8>, byte: u8) {
    if bytes.len() <= LONGEST {
        bytes.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut reader, mut events) = (Reader::default(), Vec::new());
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
    fn what_is_not_well_nested_has_no_end() {
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
    fn a_text_without_end_costs_no_memory() {
        let mut reader = Reader::default();
        reader.feed(b"<plist><dict><key>", |_| {});
        for _ in 0..1000 {
            reader.feed(&[b'x'; 1000], |_| {});
        }
        assert!(reader.text.capacity() <= 4 * LONGEST);
        reader.feed(b"</key><", |_| {});
        for _ in 0..1000 {
            reader.feed(&[b'y'; 1000], |_| {});
        }
        assert!(reader.tag.capacity() <= 4 * LONGEST);
    }
}
