//! Where a body ends, in either direction. Pure.

use super::chunks::{BodyProgress, Chunks, Followed, Part};

/// How the rest of a body is framed.
#[derive(Debug)]
pub(super) enum Framing {
    /// The number of bytes left; 0 is a body that is complete.
    Length(u64),
    Chunked(Chunks),
    /// All up to the end of the connection. Responses only.
    Close,
}

impl Framing {
    /// No body, or nothing left of one.
    pub(super) const OVER: Self = Self::Length(0);

    /// Whether nothing is left of the body.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0))
    }

    /// Follows the next bytes, and becomes [`Framing::OVER`] when the body ends in them.
    pub(super) fn follow(&mut self, bytes: &[u8], part: &mut impl FnMut(Part<'_>)) -> Followed {
        let followed = match self {
            Self::Length(left) => {
                let take = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= take as u64;
                if take > 0 {
                    part(Part::Data(&bytes[..take]));
                }
                let state = if *left == 0 { BodyProgress::Over } else { BodyProgress::Continues };
                return Followed { bytes: take, raw: take, state };
            }
            Self::Chunked(chunks) => chunks.follow(bytes, part),
            Self::Close => {
                part(Part::Data(bytes));
                return Followed { bytes: bytes.len(), raw: bytes.len(), state: BodyProgress::Continues };
            }
        };
        if followed.state == BodyProgress::Over {
            *self = Self::OVER;
        }
        followed
    }
}
