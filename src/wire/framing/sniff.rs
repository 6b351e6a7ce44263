//! Corrects the declared framing by the first bytes of the body.

use super::Stream;
use crate::wire::dialect::DialectParser;
use crate::wire::event::Defect;
use crate::wire::head::Framing;

/// U+FEFF in UTF-8, with which some writers begin.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl<D: DialectParser> Stream<D> {
    /// Skips a byte order mark and space. Returns where in `piece` the body proper begins.
    pub(super) fn sniff(&mut self, piece: &[u8]) -> usize {
        for (at, byte) in piece.iter().enumerate() {
            if BYTE_ORDER_MARK.get(self.mark) == Some(byte) {
                self.mark += 1;
            } else if !byte.is_ascii_whitespace() {
                self.sniffing = false;
                self.framing = correct(self.framing, *byte);
                if self.framing == Framing::Opaque {
                    self.elements.scanner.add_defect(Defect::Json);
                }
                return at;
            }
        }
        piece.len()
    }
}

/// The framing by declaration and first byte.
const fn correct(declared: Framing, first: u8) -> Framing {
    match (declared, first) {
        // No SSE field begins so. Whether it is NDJSON shows after the first value.
        (Framing::Sse | Framing::Opaque, b'{' | b'[') => Framing::Json,
        // `data`, `event`, `id`, `retry`, or a comment.
        (_, b'd' | b'e' | b'i' | b'r' | b':') => Framing::Sse,
        (declared, _) => declared,
    }
}
