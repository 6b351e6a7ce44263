//! NDJSON: one value per line. Blank lines, CRLF, several values on a line and an unterminated last line are accepted.

use super::elements::{Elements, Out};
use crate::wire::dialect::{DialectParser, Element};
use crate::wire::event::Event;

/// Reads `piece` from `start`.
#[inline]
pub(super) fn read<D: DialectParser, E: FnMut(Event<'_>, u64)>(
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
            elements.emit_part(Element::Part, at, out);
        } else if !elements.scanner.is_blank() {
            elements.discard();
        }
    }
}

/// Reads the rest of a line, as far as the piece holds it. Another value on the same line ends the one before it.
#[inline]
fn segment<D: DialectParser, E: FnMut(Event<'_>, u64)>(
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
            elements.emit_part(Element::Part, at, out);
        }
        at += elements.read(&piece[at..end]);
    }
}
