//! `zstd` (RFC 8878), by the reference library: the only decoder found that outputs a block as soon as its last byte
//! has been read. Several frames in a row are decoded, and skippable ones skipped.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::output::{DecodeError, MAX_WINDOW, Output};

/// Bytes of the magic number and the frame header descriptor: after them the decoder says how much it needs.
const FIRST: usize = 5;

/// Bytes of a block header. The library asks for a block together with the header of the next.
const BLOCK_HEADER: usize = 3;

/// Bytes that a decoder holds besides its window.
const CONTEXT: u64 = 160 << 10;

/// Largest block, in bytes (RFC 8878, 3.1.1.2.4). A partial block is buffered.
const MAX_BLOCK: u64 = 128 << 10;

/// A body in `zstd`.
#[derive(Default)]
pub(super) struct Zstd {
    /// Made with the first byte.
    context: Option<DCtx<'static>>,
    /// How much the library wants to read next: a block and the header after it.
    wanted: usize,
    /// Bytes of input so far.
    read: u64,
    /// Bytes of output so far.
    written: u64,
}

/// Leaves out the context, which holds content.
impl std::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zstd").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl Zstd {
    pub(super) fn decode(&mut self, piece: &[u8], out: &mut Output<'_>) -> Result<(), DecodeError> {
        let mut rest = piece;
        let mut full = false;
        while full || !rest.is_empty() {
            let context = match &mut self.context {
                Some(context) => context,
                none => none.insert(new_context()?),
            };
            // A block without the header after it, so that the block is output even if that header is malformed.
            let len = match self.wanted {
                0 => FIRST,
                wanted if wanted > BLOCK_HEADER => wanted - BLOCK_HEADER,
                wanted => wanted,
            };
            if rest.len() >= len {
                out.charge_block()?;
            }
            let mut input = InBuffer::around(&rest[..len.min(rest.len())]);
            let mut output = OutBuffer::around(&mut out.buffer[..]);
            self.wanted = context.decompress_stream(&mut output, &mut input).map_err(|_| DecodeError::Invalid)?;
            let written = output.pos();
            self.written += written as u64;
            self.read += input.pos() as u64;
            rest = &rest[input.pos()..];
            full = written == out.buffer.len();
            // Only the written part of the announced window is resident, and up to a block that has not been output. A
            // partial block of input is buffered.
            let pending = if full { MAX_BLOCK } else { 0 };
            let used = CONTEXT + self.read.min(MAX_BLOCK) + self.written + pending;
            out.hold((context.sizeof() as u64).min(used))?;
            out.flush(written)?;
        }
        Ok(())
    }
}

/// A context that refuses windows above [`MAX_WINDOW`].
fn new_context() -> Result<DCtx<'static>, DecodeError> {
    let mut context = DCtx::try_create().ok_or(DecodeError::OverBudget)?;
    context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW.ilog2())).map_err(|_| DecodeError::Invalid)?;
    Ok(context)
}
