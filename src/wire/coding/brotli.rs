//! `br` (RFC 7932). A piece with an error yields no bytes; the pieces before it have been decoded.

use std::cell::Cell;
use std::rc::Rc;

use brotli_decompressor::{Allocator, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper, StandardAlloc};

use super::output::{DecodeError, MAX_WINDOW, Output};

/// What a byte of input costs in addition to its output, in decoded bytes: thirteen bits can describe a table of some
/// hundred entries, and the library does not report where blocks begin.
const INPUT: u64 = 16;

/// A body in `br`.
#[derive(Default)]
pub(super) struct Brotli {
    /// `None` until the window's size is known to be allowed.
    state: Option<BrotliState<CountingAllocator, CountingAllocator, CountingAllocator>>,
    memory: CountingAllocator,
    ended: bool,
}

/// Counts the bytes that a decoder holds: its window, which grows as it is filled, and its tables.
#[derive(Clone, Default)]
struct CountingAllocator(Rc<Cell<u64>>);

impl<T: Clone + Default> Allocator<T> for CountingAllocator {
    type AllocatedMemory = <StandardAlloc as Allocator<T>>::AllocatedMemory;

    fn alloc_cell(&mut self, len: usize) -> Self::AllocatedMemory {
        self.0.set(self.0.get() + size_of::<T>() as u64 * len as u64);
        StandardAlloc::default().alloc_cell(len)
    }

    fn free_cell(&mut self, data: Self::AllocatedMemory) {
        let bytes = size_of::<T>() as u64 * data.slice().len() as u64;
        self.0.set(self.0.get().saturating_sub(bytes));
    }
}

/// Leaves out the state, which holds content.
impl std::fmt::Debug for Brotli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brotli").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Brotli {
    pub(super) fn decode(&mut self, piece: &[u8], out: &mut Output<'_>) -> Result<(), DecodeError> {
        let Some(first) = piece.first() else { return Ok(()) };
        if self.state.is_none() && window(*first) > MAX_WINDOW {
            return Err(DecodeError::Invalid);
        }
        out.charge(INPUT * piece.len() as u64)?;
        let alloc = || self.memory.clone();
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
            out.hold(self.memory.0.get() + size_of::<Self>() as u64)?;
            out.flush(written)?;
            match result {
                // It may ask for more while a part of what came out did not fit into the buffer.
                BrotliResult::NeedsMoreInput if written < out.buffer.len() => return Ok(()),
                BrotliResult::NeedsMoreInput => {}
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultSuccess => self.ended = true,
                BrotliResult::ResultFailure => return Err(DecodeError::Invalid),
            }
        }
        Ok(())
    }
}

/// The window's size by the first byte of a body, in bytes (RFC 7932, 9.1).
fn window(first: u8) -> u64 {
    let bits = match first & 0x0f {
        // The next three bits hold a smaller size.
        0x01 => 17,
        low if low & 1 == 1 => 17 + (low >> 1),
        _ => 16,
    };
    1 << bits
}
