//! `zstd` (RFC 8878), by the reference library: of those that decode, it alone gives out a block when its last byte is
//! in, window or not. Several frames in a row are taken, skippable ones too.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{DecodeError, MAX_WINDOW, Output};

/// What a decoder needs before it can say what it needs: magic number and descriptor.
const FIRST: usize = 5;

/// The library asks for a block together with the header of the next.
const BLOCK_HEADER: usize = 3;

/// What a decoder holds without a window.
const CONTEXT: u64 = 160 << 10;

/// Largest block, in bytes (RFC 8878, 3.1.1.2.4). One that came in part is held.
const MAX_BLOCK: u64 = 128 << 10;

/// A body in `zstd`.
#[derive(Default)]
pub(super) struct Zstd {
    /// Made with the first byte.
    context: Option<DCtx<'static>>,
    /// How much the library would read next: a block and the header behind it.
    wanted: usize,
    /// Bytes that went in and came out so far.
    read: u64,
    written: u64,
}

/// The decoder would show what people wrote.
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
                none => none.insert(open()?),
            };
            // A block without the header behind it: should that be broken, the block is out.
            let len = match self.wanted {
                0 => FIRST,
                wanted if wanted > BLOCK_HEADER => wanted - BLOCK_HEADER,
                wanted => wanted,
            };
            if rest.len() >= len {
                out.block()?;
            }
            let mut input = InBuffer::around(&rest[..len.min(rest.len())]);
            let mut output = OutBuffer::around(&mut out.buffer[..]);
            self.wanted = context.decompress_stream(&mut output, &mut input).map_err(|_| DecodeError::Invalid)?;
            let written = output.pos();
            self.written += written as u64;
            self.read += input.pos() as u64;
            rest = &rest[input.pos()..];
            full = written == out.buffer.len();
            // The window is as large as was announced, and used as far as it was written: up to a block is there and has
            // not come out. What came in of a block is kept until it is whole.
            let pending = if full { MAX_BLOCK } else { 0 };
            let used = CONTEXT + self.read.min(MAX_BLOCK) + self.written + pending;
            out.hold((context.sizeof() as u64).min(used))?;
            out.give(written)?;
        }
        Ok(())
    }
}

/// A context that refuses larger windows than are granted.
fn open() -> Result<DCtx<'static>, DecodeError> {
    let mut context = DCtx::try_create().ok_or(DecodeError::OverBudget)?;
    context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW.ilog2())).map_err(|_| DecodeError::Invalid)?;
    Ok(context)
}
