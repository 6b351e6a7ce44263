//! Divides a body into elements: NDJSON lines, server-sent events, one whole value.
//!
//! The head declares the framing, and the first byte corrects it where the head is wrong or silent (relays relabel
//! NDJSON as JSON, some servers send events as plain text). An element is emitted when its last byte has been read,
//! never later. Lines may be of any length: only the scanner keeps anything.

mod elements;
mod lines;
mod sniff;
mod sse;
#[cfg(test)]
mod tests;

use super::dialect::{DialectParser, Element};
use super::event::{Defects, Event};
use super::head::Framing;
use super::json::Scanner;
use elements::{Elements, Out};

/// Reads a body in one dialect. Boxed by [`Stream::new`], as it is large.
#[derive(Debug)]
pub(crate) struct Stream<D: DialectParser> {
    elements: Elements<D>,
    /// As declared by the head, and corrected by the body.
    framing: Framing,
    /// The first byte other than space has not been seen yet.
    sniffing: bool,
    /// Bytes of a byte order mark seen so far.
    mark: usize,
    events: sse::Events,
    /// The first value under another framing can only be part of a stream, so the body was taken for NDJSON.
    taken_for_lines: bool,
    /// The body was one value, which can only be part of a stream, and not its last.
    is_cut: bool,
    /// Body bytes before the current piece.
    offset: u64,
}

impl<D: DialectParser> Stream<D> {
    pub(crate) fn new(dialect: D, declared: Framing) -> Box<Self> {
        Box::new(Self {
            elements: Elements {
                scanner: Scanner::new(D::WANTED).or_each(D::MANY),
                dialect,
                is_readable: true,
                has_emitted: false,
            },
            framing: declared,
            sniffing: true,
            mark: 0,
            events: sse::Events::default(),
            taken_for_lines: false,
            is_cut: false,
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

    /// Reads one value. If it can only be part of a stream, or another follows, the body is NDJSON after all.
    fn read_whole<E: FnMut(Event<'_>, u64)>(&mut self, piece: &[u8], start: usize, out: &mut Out<'_, E>) {
        let mut at = start;
        if !self.elements.scanner.is_done() {
            at += self.elements.read(&piece[start..]);
            if !self.elements.scanner.is_done() {
                return;
            }
            if self.elements.dialect.is_part() {
                (self.framing, self.taken_for_lines) = (Framing::Ndjson, true);
                return lines::read(&mut self.elements, piece, at, out);
            }
            self.elements.emit(Element::Whole, at, out);
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
            // Nothing followed it, not even a newline: a whole answer that was given up.
            Framing::Ndjson if self.taken_for_lines && !self.elements.has_emitted => {
                self.framing = Framing::Json;
                self.elements.emit(Element::Part, 0, &mut out);
                self.is_cut = self.elements.dialect.is_open();
            }
            Framing::Ndjson if self.elements.scanner.is_whole() => self.elements.emit_part(Element::Part, 0, &mut out),
            Framing::Sse => self.events.end(&mut self.elements, &mut out),
            Framing::Ndjson | Framing::Json | Framing::Opaque => {}
        }
    }

    /// For settings that the dialect needs before the first piece.
    pub(crate) fn dialect_mut(&mut self) -> &mut D {
        &mut self.elements.dialect
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    pub(crate) fn defects(&self) -> Defects {
        self.elements.scanner.defects()
    }

    /// Whether a clean end now would mean that the answer was cut. False where the last element was not understood.
    pub(crate) fn is_open(&self) -> bool {
        match self.framing {
            Framing::Ndjson | Framing::Sse => self.elements.is_readable && self.elements.dialect.is_open(),
            Framing::Json => {
                let scanner = &self.elements.scanner;
                self.is_cut || !(scanner.is_blank() || scanner.is_broken() || scanner.is_whole())
            }
            Framing::Opaque => false,
        }
    }
}
