//! Server-sent events, as the WHATWG's HTML standard has them (9.2.6), save that an unterminated last event counts.
//!
//! Lines end in LF, CR or CRLF. An event is told at its blank line: with CRLF that is at the CR, for nobody knows
//! whether an LF follows. Comments, pings and fields of other names say nothing; but for `error`, in which llama.cpp put
//! its errors until autumn 2025.

use super::{Elements, Out};
use crate::wire::dialect::{Dialect, Element};
use crate::wire::event::{Defect, Event};

/// What stands in place of the JSON at the end of an `OpenAI` stream.
const MARKER: &[u8] = b"[DONE]";

/// The only event name that matters to every dialect.
const ERROR: &[u8] = b"error";

/// Where in its lines and events a body stands.
#[derive(Debug, Default)]
pub(super) struct Events {
    place: Place,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The present field's name so far.
    name: [u8; 5],
    name_len: usize,
    /// The present event has data.
    has_data: bool,
    /// Something stands behind the value in the present event's data.
    has_junk: bool,
    /// How much of the marker the present event's data is so far.
    marker: usize,
    /// The present event's name is the word `error` so far, for so many bytes.
    error: Option<usize>,
    /// The present event has a field named `error` that is not empty.
    has_error_field: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before or inside a field's name.
    #[default]
    Name,
    /// After the colon of `data`, where one space may stand.
    DataSpace,
    Data,
    /// After the colon of `event`, where one space may stand.
    EventSpace,
    Event,
    /// In a field named `error`.
    Error,
    /// In a line that says nothing.
    Other,
}

impl Events {
    /// Reads `piece` from `start`.
    #[inline]
    pub(super) fn read<D: Dialect, E: FnMut(Event<'_>, u64)>(
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

    /// The body is over: an event without its blank line counts if it is whole.
    pub(super) fn end<D: Dialect, E: FnMut(Event<'_>, u64)>(
        &mut self,
        elements: &mut Elements<D>,
        out: &mut Out<'_, E>,
    ) {
        if elements.scanner.is_whole() || self.marker == MARKER.len() || self.has_error_field {
            self.event_end(elements, 0, out);
        }
    }

    #[inline]
    fn within_line<D: Dialect>(&mut self, elements: &mut Elements<D>, mut bytes: &[u8]) {
        if self.place == Place::Name {
            bytes = self.field_name(elements, bytes);
        }
        if let (Place::DataSpace | Place::EventSpace, [first, rest @ ..]) = (self.place, bytes) {
            self.place = if self.place == Place::DataSpace { Place::Data } else { Place::Event };
            bytes = if *first == b' ' { rest } else { bytes };
        }
        match self.place {
            Place::Data => self.data(elements, bytes),
            Place::Event => self.event_name(bytes),
            Place::Error => self.has_error_field |= !bytes.trim_ascii().is_empty(),
            Place::Name | Place::DataSpace | Place::EventSpace | Place::Other => {}
        }
    }

    /// Reads a field's name and its colon. Returns what follows.
    #[inline]
    fn field_name<'a, D: Dialect>(&mut self, elements: &mut Elements<D>, bytes: &'a [u8]) -> &'a [u8] {
        if self.name_len == 0
            && let Some(rest) = bytes.strip_prefix(b"data:")
        {
            self.data_begins(elements);
            return rest;
        }
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b':' {
                match &self.name[..self.name_len] {
                    b"data" => self.data_begins(elements),
                    b"event" => (self.place, self.error) = (Place::EventSpace, Some(0)),
                    b"error" => self.place = Place::Error,
                    _ => self.place = Place::Other,
                }
                return &bytes[at + 1..];
            }
            let Some(room) = self.name.get_mut(self.name_len) else {
                self.place = Place::Other;
                return &[];
            };
            *room = *byte;
            self.name_len += 1;
        }
        &[]
    }

    /// Several data lines are one value, joined by line ends.
    #[inline]
    fn data_begins<D: Dialect>(&mut self, elements: &mut Elements<D>) {
        self.place = Place::DataSpace;
        if std::mem::replace(&mut self.has_data, true) {
            self.data(elements, b"\n");
        }
    }

    #[inline]
    fn data<D: Dialect>(&mut self, elements: &mut Elements<D>, bytes: &[u8]) {
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
            elements.scanner.defect(Defect::Json);
        }
    }

    fn event_name(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.error = self.error.filter(|matched| ERROR.get(*matched) == Some(byte)).map(|matched| matched + 1);
        }
    }

    #[inline]
    fn line_end<D: Dialect, E: FnMut(Event<'_>, u64)>(
        &mut self,
        elements: &mut Elements<D>,
        end: usize,
        out: &mut Out<'_, E>,
    ) {
        match (self.place, &self.name[..self.name_len]) {
            (Place::Name, b"") => self.event_end(elements, end, out),
            // A field without a colon has an empty value.
            (Place::Name, b"data") => self.data_begins(elements),
            _ => {}
        }
        self.place = Place::Name;
        self.name_len = 0;
    }

    #[inline]
    fn event_end<D: Dialect, E: FnMut(Event<'_>, u64)>(
        &mut self,
        elements: &mut Elements<D>,
        end: usize,
        out: &mut Out<'_, E>,
    ) {
        let is_error = self.error == Some(ERROR.len()) || self.has_error_field;
        if self.marker == MARKER.len() {
            elements.tell_marker(end, out);
        } else if elements.scanner.is_whole() {
            elements.tell_part(if is_error { Element::ErrorPart } else { Element::Part }, end, out);
        } else if self.marker > 0 || !elements.scanner.is_blank() {
            elements.give_up();
            if is_error {
                elements.tell_part(Element::ErrorPart, end, out);
            }
        } else if self.has_error_field {
            elements.tell_part(Element::ErrorPart, end, out);
        }
        self.has_data = false;
        self.has_junk = false;
        self.marker = 0;
        self.error = None;
        self.has_error_field = false;
    }
}
