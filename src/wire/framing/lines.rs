//! NDJSON: one value a line. Blank lines, CRLF, several values on a line and an unterminated last line are taken.

use super::{Elements, Out};
use crate::wire::dialect::{Dialect, Element};
use crate::wire::event::Event;

/// Reads `piece` from `start`.
#[inline]
pub(super) fn read<D: Dialect, E: FnMut(Event<'_>, u64)>(
    elements: &mut Elements<D>,
    piece: &[u8],
    start: usize,
    out: &mut Out<'_, E>,
) {
    let mut at = start;
    while at < piece.len() {
        let newline = memchr::memchr(b'\n', &piece[at..]).map(|found| at + found);
        segment(elements, piece, at, newline.unwrap_or(piece.len()), out);
        let Some(newline) = newline else { return };
        at = newline + 1;
        if elements.scanner.is_whole() {
            elements.tell_part(Element::Part, at, out);
        } else if !elements.scanner.is_blank() {
            elements.give_up();
        }
    }
}

/// Reads a line, or as much of it as there is. Another value on the same line ends the one before it.
#[inline]
fn segment<D: Dialect, E: FnMut(Event<'_>, u64)>(
    elements: &mut Elements<D>,
    piece: &[u8],
    start: usize,
    end: usize,
    out: &mut Out<'_, E>,
) {
    let mut at = start;
    while at < end {
        if elements.scanner.is_done() {
            let Some(more) = piece[at..end].iter().position(|byte| !byte.is_ascii_whitespace()) else { return };
            at += more;
            elements.tell_part(Element::Part, at, out);
        }
        at += elements.read(&piece[at..end]);
    }
}
