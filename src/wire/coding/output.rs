//! What the decoders share: their output, its limits, and why decoding stops.

use crate::wire::budget::MemoryLease;
use crate::wire::event::Defect;

/// Largest window that a body may announce, in bytes; for zstd RFC 9659 names the same.
pub(super) const MAX_WINDOW: u64 = 8 << 20;

/// Most bytes passed to the sink at a time.
pub(super) const OUTPUT: usize = 8 << 10;

/// What a block costs in addition to its bytes, in decoded bytes: building its tables takes some microseconds, however
/// short it is.
const BLOCK: u64 = 4 << 10;

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The body does not follow its coding, or announces a window above [`MAX_WINDOW`].
    Invalid,
    /// It expands more than allowed, or takes more work or memory than the budget has left.
    OverBudget,
}

impl DecodeError {
    pub(crate) const fn defect(self) -> Defect {
        match self {
            Self::Invalid => Defect::Encoding,
            Self::OverBudget => Defect::Budget,
        }
    }
}

/// The sink of decoded bytes, and what decoding one piece may cost.
pub(super) struct Output<'a> {
    pub(super) buffer: &'a mut [u8; OUTPUT],
    /// Bytes that this piece may still expand to.
    pub(super) allowed: u64,
    /// Work left for this piece, in decoded bytes.
    pub(super) work: u64,
    pub(super) lease: &'a mut MemoryLease,
    /// Most bytes that the decoder may hold.
    pub(super) max_memory: u64,
    pub(super) sink: &'a mut dyn FnMut(&[u8]),
}

impl Output<'_> {
    /// Passes the first `len` bytes of the buffer to the sink.
    pub(super) fn flush(&mut self, len: usize) -> Result<(), DecodeError> {
        self.charge(len as u64)?;
        self.allowed = self.allowed.checked_sub(len as u64).ok_or(DecodeError::OverBudget)?;
        if len > 0 {
            (self.sink)(&self.buffer[..len]);
        }
        Ok(())
    }

    /// Charges for the start of a block, a frame or a member.
    pub(super) fn charge_block(&mut self) -> Result<(), DecodeError> {
        self.charge(BLOCK)
    }

    /// Charges work, in decoded bytes.
    pub(super) fn charge(&mut self, work: u64) -> Result<(), DecodeError> {
        let left = self.work.checked_sub(work);
        self.work = left.unwrap_or(0);
        left.map(|_| ()).ok_or(DecodeError::OverBudget)
    }

    /// Records how many bytes the decoder holds now.
    pub(super) fn hold(&mut self, bytes: u64) -> Result<(), DecodeError> {
        let granted = bytes <= self.max_memory && self.lease.grow_to(bytes);
        granted.then_some(()).ok_or(DecodeError::OverBudget)
    }
}
