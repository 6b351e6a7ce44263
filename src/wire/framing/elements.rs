//! Elements of a body: scans each, and passes it to the dialect at its end.

use crate::wire::dialect::{DialectParser, Element};
use crate::wire::event::{Defect, Event};
use crate::wire::json::Scanner;

/// The scanner and the dialect, which get one element after another.
#[derive(Debug)]
pub(super) struct Elements<D: DialectParser> {
    pub(super) scanner: Scanner<D::Field>,
    pub(super) dialect: D,
    /// The last element was JSON.
    pub(super) is_readable: bool,
    /// An element was emitted.
    pub(super) has_emitted: bool,
}

impl<D: DialectParser> Elements<D> {
    /// Continues within an element. Returns how many of `bytes` belong to its JSON value.
    #[inline]
    pub(super) fn read(&mut self, bytes: &[u8]) -> usize {
        self.scanner.read(bytes, &mut self.dialect)
    }

    /// Emits the element, which ends before `end` in the current piece. The scanner is not reset: after a whole value
    /// nothing follows.
    #[inline]
    pub(super) fn emit<E: FnMut(Event<'_>, u64)>(&mut self, element: Element, end: usize, out: &mut Out<'_, E>) {
        let offset = out.offset + end as u64;
        (self.is_readable, self.has_emitted) = (true, true);
        self.dialect.element(element, &mut |event| (out.emit)(event, offset));
    }

    /// Emits an element of a stream, and resets the scanner for the next.
    #[inline]
    pub(super) fn emit_part<E: FnMut(Event<'_>, u64)>(&mut self, element: Element, end: usize, out: &mut Out<'_, E>) {
        self.emit(element, end, out);
        self.scanner.reset();
    }

    pub(super) fn emit_done_marker<E: FnMut(Event<'_>, u64)>(&mut self, end: usize, out: &mut Out<'_, E>) {
        let offset = out.offset + end as u64;
        self.is_readable = true;
        self.dialect.done_marker(&mut |event| (out.emit)(event, offset));
    }

    /// Discards an element that ended and was not JSON.
    pub(super) fn discard(&mut self) {
        if !self.scanner.is_broken() {
            self.scanner.add_defect(Defect::Json);
        }
        self.is_readable = false;
        self.dialect.discard();
        self.scanner.reset();
    }
}

/// The sink of events, and the body offset of the current piece.
pub(super) struct Out<'a, E> {
    pub(super) emit: &'a mut E,
    pub(super) offset: u64,
}
