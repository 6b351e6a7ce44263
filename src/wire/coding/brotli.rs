//! `br` (RFC 7932). Of a piece that breaks nothing comes out; what stood in the pieces before it is out.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Broken, MAX_WINDOW, Output};

/// A body in `br`.
#[derive(Default)]
pub(super) struct Brotli {
    /// Made once the window's size is known to be granted.
    state: Option<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    ended: bool,
}

/// The state would show what people wrote.
impl std::fmt::Debug for Brotli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brotli").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Brotli {
    pub(super) fn decode(&mut self, piece: &[u8], out: &mut Output<'_>) -> Result<(), Broken> {
        let Some(first) = piece.first() else { return Ok(()) };
        if self.state.is_none() && window(*first) > MAX_WINDOW {
            return Err(Broken);
        }
        let alloc = StandardAlloc::default;
        let state = self.state.get_or_insert_with(|| BrotliState::new_strict(alloc(), alloc(), alloc()));
        let (mut left, mut at, mut total) = (piece.len(), 0, 0);
        while !self.ended {
            let (mut room, mut written) = (out.buffer.len(), 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut at,
                piece,
                &mut room,
                &mut written,
                out.buffer,
                &mut total,
                state,
            );
            out.give(written)?;
            match result {
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultSuccess => self.ended = true,
                BrotliResult::ResultFailure => return Err(Broken),
            }
        }
        Ok(())
    }
}

/// The window's size by the first byte of a body, in bytes (RFC 7932, 9.1).
fn window(first: u8) -> u64 {
    let bits = match first & 0x0f {
        // Three more bits hold a small one.
        0x01 => 17,
        low if low & 1 == 1 => 17 + (low >> 1),
        _ => 16,
    };
    1 << bits
}
