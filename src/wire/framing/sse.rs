//! Server-sent events by the WHATWG's HTML standard (9.2.6), except that an unterminated last event counts.
//!
//! Lines end in LF, CR or CRLF. An event is emitted at its blank line: with CRLF at the CR, without waiting for the LF.
//! Comments, pings and fields of other names are ignored, except `error`, in which llama.cpp sent its errors until
//! autumn 2025.

use super::elements::{Elements, Out};
use crate::wire::dialect::{DialectParser, Element};
use crate::wire::event::{Defect, Event};

/// The data of the last event of an `OpenAI` stream, in place of JSON.
const MARKER: &[u8] = b"[DONE]";

/// The only event name with a meaning in every dialect.
const ERROR: &[u8] = b"error";

/// The position of the body within a line and an event.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: LineState,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The current field's name so far.
    name: [u8; 5],
    name_len: usize,
    /// The current event has data.
    has_data: bool,
    /// The current event's data has something after its JSON value.
    has_junk: bool,
    /// Bytes of the marker that the current event's data has matched so far.
    marker: usize,
    /// Bytes of the word `error` that the current event's name has matched so far; `None` after a mismatch, or without
    /// a name.
    error: Option<usize>,
    /// The current event has a field named `error` that is not empty.
    has_error_field: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LineState {
    /// Before or inside a field's name.
    #[default]
    Name,
    /// After the colon of `data`, where one space is skipped.
    DataSpace,
    Data,
    /// After the colon of `event`, where one space is skipped.
    EventSpace,
    Event,
    /// In a field named `error`.
    Error,
    /// In a line that is ignored.
    Ignored,
}

impl Events {
    /// Reads `piece` from `start`.
    #[inline]
    pub(super) fn read<D: DialectParser, E: FnMut(Event<'_>, u64)>(
        &mut self,
        elements: &mut Elements<D>,
        piece: &[u8],
        start: usize,
        out: &mut Out<'_, E>,
    ) {
        let mut at = start;
        while at < piece.len() {
            if std::mem::take(&mut self.after_cr) && piece[at] == b'\n' {
                at += 1;
                continue;
            }
            let Some(found) = memchr::memchr2(b'\n', b'\r', &piece[at..]) else {
                return self.within_line(elements, &piece[at..]);
            };
            self.within_line(elements, &piece[at..at + found]);
            at += found + 1;
            self.after_cr = piece[at - 1] == b'\r';
            self.line_end(elements, at, out);
        }
    }

    /// The body has ended: an event without its blank line counts if its data is whole.
    pub(super) fn end<D: DialectParser, E: FnMut(Event<'_>, u64)>(
        &mut self,
        elements: &mut Elements<D>,
        out: &mut Out<'_, E>,
    ) {
        if elements.scanner.is_whole() || self.marker == MARKER.len() || self.has_error_field {
            self.event_end(elements, 0, out);
        }
    }

    #[inline]
    fn within_line<D: DialectParser>(&mut self, elements: &mut Elements<D>, mut bytes: &[u8]) {
        if self.line == LineState::Name {
            bytes = self.field_name(elements, bytes);
        }
        if let (LineState::DataSpace | LineState::EventSpace, [first, rest @ ..]) = (self.line, bytes) {
            self.line = if self.line == LineState::DataSpace { LineState::Data } else { LineState::Event };
            bytes = if *first == b' ' { rest } else { bytes };
        }
        match self.line {
            LineState::Data => self.data(elements, bytes),
            LineState::Event => self.event_name(bytes),
            LineState::Error => self.has_error_field |= !bytes.trim_ascii().is_empty(),
            LineState::Name | LineState::DataSpace | LineState::EventSpace | LineState::Ignored => {}
        }
    }

    /// Reads a field's name and its colon. Returns what follows.
    #[inline]
    fn field_name<'a, D: DialectParser>(&mut self, elements: &mut Elements<D>, bytes: &'a [u8]) -> &'a [u8] {
        if self.name_len == 0
            && let Some(rest) = bytes.strip_prefix(b"data:")
        {
            self.begin_data(elements);
            return rest;
        }
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b':' {
                match &self.name[..self.name_len] {
                    b"data" => self.begin_data(elements),
                    b"event" => (self.line, self.error) = (LineState::EventSpace, Some(0)),
                    b"error" => self.line = LineState::Error,
                    _ => self.line = LineState::Ignored,
                }
                return &bytes[at + 1..];
            }
            let Some(room) = self.name.get_mut(self.name_len) else {
                self.line = LineState::Ignored;
                return &[];
            };
            *room = *byte;
            self.name_len += 1;
        }
        &[]
    }

    /// Several data lines are one value, joined by line feeds.
    #[inline]
    fn begin_data<D: DialectParser>(&mut self, elements: &mut Elements<D>) {
        self.line = LineState::DataSpace;
        if std::mem::replace(&mut self.has_data, true) {
            self.data(elements, b"\n");
        }
    }

    #[inline]
    fn data<D: DialectParser>(&mut self, elements: &mut Elements<D>, bytes: &[u8]) {
        let mut rest = bytes;
        if self.marker > 0 || elements.scanner.is_blank() {
            rest = if self.marker == 0 { rest.trim_ascii_start() } else { rest };
            while let ([first, more @ ..], Some(wanted)) = (rest, MARKER.get(self.marker))
                && first == wanted
            {
                self.marker += 1;
                rest = more;
            }
            if rest.is_empty() || (self.marker == MARKER.len() && rest.trim_ascii().is_empty()) {
                return;
            }
            elements.read(&MARKER[..std::mem::take(&mut self.marker)]);
        }
        let value = elements.read(rest);
        if !rest[value..].trim_ascii().is_empty() && !std::mem::replace(&mut self.has_junk, true) {
            elements.scanner.add_defect(Defect::Json);
        }
    }

    fn event_name(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.error = self.error.filter(|matched| ERROR.get(*matched) == Some(byte)).map(|matched| matched + 1);
        }
    }

    #[inline]
    fn line_end<D: DialectParser, E: FnMut(Event<'_>, u64)>(
        &mut self,
        elements: &mut Elements<D>,
        end: usize,
        out: &mut Out<'_, E>,
    ) {
        match (self.line, &self.name[..self.name_len]) {
            (LineState::Name, b"") => self.event_end(elements, end, out),
            // A field without a colon has an empty value.
            (LineState::Name, b"data") => self.begin_data(elements),
            _ => {}
        }
        self.line = LineState::Name;
        self.name_len = 0;
    }

    #[inline]
    fn event_end<D: DialectParser, E: FnMut(Event<'_>, u64)>(
        &mut self,
        elements: &mut Elements<D>,
        end: usize,
        out: &mut Out<'_, E>,
    ) {
        let is_error = self.error == Some(ERROR.len()) || self.has_error_field;
        if self.marker == MARKER.len() {
            elements.emit_done_marker(end, out);
        } else if elements.scanner.is_whole() {
            elements.emit_part(if is_error { Element::ErrorPart } else { Element::Part }, end, out);
        } else if self.marker > 0 || !elements.scanner.is_blank() {
            elements.discard();
            if is_error {
                elements.emit_part(Element::ErrorPart, end, out);
            }
        } else if self.has_error_field {
            elements.emit_part(Element::ErrorPart, end, out);
        }
        self.has_data = false;
        self.has_junk = false;
        self.marker = 0;
        self.error = None;
        self.has_error_field = false;
    }
}
