//! `zstd` (RFC 8878), block by block.
//!
//! The library wants whole blocks, so one is kept until it is there (at most 128 KiB), and it gives out what lies
//! behind its window, the rest when the frame ends. Several frames in a row are taken, skippable ones too.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Broken, MAX_WINDOW, Output};

/// A block's header, and the most that may follow it.
const BLOCK_HEADER: usize = 3;
const MAX_BLOCK: usize = 128 << 10;

/// A body in `zstd`.
#[derive(Default)]
pub(super) struct Zstd {
    place: Place,
    /// What came of the element that is not whole yet.
    kept: Vec<u8>,
    decoder: Option<FrameDecoder>,
    /// The present frame has a checksum behind its last block.
    has_checksum: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    FrameHeader,
    Block,
    /// In a skippable frame: so many bytes to go.
    Skip(u64),
}

/// The decoder would show what people wrote.
impl std::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zstd").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Zstd {
    pub(super) fn decode(&mut self, piece: &[u8], out: &mut Output<'_>) -> Result<(), Broken> {
        let mut rest = piece;
        loop {
            if let Place::Skip(left) = self.place {
                let skipped = left.min(rest.len() as u64);
                rest = &rest[skipped as usize..];
                self.place = if skipped == left { Place::FrameHeader } else { Place::Skip(left - skipped) };
            }
            let wanted = self.wanted()?;
            let more = wanted.saturating_sub(self.kept.len()).min(rest.len());
            self.kept.extend_from_slice(&rest[..more]);
            rest = &rest[more..];
            // The first bytes of an element tell how long it is.
            if self.kept.len() < wanted {
                return Ok(());
            }
            if self.wanted()? == wanted {
                self.element(out)?;
                self.kept.clear();
            }
        }
    }

    /// How long the present element is, as far as its bytes tell.
    fn wanted(&self) -> Result<usize, Broken> {
        match self.place {
            Place::FrameHeader => frame_header(&self.kept),
            Place::Block => self.block(),
            Place::Skip(_) => Ok(1),
        }
    }

    /// A block with its header, and the checksum behind the last.
    fn block(&self) -> Result<usize, Broken> {
        let [low, middle, high, ..] = self.kept[..] else { return Ok(BLOCK_HEADER) };
        let header = u32::from_le_bytes([low, middle, high, 0]);
        let size = (header >> 3) as usize;
        let content = match header >> 1 & 3 {
            // One byte, repeated.
            1 => 1,
            3 => return Err(Broken),
            _ => size,
        };
        if size > MAX_BLOCK {
            return Err(Broken);
        }
        let checksum = if header & 1 == 1 && self.has_checksum { 4 } else { 0 };
        Ok(BLOCK_HEADER + content + checksum)
    }

    /// The element is whole.
    fn element(&mut self, out: &mut Output<'_>) -> Result<(), Broken> {
        let mut bytes = self.kept.as_slice();
        match (self.place, bytes) {
            (Place::FrameHeader, [0x50..=0x5f, 0x2a, 0x4d, 0x18, size @ ..]) => {
                let size = size.try_into().map_err(|_| Broken)?;
                self.place = Place::Skip(u64::from(u32::from_le_bytes(size)));
            }
            (Place::FrameHeader, _) => {
                self.has_checksum = bytes[4] & 4 != 0;
                let decoder = self.decoder.get_or_insert_with(FrameDecoder::new);
                decoder.set_max_window_size(MAX_WINDOW);
                decoder.reset(bytes).map_err(|_| Broken)?;
                self.place = Place::Block;
            }
            (Place::Block | Place::Skip(_), _) => {
                let decoder = self.decoder.as_mut().ok_or(Broken)?;
                decoder.decode_blocks(&mut bytes, BlockDecodingStrategy::UptoBlocks(1)).map_err(|_| Broken)?;
                if decoder.is_finished() {
                    self.place = Place::FrameHeader;
                }
                while let len @ 1.. = decoder.read(out.buffer).map_err(|_| Broken)? {
                    out.give(len)?;
                }
            }
        }
        Ok(())
    }
}

/// How long a frame's header is (RFC 8878, 3.1.1.1), as far as its bytes tell: first the magic number and the
/// descriptor.
fn frame_header(bytes: &[u8]) -> Result<usize, Broken> {
    let [a, b, c, d, ..] = *bytes else { return Ok(4) };
    match [a, b, c, d] {
        [0x28, 0xb5, 0x2f, 0xfd] => {}
        [0x50..=0x5f, 0x2a, 0x4d, 0x18] => return Ok(8),
        _ => return Err(Broken),
    }
    let Some(descriptor) = bytes.get(4) else { return Ok(5) };
    let single_segment = descriptor & 0x20 != 0;
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size = match descriptor >> 6 {
        0 => usize::from(single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    Ok(5 + usize::from(!single_segment) + dictionary + content_size)
}
