//! `gzip` (RFC 1952, several members too) and `deflate` (RFC 1950, and the bare RFC 1951 that some servers send).

use zlib_rs::{Inflate, InflateFlush, Status};

use super::output::{DecodeError, Output};

/// Bytes that inflating holds: a window of 32 KiB, tables and state.
const MEMORY: u64 = 48 << 10;

/// The largest window there is, as a power of two.
const WINDOW_BITS: u8 = 15;

/// A body in `gzip`.
#[derive(Default)]
pub(super) struct Gzip {
    state: MemberState,
    /// Flags of the current member.
    flags: u8,
    inflate: Option<Inflate>,
    /// A member has ended before.
    has_member: bool,
}

#[derive(Clone, Copy, Debug)]
enum MemberState {
    /// In the ten bytes that every member begins with; holds how many have been read.
    Fixed(u8),
    /// In the length of the extra field: bytes read of it, and their value.
    ExtraLength(u8, u16),
    /// Bytes still to skip, and the part that they belong to.
    Skip(u16, MemberPart),
    /// Inside a name or comment, which ends with a zero byte.
    Text(MemberPart),
    Body,
    /// In bytes after the last member, which are ignored.
    Padding,
}

/// Parts of a member other than its body, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberPart {
    Fixed,
    Extra,
    Name,
    Comment,
    Checksum,
    Trailer,
}

impl Default for MemberState {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// Leaves out the window, which holds content.
impl std::fmt::Debug for Gzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Gzip {
    pub(super) fn decode(&mut self, piece: &[u8], out: &mut Output<'_>) -> Result<(), DecodeError> {
        let mut rest = piece;
        while let [byte, more @ ..] = rest {
            if matches!(self.state, MemberState::Padding) {
                return Ok(());
            }
            if let MemberState::Body = self.state {
                let inflate = self.inflate.get_or_insert_with(|| Inflate::new(false, WINDOW_BITS));
                match inflate_piece(inflate, rest, out)? {
                    Some(after) => (rest, self.state) = (after, MemberState::Skip(8, MemberPart::Trailer)),
                    None => return Ok(()),
                }
            } else {
                self.state = self.header(*byte)?;
                rest = more;
                if let (MemberState::Body, Some(inflate)) = (self.state, &mut self.inflate) {
                    out.charge_block()?;
                    inflate.reset(false);
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, byte: u8) -> Result<MemberState, DecodeError> {
        Ok(match self.state {
            MemberState::Fixed(at) => {
                let expected = [0x1f, 0x8b, 8].get(usize::from(at));
                if expected.is_some_and(|expected| *expected != byte) {
                    return if self.has_member && at == 0 {
                        Ok(MemberState::Padding)
                    } else {
                        Err(DecodeError::Invalid)
                    };
                }
                if at == 3 {
                    self.flags = byte;
                }
                if at == 9 { self.after(MemberPart::Fixed) } else { MemberState::Fixed(at + 1) }
            }
            MemberState::ExtraLength(0, _) => MemberState::ExtraLength(1, u16::from(byte)),
            MemberState::ExtraLength(_, low) => match u16::from(byte) << 8 | low {
                0 => self.after(MemberPart::Extra),
                length => MemberState::Skip(length, MemberPart::Extra),
            },
            MemberState::Skip(1, part) => self.after(part),
            MemberState::Skip(left, part) => MemberState::Skip(left - 1, part),
            MemberState::Text(part) if byte == 0 => self.after(part),
            state => state,
        })
    }

    /// What follows a part, by the flags.
    fn after(&mut self, part: MemberPart) -> MemberState {
        let has = |bit: u8| self.flags & bit != 0;
        match part {
            MemberPart::Fixed if has(0x04) => MemberState::ExtraLength(0, 0),
            MemberPart::Fixed | MemberPart::Extra if has(0x08) => MemberState::Text(MemberPart::Name),
            MemberPart::Fixed | MemberPart::Extra | MemberPart::Name if has(0x10) => {
                MemberState::Text(MemberPart::Comment)
            }
            MemberPart::Fixed | MemberPart::Extra | MemberPart::Name | MemberPart::Comment if has(0x02) => {
                MemberState::Skip(2, MemberPart::Checksum)
            }
            MemberPart::Trailer => {
                self.has_member = true;
                MemberState::default()
            }
            _ => MemberState::Body,
        }
    }
}

/// A body in `deflate`.
#[derive(Default)]
pub(super) struct Deflate {
    /// The first byte, kept until the second shows whether there is a zlib header.
    first: Option<u8>,
    inflate: Option<Inflate>,
    ended: bool,
}

/// Leaves out the window, which holds content.
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
            // Bare deflate has no magic number: a body that begins like JSON or an SSE field is not coded.
            if matches!(&[first, *byte], b"{\"" | b"[{" | b"da" | b"ev") {
                return Err(DecodeError::Invalid);
            }
            let zlib = first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(*byte)).is_multiple_of(31);
            let inflate = self.inflate.insert(Inflate::new(zlib, WINDOW_BITS));
            self.ended = inflate_piece(inflate, &[first, *byte], out)?.is_some();
        }
        if let (Some(inflate), false) = (&mut self.inflate, self.ended) {
            self.ended = inflate_piece(inflate, rest, out)?.is_some();
        }
        Ok(())
    }
}

/// Returns the bytes after the end of the stream, once it is reached.
fn inflate_piece<'a>(
    inflate: &mut Inflate,
    bytes: &'a [u8],
    out: &mut Output<'_>,
) -> Result<Option<&'a [u8]>, DecodeError> {
    out.hold(MEMORY)?;
    let (mut rest, mut is_stuck) = (bytes, false);
    loop {
        let (read, written) = (inflate.total_in(), inflate.total_out());
        // In this mode it also returns before each block.
        let status = inflate.decompress(rest, out.buffer, InflateFlush::Block);
        // The counters advance by at most a buffer's length.
        let (read, written) = ((inflate.total_in() - read) as usize, (inflate.total_out() - written) as usize);
        // Bytes decoded before the error are valid.
        out.flush(written)?;
        rest = &rest[read..];
        if status.map_err(|_| DecodeError::Invalid)? == Status::StreamEnd {
            return Ok(Some(rest));
        }
        if written == out.buffer.len() {
            continue;
        }
        // A block may end within a byte that has been read, so one call without progress is no end.
        let was_stuck = std::mem::replace(&mut is_stuck, read + written == 0);
        if rest.is_empty() || (was_stuck && is_stuck) {
            return Ok(None);
        }
        out.charge_block()?;
    }
}
