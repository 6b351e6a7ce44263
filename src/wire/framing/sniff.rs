//! The first bytes of a body say how it is divided, whatever the head says.

use super::Stream;
use crate::wire::dialect::Dialect;
use crate::wire::event::Defect;
use crate::wire::reader::Framing;

/// U+FEFF in UTF-8, which some writers put in front.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl<D: Dialect> Stream<D> {
    /// Looks for the first byte that says something. Returns where in `piece` the body proper begins.
    pub(super) fn sniff(&mut self, piece: &[u8]) -> usize {
        for (at, byte) in piece.iter().enumerate() {
            if BYTE_ORDER_MARK.get(self.mark) == Some(byte) {
                self.mark += 1;
            } else if !byte.is_ascii_whitespace() {
                self.sniffing = false;
                self.framing = correct(self.framing, *byte);
                if self.framing == Framing::Opaque {
                    self.elements.scanner.defect(Defect::Json);
                }
                return at;
            }
        }
        piece.len()
    }
}

/// Declared and seen, together.
const fn correct(declared: Framing, first: u8) -> Framing {
    match (declared, first) {
        // An object is no SSE field. Whether more follow is seen later.
        (Framing::Sse | Framing::Opaque, b'{' | b'[') => Framing::Json,
        // `data`, `event`, `id`, `retry`, or a comment.
        (_, b'd' | b'e' | b'i' | b'r' | b':') => Framing::Sse,
        (declared, _) => declared,
    }
}
