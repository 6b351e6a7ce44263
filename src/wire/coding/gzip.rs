//! `gzip` (RFC 1952, several members too) and `deflate` (RFC 1950, and the bare RFC 1951 that some servers send).

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{DecodeError, Output};

/// What inflating holds: a window of 32 KiB, tables and state.
const MEMORY: u64 = 48 << 10;

/// The largest window there is, as a power of two.
const WINDOW_BITS: u8 = 15;

/// A body in `gzip`.
#[derive(Default)]
pub(super) struct Gzip {
    place: Place,
    /// The present member's flags.
    flags: u8,
    inflate: Option<Inflate>,
    /// A member was begun before.
    again: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// The ten bytes that every member begins with; so many were read.
    Fixed(u8),
    /// The length of the extra field: the bytes that were read of it, and their value.
    ExtraLength(u8, u16),
    /// So many bytes to pass over, and what they belong to.
    Pass(u16, Part),
    /// Inside a name or comment, which ends in zero.
    Text(Part),
    Body,
    /// Bytes that follow the members and are none.
    Padding,
}

/// Parts of a member around its body, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Fixed,
    Extra,
    Name,
    Comment,
    Checksum,
    Trailer,
}

impl Default for Place {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// The window would show what people wrote.
impl std::fmt::Debug for Gzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Gzip {
    pub(super) fn decode(&mut self, piece: &[u8], out: &mut Output<'_>) -> Result<(), DecodeError> {
        let mut rest = piece;
        while let [byte, more @ ..] = rest {
            if matches!(self.place, Place::Padding) {
                return Ok(());
            }
            if let Place::Body = self.place {
                let inflate = self.inflate.get_or_insert_with(|| Inflate::new(false, WINDOW_BITS));
                match inflated(inflate, rest, out)? {
                    Some(after) => (rest, self.place) = (after, Place::Pass(8, Part::Trailer)),
                    None => return Ok(()),
                }
            } else {
                self.place = self.header(*byte)?;
                rest = more;
                if let (Place::Body, Some(inflate)) = (self.place, &mut self.inflate) {
                    out.block()?;
                    inflate.reset(false);
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, byte: u8) -> Result<Place, DecodeError> {
        Ok(match self.place {
            Place::Fixed(at) => {
                let expected = [0x1f, 0x8b, 8].get(usize::from(at));
                if expected.is_some_and(|expected| *expected != byte) {
                    return if self.again && at == 0 { Ok(Place::Padding) } else { Err(DecodeError::Invalid) };
                }
                if at == 3 {
                    self.flags = byte;
                }
                if at == 9 { self.after(Part::Fixed) } else { Place::Fixed(at + 1) }
            }
            Place::ExtraLength(0, _) => Place::ExtraLength(1, u16::from(byte)),
            Place::ExtraLength(_, low) => match u16::from(byte) << 8 | low {
                0 => self.after(Part::Extra),
                length => Place::Pass(length, Part::Extra),
            },
            Place::Pass(1, part) => self.after(part),
            Place::Pass(left, part) => Place::Pass(left - 1, part),
            Place::Text(part) if byte == 0 => self.after(part),
            place => place,
        })
    }

    /// What follows a part, as the flags have it.
    fn after(&mut self, part: Part) -> Place {
        let has = |bit: u8| self.flags & bit != 0;
        match part {
            Part::Fixed if has(0x04) => Place::ExtraLength(0, 0),
            Part::Fixed | Part::Extra if has(0x08) => Place::Text(Part::Name),
            Part::Fixed | Part::Extra | Part::Name if has(0x10) => Place::Text(Part::Comment),
            Part::Fixed | Part::Extra | Part::Name | Part::Comment if has(0x02) => Place::Pass(2, Part::Checksum),
            Part::Trailer => {
                self.again = true;
                Place::default()
            }
            _ => Place::Body,
        }
    }
}

/// A body in `deflate`.
#[derive(Default)]
pub(super) struct Deflate {
    /// The first byte, which says with the second whether there is a zlib header.
    first: Option<u8>,
    inflate: Option<Inflate>,
    ended: bool,
}

/// The window would show what people wrote.
impl std::fmt::Debug for Deflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflate").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Deflate {
    pub(super) fn decode(&mut self, piece: &[u8], out: &mut Output<'_>) -> Result<(), DecodeError> {
        let mut rest = piece;
        while self.inflate.is_none() {
            let [byte, more @ ..] = rest else { return Ok(()) };
            rest = more;
            let Some(first) = self.first.replace(*byte) else { continue };
            // The bare form has no mark of its own: what begins as JSON or an event does is not coded at all.
            if matches!(&[first, *byte], b"{\"" | b"[{" | b"da" | b"ev") {
                return Err(DecodeError::Invalid);
            }
            let zlib = first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(*byte)).is_multiple_of(31);
            let inflate = self.inflate.insert(Inflate::new(zlib, WINDOW_BITS));
            self.ended = inflated(inflate, &[first, *byte], out)?.is_some();
        }
        if let (Some(inflate), false) = (&mut self.inflate, self.ended) {
            self.ended = inflated(inflate, rest, out)?.is_some();
        }
        Ok(())
    }
}

/// Inflates what there is. Returns what follows the end of the stream, once it is there.
fn inflated<'a>(inflate: &mut Inflate, bytes: &'a [u8], out: &mut Output<'_>) -> Result<Option<&'a [u8]>, DecodeError> {
    out.hold(MEMORY)?;
    let (mut rest, mut stands) = (bytes, false);
    loop {
        let (read, written) = (inflate.total_in(), inflate.total_out());
        // It returns before each block, too.
        let status = inflate.decompress(rest, out.buffer, InflateFlush::Block);
        // Both are differences of counters that move by at most a buffer's length.
        let (read, written) = ((inflate.total_in() - read) as usize, (inflate.total_out() - written) as usize);
        // What came out before the bytes broke is good.
        out.give(written)?;
        rest = &rest[read..];
        if status.map_err(|_| DecodeError::Invalid)? == Status::StreamEnd {
            return Ok(Some(rest));
        }
        if written == out.buffer.len() {
            continue;
        }
        // A block may end within a byte that was read before.
        let stood = std::mem::replace(&mut stands, read + written == 0);
        if rest.is_empty() || (stood && stands) {
            return Ok(None);
        }
        out.block()?;
    }
}
