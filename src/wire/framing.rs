//! Where the elements of a body begin and end: NDJSON lines, server-sent events, one whole value.
//!
//! The head says how a body is divided, and the first byte corrects it where the head lies or is silent
//! (relays relabel NDJSON as JSON, some servers send events as plain text). An element is told when its last byte
//! has been read, never later. Lines may be of any length: nothing is kept but what the scanner keeps.

mod lines;
mod sniff;
mod sse;
#[cfg(test)]
mod tests;

use super::dialect::{Dialect, Element};
use super::event::{Defect, Defects, Event};
use super::json::Scanner;
use super::reader::Framing;

/// Reads a body in one dialect.
#[derive(Debug)]
pub(crate) struct Stream<D: Dialect> {
    elements: Elements<D>,
    /// As the head has it, corrected by the body.
    framing: Framing,
    /// The first byte that says something was not seen yet.
    sniffing: bool,
    /// How many bytes of a byte order mark were seen.
    mark: usize,
    events: sse::Events,
    /// Body bytes before the present piece.
    offset: u64,
}

impl<D: Dialect> Stream<D> {
    pub(crate) fn new(dialect: D, declared: Framing) -> Box<Self> {
        Box::new(Self {
            elements: Elements { scanner: Scanner::new(D::WANTED).or_each(D::MANY), dialect, readable: true },
            framing: declared,
            sniffing: true,
            mark: 0,
            events: sse::Events::default(),
            offset: 0,
        })
    }

    #[inline]
    pub(crate) fn read(&mut self, piece: &[u8], emit: &mut impl FnMut(Event<'_>, u64)) {
        let start = if self.sniffing { self.sniff(piece) } else { 0 };
        let mut out = Out { emit, offset: self.offset };
        match self.framing {
            _ if self.sniffing => {}
            Framing::Ndjson => lines::read(&mut self.elements, piece, start, &mut out),
            Framing::Sse => self.events.read(&mut self.elements, piece, start, &mut out),
            Framing::Json => self.read_whole(piece, start, &mut out),
            Framing::Opaque => {}
        }
        self.offset += piece.len() as u64;
    }

    /// One value, unless it can only be part of a stream or another one follows: then these are lines.
    fn read_whole<E: FnMut(Event<'_>, u64)>(&mut self, piece: &[u8], start: usize, out: &mut Out<'_, E>) {
        let mut at = start;
        if !self.elements.scanner.is_done() {
            at += self.elements.read(&piece[start..]);
            if !self.elements.scanner.is_done() {
                return;
            }
            if self.elements.dialect.is_part() {
                self.framing = Framing::Ndjson;
                return lines::read(&mut self.elements, piece, at, out);
            }
            self.elements.tell(Element::Whole, at, out);
        }
        if let Some(more) = piece[at..].iter().position(|byte| !byte.is_ascii_whitespace()) {
            self.framing = Framing::Ndjson;
            self.elements.scanner.reset();
            lines::read(&mut self.elements, piece, at + more, out);
        }
    }

    pub(crate) fn end(&mut self, emit: &mut impl FnMut(Event<'_>, u64)) {
        let mut out = Out { emit, offset: self.offset };
        match self.framing {
            Framing::Ndjson if self.elements.scanner.is_whole() => self.elements.tell_part(Element::Part, 0, &mut out),
            Framing::Sse => self.events.end(&mut self.elements, &mut out),
            Framing::Ndjson | Framing::Json | Framing::Opaque => {}
        }
    }

    /// For what the dialect must be told beforehand.
    pub(crate) fn dialect_mut(&mut self) -> &mut D {
        &mut self.elements.dialect
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    pub(crate) fn defects(&self) -> Defects {
        self.elements.scanner.defects()
    }

    /// A clean end now would mean that the answer was cut. Not claimed where the last element was not understood.
    pub(crate) fn is_open(&self) -> bool {
        match self.framing {
            Framing::Ndjson | Framing::Sse => self.elements.readable && self.elements.dialect.is_open(),
            Framing::Json => {
                let scanner = &self.elements.scanner;
                !(scanner.is_blank() || scanner.is_broken() || scanner.is_whole())
            }
            Framing::Opaque => false,
        }
    }
}

/// The scanner and the dialect, which see one element after another.
#[derive(Debug)]
struct Elements<D: Dialect> {
    scanner: Scanner<D::Field>,
    dialect: D,
    /// The last element could be read.
    readable: bool,
}

impl<D: Dialect> Elements<D> {
    /// Reads on within an element. Returns how much of `bytes` belongs to its JSON value.
    #[inline]
    fn read(&mut self, bytes: &[u8]) -> usize {
        self.scanner.read(bytes, &mut self.dialect)
    }

    /// The element is whole and ends before `end` in the present piece. A whole value stays done: only a stream
    /// goes on.
    #[inline]
    fn tell<E: FnMut(Event<'_>, u64)>(&mut self, element: Element, end: usize, out: &mut Out<'_, E>) {
        let offset = out.offset + end as u64;
        self.readable = true;
        self.dialect.element(element, &mut |event| (out.emit)(event, offset));
    }

    #[inline]
    fn tell_part<E: FnMut(Event<'_>, u64)>(&mut self, element: Element, end: usize, out: &mut Out<'_, E>) {
        self.tell(element, end, out);
        self.scanner.reset();
    }

    fn tell_marker<E: FnMut(Event<'_>, u64)>(&mut self, end: usize, out: &mut Out<'_, E>) {
        let offset = out.offset + end as u64;
        self.readable = true;
        self.dialect.done_marker(&mut |event| (out.emit)(event, offset));
    }

    /// The element is over and was no whole JSON value.
    fn give_up(&mut self) {
        if !self.scanner.is_broken() {
            self.scanner.defect(Defect::Json);
        }
        self.readable = false;
        self.dialect.discard();
        self.scanner.reset();
    }
}

/// Where facts go, and the body offset of the present piece.
struct Out<'a, E> {
    emit: &'a mut E,
    offset: u64,
}
